"""Measure the cost of exported models on a recorder, beside YAMNet.

    python benchmarks/device.py bundles/*/model.tflite --yamnet yamnet.tflite --output device.json
    python benchmarks/device.py --runs runs/birds/small --yamnet yamnet.tflite
    python benchmarks/device.py --recipes tagging/mn02 tagging/mn04 tagging/small --yamnet yamnet.tflite

For each file, for one second of sound: milliseconds of this processor (tflite-runtime, one thread, its fast kernels as
on a board), instructions of an emulated Cortex-A53, multiply-adds; and the peak of resident memory of a process that
has Python, numpy, the runtime and the model, and nothing else. A model of peaks takes its spectrogram all the time and
its score as often as peaks were heard when it was exported; a model of segments answers once a segment, and its figures
are divided by the segment's seconds; YAMNet takes one window of 0.975 s after the other. A recipe of clips is measured
with weights that have learned nothing (`untrained_run.py`): its costs are the same.

Instructions are counted in the runtime's own code (its kernels are inside it) by qemu-user, which writes down every
block of code that it runs; two runs less one, so that loading does not count. tests/recorder/test_aarch64.py puts the
emulated Python together; without it that column is left out.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from untrained_run import untrained_run  # noqa: E402

from ecotf.export.describe.container import read_model_file  # noqa: E402
from ecotf.export.describe.costs import runs_per_second, signature_costs  # noqa: E402

CHILD = ROOT / "benchmarks" / "device_child.py"
YAMNET_WINDOW_S = 0.975
PRECISIONS = {"peaks": ("f32", "int8"), "clips": ("f32", "f16", "int8")}


@dataclass(frozen=True)
class Figures:
    """One model's costs; those with ``_s`` are for a second of sound."""

    name: str
    ms_s: float
    million_instructions_s: float | None
    million_multiply_adds_s: float
    peak_mb: float
    size_mb: float
    runs_s: dict[str, float]


class Emulated:
    """A Python of a Cortex-A53 that counts what the runtime does."""

    def __init__(self, place: Path) -> None:
        self.root, self.packages = place / "root", place / "site-packages"
        self.qemu = place / "qemu" / "usr" / "bin" / "qemu-aarch64-static"
        self._place: list[int] | None = None

    @property
    def missing(self) -> str:
        """Why nothing can be counted; empty where it can."""
        for path in (self.qemu, self.root / "usr" / "bin" / "python3.11", self.packages):
            if not path.exists():
                return f"{path} is not there; pytest tests/recorder/test_aarch64.py makes it"
        return ""

    def instructions(self, model: Path, signature: str) -> float:
        """Instructions of one run of a signature."""
        if self._place is None:
            self._place = self._run(model, signature, 0, None)[0]
        once, twice = (self._run(model, signature, runs, self._place)[1] for runs in (1, 2))
        return twice - once

    def _run(self, model: Path, signature: str, runs: int, place: list[int] | None) -> tuple[list[int], int]:
        """Where the runtime lies, and how many instructions it took there."""
        python = self.root / "usr" / "bin" / "python3.11"
        # Without a random layout the runtime lies at the same place every time.
        command = ["setarch", "-R", self.qemu, "-cpu", "cortex-a53", "-L", self.root]
        read, write = os.pipe()
        if place is not None:
            code = f"{place[0]:#x}..{place[1]:#x}"
            command += ["-d", "in_asm,exec,nochain", "-dfilter", code, "-D", f"/dev/fd/{write}"]
        command += [python, CHILD, "count", model, signature, runs]
        environment = {**os.environ, "PYTHONPATH": str(self.packages), "PYTHONDONTWRITEBYTECODE": "1"}
        process = subprocess.Popen(
            [str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment,
            pass_fds=[write],
        )  # fmt: skip
        os.close(write)
        with os.fdopen(read, "rb", buffering=1 << 20) as log:
            counted = count_instructions(log)
        assert process.stdout is not None
        said = process.stdout.read()
        if process.wait():
            raise SystemExit(f"{model}: the emulated run failed")
        found = json.loads(said.splitlines()[0])
        if place is not None and found != place:
            raise SystemExit("the runtime was loaded to another place; nothing was counted")
        return found, counted


def count_instructions(log: Any) -> int:
    """Blocks that were run times the instructions in each, from qemu's log."""
    runs: Counter[bytes] = Counter()
    sizes: dict[bytes, int] = {}
    block = b""
    for line in log:
        if line.startswith(b"Trace"):
            runs[line.split(b"/", 2)[1]] += 1
        elif line.startswith(b"0x"):
            if not block:
                block = line[2:].split(b":", 1)[0].rjust(16, b"0")
                sizes[block] = 0
            sizes[block] += 1
        elif line.startswith(b"---"):
            block = b""
    lost = [address for address in runs if address not in sizes]
    if lost:
        raise SystemExit(f"{len(lost)} blocks of code were run that qemu's log does not show")
    return sum(sizes[address] * n for address, n in runs.items())


def measure(name: str, path: Path, emulated: Emulated | None) -> Figures:
    """Return all figures of one file."""
    file = read_model_file(path)
    costs = signature_costs(file.flatbuffer, str(path))
    rates = runs_per_second(file.values) if file.values else {next(iter(costs)): 1 / YAMNET_WINDOW_S}
    bare = path
    with tempfile.TemporaryDirectory() as folder:
        if file.values:  # what the runtime reads, without the description
            bare = Path(folder) / "model.tflite"
            bare.write_bytes(file.flatbuffer)
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        command = [sys.executable, str(CHILD), "time", str(bare)]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
        found = json.loads(done.stdout)
        million = None
        if emulated is not None:
            million = sum(rate * emulated.instructions(bare, signature) for signature, rate in rates.items()) / 1e6
    ms_of = found["ms"]  # a file without signatures is timed by the name of the usual one
    ms = sum(rate * ms_of[name if name in ms_of else "serving_default"] for name, rate in rates.items())
    adds = sum(rate * costs[signature].multiply_adds for signature, rate in rates.items()) / 1e6
    return Figures(name, ms, million, adds, found["peak_mb"], path.stat().st_size / 1e6, rates)


def exports_of(run: Path, folder: Path) -> list[tuple[str, Path]]:
    """A run's files at the usual precisions, made now."""
    from ecotf.commands.export_model import load_exportable
    from ecotf.export.export import ExportJob, ParityError, export_run
    from ecotf.export.settings import ExportSettings

    loaded = load_exportable(run)
    rate = loaded.sample_rate or 384_000
    made = []
    for precision in PRECISIONS["clips" if loaded.sample_rate else "peaks"]:
        output = folder / f"{run.parent.name}_{run.name}_{precision}"
        settings = ExportSettings(precision=precision, rate=rate)
        try:
            export_run(loaded, output, settings, ExportJob(), tell)
        except ParityError as error:
            print(f"{run} at {precision}: {error}", file=sys.stderr)
            continue
        made.append((name_of(output / "model.tflite"), output / "model.tflite"))
    return made


def tell(line: str) -> None:
    """Say what is going on, beside the figures."""
    print(line, file=sys.stderr)


def name_of(path: Path) -> str:
    """Return the name that a file gives itself."""
    values = read_model_file(path).values
    return f"{values['name']} {values['precision']}" if values else path.stem


def table(figures: list[Figures], beside: Figures | None) -> str:
    """For people; ratios are YAMNet's figure over the model's, so more is better."""
    lines = [
        "| for a second of sound | ms | M instructions | M multiply-adds | peak memory, MB | file, MB "
        "| YAMNet/this: ms | instructions |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for one in figures:
        million = "-" if one.million_instructions_s is None else f"{one.million_instructions_s:.1f}"
        ratios = ["", ""]
        if beside is not None:
            ratios[0] = f"{beside.ms_s / one.ms_s:.1f}"
            if one.million_instructions_s and beside.million_instructions_s:
                ratios[1] = f"{beside.million_instructions_s / one.million_instructions_s:.1f}"
        lines.append(
            f"| {one.name} | {one.ms_s:.2f} | {million} | {one.million_multiply_adds_s:.1f} | {one.peak_mb:.0f} "
            f"| {one.size_mb:.2f} | {ratios[0]} | {ratios[1]} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure what is given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", type=Path, metavar="FILE", help="exported model files")
    parser.add_argument("--runs", nargs="*", type=Path, default=[], metavar="RUN", help="runs, or folders of runs")
    parser.add_argument("--recipes", nargs="*", default=[], metavar="NAME", help="recipes of clips, untrained")
    parser.add_argument("--classes", type=int, default=527, help="of the untrained ones (527, as in AudioSet)")
    parser.add_argument("--yamnet", type=Path, help="yamnet.tflite, to compare with")
    parser.add_argument("--emulated", type=Path, default=ROOT / "build" / "aarch64", help="the emulated Python")
    parser.add_argument("--no-emulation", action="store_true", help="count no instructions")
    parser.add_argument("--output", type=Path, help="a JSON file for the figures")
    options = parser.parse_args()
    emulated: Emulated | None = Emulated(options.emulated)
    if options.no_emulation or emulated.missing:
        print(f"no instructions are counted: {'not asked for' if options.no_emulation else emulated.missing}")
        emulated = None
    with tempfile.TemporaryDirectory() as folder:
        files = [(name_of(path), path) for path in options.models]
        runs = list(options.runs)
        for number, name in enumerate(options.recipes):
            runs.append(untrained_run(name, options.classes, Path(folder) / str(number), tell))
        for given in runs:
            for recipe in sorted(given.rglob("recipe.yaml")):
                files += exports_of(recipe.parent, Path(folder))
        beside = None if options.yamnet is None else measure("YAMNet", options.yamnet, emulated)
        figures = []
        for name, path in files:
            figures.append(measure(name, path, emulated))
            print(table(figures[-1:], None).splitlines()[-1], file=sys.stderr)
    figures += [beside] if beside is not None else []
    print(table(figures, beside))
    if options.output is not None:
        options.output.write_text(json.dumps([asdict(one) for one in figures], indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
