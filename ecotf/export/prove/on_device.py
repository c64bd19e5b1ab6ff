"""A model file as a device runs it: ``python -m ecotf.export.prove.on_device REQUEST.json``.

It is a process of its own, so that nothing that was loaded to make the file can help it to run, and it loads little
before the model, so that the memory it measures is the model's. What it has to say goes into ``rehearsal.json`` and
``rehearsal.npz`` in the request's folder.
"""

from __future__ import annotations

import json
import sys
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

_HEAVY = ("tensorflow", "keras", "xgboost", "torch")
_TIMED = 30


def main(request_path: Path) -> None:
    """Load the model, run it, and write down what it did."""
    from ecotf.export.prove.runtime import open_interpreter

    request = json.loads(request_path.read_text(encoding="utf-8"))
    folder = Path(request["folder"])
    given: dict[str, np.ndarray] = {}
    if request["inputs"] is not None:
        with np.load(request["inputs"]) as inputs:
            given = {name: inputs[name] for name in inputs.files}
    before = _resident_mb()
    try:
        interpreter = open_interpreter(request["model"])
    except (ValueError, RuntimeError) as error:
        _write(folder, {"refused": str(error)}, {})
        return
    facts: dict[str, Any] = {"runtime": f"tflite-runtime {version('tflite-runtime')}", "ms": {}}
    arrays: dict[str, np.ndarray] = {}
    if request["inputs"] is not None:
        signatures = list(interpreter.get_signature_list())
        # A recorder that looks for peaks itself never runs the whole chain, whose memory is then never touched.
        used = [name for name in signatures if name != "serving_default"] or signatures
        for signature in used:
            _run(interpreter, signature, {name: values[:1] for name, values in given.items()}, {})
        facts["memory_mb"] = _resident_mb() - before
        for signature in signatures:
            arrays |= _run(interpreter, signature, given, facts["ms"])
        arrays |= _run_between(request["intermediate"], given)
        if request["detector"] is not None:
            _detect(interpreter, request, given).to_parquet(folder / "candidates.parquet")
    facts["loaded"] = [name for name in _HEAVY if name in sys.modules]
    _write(folder, facts, arrays)


def _run(interpreter: Any, signature: str, given: dict[str, np.ndarray], ms: dict[str, float]) -> dict[str, np.ndarray]:
    """Compute all outputs of one signature for its examples, which are called ``signature.input``."""
    runner = interpreter.get_signature_runner(signature)
    names = list(runner.get_input_details())
    examples = {name: given[f"{signature}.{name}"] for name in names}
    results: dict[str, list[np.ndarray]] = {}
    times = []
    n = len(examples[names[0]])
    for at in [*range(n), *range(min(n, _TIMED))]:
        row = {name: values[at : at + 1] for name, values in examples.items()}
        began = perf_counter()
        outputs = runner(**row)
        times.append(1000 * (perf_counter() - began))
        if len(times) <= n:
            for name, value in outputs.items():
                results.setdefault(name, []).append(value)
    if times:
        ms[signature] = min(times)  # the best says what it takes, the others what else this machine does
    return {f"{signature}.{name}": np.concatenate(values) for name, values in results.items()}


def _run_between(wanted: dict[str, Any], given: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Compute the tensors between the stages, by name."""
    from ecotf.export.prove.runtime import open_interpreter

    runner = open_interpreter(wanted["model"]).get_signature_runner(wanted["signature"])
    names = list(runner.get_input_details())
    results: dict[str, list[np.ndarray]] = {}
    for at in range(wanted["n"]):
        outputs = runner(**{name: given[f"{wanted['signature']}.{name}"][at : at + 1] for name in names})
        for name in wanted["tensors"]:
            results.setdefault(f"between.{name}", []).append(outputs[name])
    return {name: np.concatenate(values) for name, values in results.items()}


def _detect(interpreter: Any, request: dict[str, Any], given: dict[str, np.ndarray]) -> Any:
    """Candidates of the recordings."""
    import pandas as pd

    from ecotf.export.prove.file_detector import FileDetector

    detector = FileDetector.of(interpreter, request["values"], request["detector"])
    tables = [pd.DataFrame(columns=["recording", "start_s", "end_s", "low_hz", "high_hz", "label", "score"])]
    for number, name in enumerate(request["recordings"]):
        table = detector.candidates(given[f"recording.{number}"])
        table.insert(0, "recording", name)
        if len(table):
            tables.append(table)
    return pd.concat(tables[1:] or tables, ignore_index=True)


def _resident_mb() -> float:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return float("nan")


def _write(folder: Path, facts: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    np.savez(folder / "rehearsal.npz", **arrays)
    (folder / "rehearsal.json").write_text(json.dumps(facts), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
