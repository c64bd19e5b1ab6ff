"""The commands of a recorder; each imports what it needs, so that ``status`` loads no numpy."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ecotf_recorder.errors import RecorderError
from ecotf_recorder.strangers import on_one_line

EXAMPLES = """\
  ecotf-recorder run --config /etc/ecotf/config.toml
  ecotf-recorder status
  ecotf-recorder check-config --config config.toml
  ecotf-recorder selftest /var/lib/ecotf/current/model.tflite
  ecotf-recorder classify model.tflite night/*.wav --output detections/
"""
DEFAULT_CONFIG = Path("/etc/ecotf/config.toml")


def main(arguments: Sequence[str]) -> int:
    """Run one command; a mistake of the user gives one line and exit status 2."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.command(options))
    except RecorderError as error:
        for line in str(error).splitlines():
            print(on_one_line(line), file=sys.stderr)
        return 1 if options.name == "selftest" else 2
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ecotf-recorder",
        description="Listen, find and name calls, with one exported model.",
        epilog=f"examples:\n{EXAMPLES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="name", required=True, metavar="COMMAND")

    run = commands.add_parser("run", help="listen until it is stopped")
    run.add_argument("--config", type=Path, default=DEFAULT_CONFIG, metavar="FILE")
    run.set_defaults(command=_run)

    classify = commands.add_parser("classify", help="classify WAV files; write detections.csv and ledger.csv")
    classify.add_argument("model", type=Path, metavar="MODEL")
    classify.add_argument("recordings", nargs="+", metavar="WAV")
    classify.add_argument("--output", type=Path, required=True, metavar="FOLDER")
    classify.add_argument("--channel", type=int, help="a channel's number, counted from 1 (the mean of all)")
    classify.add_argument("--time-expansion", type=float, metavar="FACTOR", help="for recordings that do not give it")
    classify.add_argument("--time-zone", metavar="ZONE", help="for times without a zone, such as Europe/Brussels")
    classify.add_argument("--threads", type=int, default=1, help="threads of the model (1)")
    classify.set_defaults(command=_classify)

    selftest = commands.add_parser("selftest", help="check that this board gives the same numbers as the desktop")
    selftest.add_argument("model", type=Path, metavar="MODEL")
    selftest.set_defaults(command=_selftest)

    status = commands.add_parser("status", help="show the state of the recorder")
    status.add_argument("--config", type=Path, default=DEFAULT_CONFIG, metavar="FILE")
    status.add_argument("--root", type=Path, help="another state folder than the one in the config")
    status.add_argument("--json", action="store_true", help="print JSON, for other programs")
    status.set_defaults(command=_status)

    mqtt = commands.add_parser("mqtt", help="tell an MQTT broker what is heard; a service of its own")
    mqtt.add_argument("--config", type=Path, default=DEFAULT_CONFIG, metavar="FILE")
    mqtt.set_defaults(command=_mqtt)

    check = commands.add_parser("check-config", help="print one line for each mistake in a config file")
    check.add_argument("--config", type=Path, default=DEFAULT_CONFIG, metavar="FILE")
    check.set_defaults(command=_check_config)

    return parser


def _classify(options: argparse.Namespace) -> int:
    from ecotf_recorder.classify import FINE, Outcome, classify
    from ecotf_recorder.model import DeviceModel
    from ecotf_recorder.times.beginning import time_zone_of

    zone = None if options.time_zone is None else time_zone_of(options.time_zone)
    if options.time_expansion is not None and not 0 < options.time_expansion < float("inf"):
        raise RecorderError(f"--time-expansion {options.time_expansion:g}: a factor above 0, such as 10")
    seconds = used = 0.0

    def report(name: str, outcome: Outcome, took_s: float) -> None:
        nonlocal seconds, used
        seconds, used = seconds + outcome.duration_s, used + took_s
        said = f"{len(outcome.detections)} detections" if outcome.status == "done" else outcome.status
        print(on_one_line(f"{name}: {said}: {outcome.reason}" if outcome.reason else f"{name}: {said}"))

    model = DeviceModel(options.model, options.threads)
    counts = classify(model, options.recordings, options.output, options.channel, options.time_expansion, zone, report)
    said = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
    print(f"recordings: {said}; {seconds:.1f} s of sound, {seconds / used if used else 0:.1f} times real time")
    fine = sum(counts.get(status, 0) for status in FINE)
    return 2 if not fine else 0 if fine == len(options.recordings) else 1


def _selftest(options: argparse.Namespace) -> int:
    from ecotf_recorder.model import DeviceModel
    from ecotf_recorder.selftest import selftest

    print(selftest(DeviceModel(options.model)))
    return 0


def _run(options: argparse.Namespace) -> int:
    from ecotf_recorder.run import run

    return run(options.config)


def _status(options: argparse.Namespace) -> int:
    from ecotf_recorder.status import show_status

    return show_status(options.config, options.root, options.json)


def _mqtt(options: argparse.Namespace) -> int:
    from ecotf_recorder.mqtt import run_mqtt

    return run_mqtt(options.config)


def _check_config(options: argparse.Namespace) -> int:
    from ecotf_recorder.config_check import check_config

    return check_config(options.config)
