"""``ecotf flash``: put a bundle on recorders."""

from __future__ import annotations

import argparse
import getpass
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path

from deploy.flash.bundles import open_bundle, sign_bundle
from deploy.flash.devices import Device, parse_device, read_devices
from deploy.flash.fetching import Fetcher
from deploy.flash.flashing import Flasher
from deploy.flash.fleet import Stages, run_fleet, summarise
from deploy.flash.image.command import main as prepare_image
from deploy.flash.login import Login
from deploy.flash.merging import merge_tables
from deploy.flash.release_manager import RecorderPlace
from deploy.flash.sdcard import write_to_card
from deploy.flash.setting_up import RecorderSetup, SetupChoices, add_setup_options
from deploy.flash.settings import ConfigSetter, read_changes, show_config, show_logs
from deploy.flash.showing import prune_releases, show_keys, show_notes, show_releases, show_status
from ecotf.commands.console import log, make_parser
from ecotf.errors import ConfigError, DataError

EXAMPLES = """\
examples:
  ecotf flash BUNDLE --device pi@recorder01.local
  ecotf flash BUNDLE --devices recorders.txt
  ecotf flash BUNDLE --devices recorders.txt --stage 2
  ecotf flash BUNDLE --device pi@recorder01.local --dry-run
  ecotf flash BUNDLE --sdcard /media/me/bootfs
  ecotf flash init --device pi@recorder01.local     once, before the first bundle
  ecotf flash status --devices recorders.txt
  ecotf flash fetch --devices recorders.txt --output season/
  ecotf flash config --devices recorders.txt --set rules.hits=3
  ecotf flash logs --device pi@recorder01.local
  ecotf flash list --device pi@recorder01.local
  ecotf flash rollback --device pi@recorder01.local
  ecotf flash sign BUNDLE --key signing_key
  ecotf flash image raspios-lite.img.xz --config config.toml --bundle BUNDLE --output oak.img

BUNDLE is a folder that ecotf export wrote. The recorder checks and tests it, switches to it and
watches itself. If it does not work, the recorder goes back to the old one, also after a power cut or a lost connection.
exit status: 0 all recorders well, 1 some not, 2 nothing could be done
"""


def main(arguments: Sequence[str]) -> int:
    """Flash a bundle, or run one of the other commands."""
    others = {
        "init": _init, "status": _status, "list": _list, "rollback": _rollback, "sign": _sign, "keys": _keys,
        "fetch": _fetch, "config": _config, "logs": _logs, "image": prepare_image,
    }  # fmt: skip
    if arguments and arguments[0] in others:
        return others[arguments[0]](arguments[1:])
    return _flash(arguments)


def _flash(arguments: Sequence[str]) -> int:
    parser = _parser("", "Put a bundle on recorders, over ssh or on a memory card.", EXAMPLES)
    parser.add_argument("bundle", metavar="BUNDLE", type=Path, help="folder that ecotf export wrote")
    parser.add_argument("--sdcard", metavar="FOLDER", type=Path, help="where a recorder's memory card is mounted")
    parser.add_argument("--dry-run", action="store_true", help="say what would be sent, and change nothing")
    older = "also where the installed release was made later"
    parser.add_argument("--allow-older", action="store_true", help=older)
    stage = "begin with the first N; the next N follow when these are dealt with, and none of them failed"
    parser.add_argument("--stage", type=int, default=0, metavar="N", help=stage)
    failures = "begin no other recorder after N that did not take it (with --stage: 1; otherwise no limit)"
    parser.add_argument("--max-failures", type=int, metavar="N", help=failures)
    _add_devices(parser)
    options = parser.parse_args(arguments)
    if options.sdcard is not None and (options.device or options.devices):
        raise ConfigError("either --sdcard or --device, --devices")
    stages = _stages(options)
    devices = [] if options.sdcard is not None else _devices(options)
    bundle = open_bundle(options.bundle)
    log(f"bundle: {bundle.id} {bundle.name} ({bundle.size / 1e6:.1f} MB)")
    if options.sdcard is not None and options.dry_run:
        log(f"all of it would be written to {options.sdcard}")
        return 0
    if options.sdcard is not None:
        folder, replaced = write_to_card(bundle, options.sdcard, options.allow_older)
        for name in replaced:
            log(f"{name}, which waited on the card, is replaced")
        log(f"written: {folder}; the recorder applies it when it starts, and writes result.txt beside it")
        return 0
    stop = threading.Event()
    flasher = Flasher(_login(options), RecorderPlace(options.root), stop, options.allow_older)
    work = flasher.rehearse if options.dry_run else flasher.flash
    results = run_fleet(devices, lambda device, say: work(device, bundle, say), options.jobs, stop, stages)
    return summarise(results, f"{bundle.id} {bundle.name}")


def _rollback(arguments: Sequence[str]) -> int:
    parser = _parser("rollback", "Go back to the previous release, or to another one that is on the recorder.")
    parser.add_argument("--release", metavar="ID", help="a release that list shows (the previous one)")
    _add_devices(parser)
    options = parser.parse_args(arguments)
    stop = threading.Event()
    flasher = Flasher(_login(options), RecorderPlace(options.root), stop)
    release = options.release
    results = run_fleet(_devices(options), lambda one, say: flasher.roll_back(one, release, say), options.jobs, stop)
    return summarise(results, "rollback")


def _init(arguments: Sequence[str]) -> int:
    parser = _parser("init", "Set a recorder up, or bring its software up to date. Needs root there, by sudo.")
    add_setup_options(parser)
    parser.add_argument("--offline", action="store_true", help="the recorder has no internet: upload all packages")
    _add_devices(parser)
    options = parser.parse_args(arguments)
    choices = SetupChoices(options.config, tuple(options.trust), options.offline, options.wheels)
    choices.check()
    devices = _devices(options)
    login = _login(options)
    with tempfile.TemporaryDirectory() as scratch:
        setup = RecorderSetup(login, RecorderPlace(options.root), choices, Path(scratch))
        results = run_fleet(devices, setup.set_up, options.jobs, threading.Event())
    return summarise(results, "init")


def _status(arguments: Sequence[str]) -> int:
    parser = _parser("status", "Show what recorders run and if they are well, or their notes on a memory card.")
    parser.add_argument("--sdcard", metavar="FOLDER", type=Path, help="where a recorder's memory card is mounted")
    _add_devices(parser)
    options = parser.parse_args(arguments)
    if options.sdcard is not None:
        if options.device or options.devices:
            raise ConfigError("either --sdcard or --device, --devices")
        return show_notes(options.sdcard)
    return show_status(_devices(options), _login(options), RecorderPlace(options.root), options.jobs)


def _list(arguments: Sequence[str]) -> int:
    parser = _parser("list", "Which releases are on recorders.")
    parser.add_argument("--remove-old", action="store_true", help="first remove all but the current and the previous")
    _add_devices(parser)
    options = parser.parse_args(arguments)
    if options.remove_old:
        place = RecorderPlace(options.root)
        if prune_releases(_devices(options), _login(options), place, options.jobs):
            return 1
    return show_releases(_devices(options), _login(options), RecorderPlace(options.root), options.jobs)


def _keys(arguments: Sequence[str]) -> int:
    parser = _parser("keys", "Whose bundles recorders accept (init --trust adds a key).")
    parser.add_argument("--remove", metavar="NAME", help="trust this key no longer; the last one stays")
    _add_devices(parser)
    options = parser.parse_args(arguments)
    return show_keys(_devices(options), _login(options), RecorderPlace(options.root), options.jobs, options.remove)


def _fetch(arguments: Sequence[str]) -> int:
    parser = _parser("fetch", "Bring detections, gaps, health, logs and clips home; only what is new is sent.")
    parser.add_argument("--output", metavar="FOLDER", type=Path, required=True, help="a folder for each recorder in it")
    parser.add_argument("--no-clips", action="store_true", help="leave the sound there")
    _add_devices(parser)
    options = parser.parse_args(arguments)
    devices = _devices(options)
    from deploy.flash.joining import join_tables  # it loads pyarrow

    stop = threading.Event()
    fetcher = Fetcher(_login(options), RecorderPlace(options.root), options.output, not options.no_clips, stop)
    folders = fetcher.folders(devices)
    results = run_fleet(devices, lambda device, say: fetcher.fetch(device, folders[device], say), options.jobs, stop)
    status, written = 0, merge_tables(options.output)
    try:
        written |= join_tables(options.output)
    except DataError as error:
        log(f"joined.csv is not written anew: {error}")
        status = 1
    for name, rows in written.items():
        log(f"{options.output / name}: {rows} rows")
    return max(status, summarise(results, "fetch"))


def _config(arguments: Sequence[str]) -> int:
    parser = _parser("config", "Show what recorders are set to, or change it. The recorder checks it, and goes back.")
    parser.add_argument("--set", metavar="KEY=VALUE", action="append", default=[], help="such as rules.hits=3")
    parser.add_argument("--unset", metavar="KEY", action="append", default=[], help="let its default hold again")
    table = "table of plausible labels: it goes there, and rules.plausible is set"
    parser.add_argument("--plausible", metavar="FILE", type=Path, help=table)
    _add_devices(parser)
    options = parser.parse_args(arguments)
    changes = read_changes(options.set, options.unset)
    if options.plausible is not None and not options.plausible.is_file():
        raise ConfigError(f"{options.plausible}: no such file")
    devices, place = _devices(options), RecorderPlace(options.root)
    if not changes and options.plausible is None:
        return show_config(devices, _login(options), place, options.jobs)
    stop = threading.Event()
    setter = ConfigSetter(_login(options), place, changes, options.plausible, stop)
    return summarise(run_fleet(devices, setter.set, options.jobs, stop), "config")


def _logs(arguments: Sequence[str]) -> int:
    parser = _parser("logs", "Show the last lines of a recorder's log.")
    said = "recorder: its own log; service: systemd's journal of it, with crashes; changes: of release and config"
    parser.add_argument("--of", choices=("recorder", "service", "changes"), default="recorder", help=said)
    parser.add_argument("--lines", type=int, default=50, metavar="N", help="how many (50)")
    _add_devices(parser)
    options = parser.parse_args(arguments)
    if not 1 <= options.lines <= 10_000:
        raise ConfigError(f"--lines {options.lines}: from 1 to 10000")
    return show_logs(
        _devices(options), _login(options), RecorderPlace(options.root), options.jobs, options.of, options.lines
    )


def _sign(arguments: Sequence[str]) -> int:
    parser = _parser("sign", "Sign a bundle, for recorders that were set up with --trust.")
    parser.add_argument("bundle", metavar="BUNDLE", type=Path)
    parser.add_argument("--key", metavar="FILE", type=Path, required=True, help="from ssh-keygen -t ed25519 -f FILE")
    options = parser.parse_args(arguments)
    log(f"signature: {sign_bundle(open_bundle(options.bundle), options.key)}")
    return 0


def _parser(name: str, description: str, epilog: str = "") -> argparse.ArgumentParser:
    return make_parser(f"flash {name}".strip(), description, epilog)


def _add_devices(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", metavar="ADDRESS", action="append", default=[], help="user@host or user@host:port")
    parser.add_argument("--devices", metavar="FILE", type=Path, help="an address a line, or YAML with name: address")
    parser.add_argument("--jobs", type=int, default=8, help="recorders at a time (8)")
    way = parser.add_argument_group("logging in", "as ssh does it: agent, keys, ~/.ssh/config and known_hosts")
    way.add_argument("--identity", metavar="FILE", type=Path, help="private key, if not one that ssh finds by itself")
    way.add_argument("--accept-new-host-key", action="store_true", help="remember the key of a host not seen before")
    way.add_argument("--known-hosts", metavar="FILE", type=Path, help="instead of ~/.ssh/known_hosts")
    way.add_argument("--ask-password", action="store_true", help="ask for the login password, once for all recorders")
    way.add_argument("--ask-sudo-password", action="store_true", help="ask for the password that sudo asks for there")
    way.add_argument("--no-sudo", action="store_true", help="the login may do everything itself")
    way.add_argument("--timeout", type=float, default=15.0, metavar="SECONDS", help="to wait for an answer (15)")
    way.add_argument("--root", default="/", help="folder that takes the place of / on the recorder; for tests")


def _devices(options: argparse.Namespace) -> list[Device]:
    if options.jobs < 1:
        raise ConfigError(f"--jobs {options.jobs}: at least 1")
    devices = [parse_device(address) for address in options.device]
    devices += read_devices(options.devices) if options.devices is not None else []
    seen: set[tuple[str, int | None]] = set()
    for device in devices:
        place = (device.host.lower(), device.port)
        if place in seen:
            raise ConfigError(f"{device.host} is there twice")
        seen.add(place)
    if not devices:
        raise ConfigError("which recorder? --device user@host, --devices FILE, or --sdcard FOLDER")
    return devices


def _stages(options: argparse.Namespace) -> Stages:
    for name, value in (("--stage", options.stage), ("--max-failures", options.max_failures)):
        if value is not None and value < 0:
            raise ConfigError(f"{name} {value}: a number from 0")
    most = options.max_failures if options.max_failures is not None else int(options.stage > 0)
    return Stages(options.stage, most)


def _login(options: argparse.Namespace) -> Login:
    if options.identity is not None and not options.identity.is_file():
        raise ConfigError(f"{options.identity}: no such file")
    if (options.ask_password or options.ask_sudo_password) and not sys.stdin.isatty():
        raise ConfigError("a password is asked for on a terminal, and there is none; use a key")
    standard = Login()
    return Login(
        known_hosts=options.known_hosts or standard.known_hosts,
        accept_new_host_key=options.accept_new_host_key,
        identity=options.identity,
        password=getpass.getpass("login password: ") if options.ask_password else None,
        sudo_password=getpass.getpass("sudo password: ") if options.ask_sudo_password else None,
        sudo=not options.no_sudo,
        connect_s=options.timeout,
    )
