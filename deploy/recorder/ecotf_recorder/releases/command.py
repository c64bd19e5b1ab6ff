"""``python -m ecotf_recorder.releases``: put releases on this recorder, one JSON line a step, for programs to read.

    init                        make the folders
    prepare ID --size BYTES     room for an upload; says where it goes
    blocks ID [--name NAME]     hashes of the release that a bundle is most like, so that only the difference is sent
    apply ID [--part FOLDER]    check, place, self-test, switch, restart, health, commit
    rollback [ID]               back to the previous release, or to a given one
    recover                     finish or undo what a power cut left; before every start of the recorder
    inbox                       apply the bundles on the memory card; at boot
    status, list                what runs, what is there
    keys [--remove NAME]        whose bundles are accepted
    prune                       remove all releases but the current and the previous one
    config [JSON] [--table FILE]  what the config says, or another one: {"rules.hits": "3", "clips.labels": null}
    logs SOURCE --lines N       the last lines of a log
    files                       what the recorder wrote
    send JSON                   its bytes: a list of [name, bytes that are there, their SHA-256, end]

exit status: 0 done, 1 refused or rolled back, 2 cannot be done, 3 another flash is going on
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from ecotf_recorder import __version__
from ecotf_recorder.files import free_bytes
from ecotf_recorder.releases.arguments import make_parser
from ecotf_recorder.releases.bundle import MODEL, ReleaseError, read_bundle
from ecotf_recorder.releases.config_change import ConfigChange, read_config_text
from ecotf_recorder.releases.config_text import settings_in
from ecotf_recorder.releases.delta import VERSION, closest_release
from ecotf_recorder.releases.fetching import give_up_rights, send_file, tell_files
from ecotf_recorder.releases.fitting import board_facts
from ecotf_recorder.releases.home import make_home
from ecotf_recorder.releases.inbox import Inbox
from ecotf_recorder.releases.keys import list_keys, remove_key, require_signature
from ecotf_recorder.releases.logs import last_lines
from ecotf_recorder.releases.processes import detached
from ecotf_recorder.releases.settings import DATA, ReleaseSettings, read_settings
from ecotf_recorder.releases.steps import ReleaseSteps, RolledBack
from ecotf_recorder.releases.store import Busy, ReleaseStore, now
from ecotf_recorder.releases.uploads import manifest_digest, new_part
from ecotf_recorder.releases.watching import read_health

REFUSED, CANNOT, BUSY = 1, 2, 3


class Releases:
    """The commands; each returns an exit status and prints its lines."""

    def __init__(self, settings: ReleaseSettings, options: argparse.Namespace) -> None:
        self.settings = settings
        self.options = options
        self.store = ReleaseStore(settings)
        self.steps = ReleaseSteps(settings, self.store, self.report)

    def report(self, step: str, status: str, detail: str = "", **more: Any) -> None:
        """Print one JSON line and keep it in the log. Nobody may be there to read it any more, and that is fine."""
        said = {"step": step, "status": status, **({"detail": detail} if detail else {}), **more}
        line = json.dumps(said)
        try:
            print(line, flush=True)
        except OSError:
            sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - it lasts as long as the process
        if status not in ("waiting", "shown"):
            with contextlib.suppress(OSError):
                self.store.log(json.dumps({"time": now(), **said}))

    def init(self) -> int:
        """Make the folders; those that are there stay as they are."""
        moved = make_home(self.settings)
        self.settings.trusted.mkdir(parents=True, exist_ok=True)
        required = require_signature(self.settings)
        said = [f"moved to {DATA}: {', '.join(moved)}"] if moved else []
        self.report("init", "ok", "; ".join([str(self.store.state), *said, *required]))
        return 0

    def prepare(self) -> int:
        """Say where an upload goes, or that it is not needed."""
        with self.store.lock():
            self._recover()
            said = self._installed() | {"delta": VERSION}
            if self._is_present():
                self.report("prepare", "ok", present=True, **said)
                return 0
            part = new_part(self.settings, self.store, self.options.id, self.options.size)
            self.report("prepare", "ok", present=False, part=str(part), **said)
        return 0

    def blocks(self) -> int:
        """Say what the recorder has of a bundle; nothing changes."""
        from ecotf_recorder.releases.blocks import hash_blocks

        self.store.check_set_up()
        present = self._is_present()
        base = None if present else closest_release(self.store, self.options.name)
        hashes = {} if base is None else hash_blocks(self.store.folder(base) / MODEL).to_json()
        self.report("blocks", "shown", present=present, base=base, current=self.store.pointed("current"), **hashes)
        return 0

    def apply(self) -> int:
        """Make an uploaded release current."""
        part = self.store.part(self.options.part) if self.options.part else None

        def change() -> str:
            return self.steps.apply(self.options.id, part, self.options.token, self.options.allow_older)

        return detached(lambda: self._change(change), CANNOT)

    def rollback(self) -> int:
        """Go back."""

        def change() -> str:
            target = self.options.id or self.store.pointed("previous")
            if target is None:
                raise ReleaseError("there is no previous release to go back to")
            if target == self.store.pointed("current"):
                raise ReleaseError(f"{target} is current already")
            return self.steps.roll_back(target, self.options.token)

        return detached(lambda: self._change(change), CANNOT)

    def recover(self) -> int:
        """Finish or undo; runs before the recorder starts, so it restarts nothing and stops nobody."""
        moved = make_home(self.settings)
        if moved:
            self.report("home", "ok", f"moved to {DATA}: {', '.join(moved)}")
        try:
            with self.store.lock(wait_s=0):
                done = self.steps.recover(restart=False)
        except Busy:
            return 0  # a flash is restarting the recorder just now
        self.report("recover", "ok", done or "nothing to do")
        return 0

    def inbox(self) -> int:
        """Apply what waits on the card."""
        with self.store.lock(wait_s=30):
            self._recover()
            inbox = Inbox(self.settings, self.store, self.steps)
            bad = inbox.apply_all(lambda name, status, reason: self.report("inbox", status, reason, folder=name))
        return REFUSED if bad else 0

    def keys(self) -> int:
        """Say which keys are trusted, or trust one no longer."""
        if self.options.remove:
            remove_key(self.settings, self.options.remove)
        for name, fingerprint in list_keys(self.settings):
            self.report("keys", "shown", key=name, fingerprint=fingerprint)
        self.report("keys", "ok", required=self.settings.require_signature)
        return 0

    def config(self) -> int:
        """Say what the config says, or change it."""
        if not self.options.changes and self.options.table is None:
            for key, value in settings_in(read_config_text(self.settings)):
                self.report("config", "shown", key=key, value=value)
            self.report("config", "ok")
            return 0

        def change() -> str:
            new = ConfigChange(self.settings, self.store, self.report)
            return new.apply(self.options.changes, self.options.table, self.options.token)

        return detached(lambda: self._change(change), CANNOT)

    def logs(self) -> int:
        """Say the last lines of a log."""
        for line in last_lines(self.settings, self.store.log_path, self.options.source, self.options.lines):
            self.report("log", "shown", text=line)
        self.report("logs", "shown")
        return 0

    def prune(self) -> int:
        """Remove older releases, because somebody who may change the recorder says so."""
        with self.store.lock():
            self._recover()
            removed = self.store.prune(0)
        self.report("prune", "ok", ", ".join(removed) or "nothing to remove")
        return 0

    def files(self) -> int:
        """Say what could be fetched."""
        give_up_rights(self.settings.user)
        for line in tell_files(self.settings.health.parent):
            self.report("file", "shown", **line)
        self.report("files", "shown", version=1)
        return 0

    def send(self) -> int:
        """Send what was asked for."""
        give_up_rights(self.settings.user)
        for name, have, digest, end in self.options.wanted:
            try:
                for line in send_file(self.settings.health.parent, name, have, digest, end):
                    self.report("sent" if "sha256" in line else "piece", "shown", **line)
            except (OSError, ReleaseError) as error:  # a clip that gave way meanwhile
                self.report("absent", "shown", str(error), name=name)
        return 0

    def status(self) -> int:
        """Say what runs."""
        self.store.check_set_up()
        try:
            self.store.lock(wait_s=0.2).close()
            busy = False
        except Busy:
            busy = True
        health = read_health(self.settings.health)
        steady_s = (health or {}).get("steady_s")
        age_s = time.clock_gettime(time.CLOCK_BOOTTIME) - steady_s if isinstance(steady_s, (int, float)) else None
        self.report(
            "status", "shown", busy=busy, recorder=__version__, **self._installed(),
            previous=self.store.pointed("previous"), journal=self.store.read_journal(), last=self.store.read_last(),
            delta=VERSION, health=health, health_age_s=age_s, time=now(),
            free_mb=round(free_bytes(self.store.releases) / 1e6),
        )  # fmt: skip
        return 0

    def list(self) -> int:
        """Say which releases are there."""
        self.store.check_set_up()
        for release_id in self.store.ids():
            said: dict[str, Any] = {"id": release_id, "whole": self.store.is_whole(release_id)}
            if said["whole"]:
                bundle = read_bundle(self.store.folder(release_id))
                said |= {"name": bundle.name, "created": bundle.created, "bytes": bundle.size}
            said |= {link: self.store.pointed(link) == release_id for link in ("current", "previous")}
            self.report("list", "shown", **said)
        return 0

    def _change(self, change: Callable[[], str]) -> int:
        """Run a change under the lock and say how it ended, in one last line."""
        try:
            with self.store.lock():
                self._recover()
                status, detail, code = change(), "", 0
        except Busy as error:
            status, detail, code = "busy", str(error), BUSY
        except RolledBack as error:
            status, detail, code = "rolled-back", str(error), REFUSED
        except (ReleaseError, OSError) as error:
            status, detail, code = "refused", str(error), REFUSED
        except Exception as error:  # the process ends without a trace otherwise
            status, detail, code = "failed", f"{type(error).__name__}: {error}", CANNOT
        links = {link: self.store.pointed(link) for link in ("current", "previous")}
        self.report("end", status, detail, token=self.options.token, **links)
        return code

    def _is_present(self) -> bool:
        """Check that the release is there, whole, and signed as the bundle that is offered."""
        release_id, folder = self.options.id, self.store.folder(self.options.id)
        return self.store.is_whole(release_id) and manifest_digest(folder) == self.options.digest

    def _installed(self) -> dict[str, Any]:
        """What is known of board and current release before anything is sent."""
        bundle = self.store.current_bundle()
        made = {"current_created": bundle.created, "current_name": bundle.name} if bundle is not None else {}
        return {"current": self.store.pointed("current"), **made, "board": board_facts(self.settings)}

    def _recover(self) -> None:
        done = self.steps.recover(restart=True)
        if done:
            self.report("recover", "ok", done)


def main(arguments: Sequence[str]) -> int:
    """Run one command."""
    options = make_parser(__doc__ or "").parse_args(arguments)
    os.umask(0o022)  # the recorder's own user must be able to read its releases
    try:
        releases = Releases(read_settings(options.root.resolve()), options)
        status: int = getattr(releases, options.command)()
    except (ReleaseError, OSError) as error:
        print(json.dumps({"step": "end", "status": "failed", "detail": str(error)}), flush=True)
        status = BUSY if isinstance(error, Busy) else CANNOT
    return status
