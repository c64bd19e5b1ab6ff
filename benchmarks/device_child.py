"""Part of `device.py`: runs in a process with numpy and tflite-runtime alone, on this processor or on an emulated one.

`python device_child.py time MODEL`: each signature's milliseconds and the peak of resident memory, as JSON.
`python device_child.py count MODEL SIGNATURE RUNS`: where the runtime lies in memory, then so many runs.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np

_TIMED_S, _LEAST = 2.0, 20
_EVERYTHING = "serving_default"


def main(arguments: list[str]) -> None:
    """Time a model, or run it to be counted."""
    from tflite_runtime.interpreter import Interpreter

    interpreter = Interpreter(arguments[1], num_threads=1)
    interpreter.allocate_tensors()
    if arguments[0] == "count":
        print(json.dumps(_places()), flush=True)
        run = _runner(interpreter, arguments[2])
        for _ in range(int(arguments[3])):
            run()
        return
    signatures = list(interpreter.get_signature_list())
    # A recorder that looks for peaks itself runs all but the whole chain.
    used = [name for name in signatures if name != _EVERYTHING] or [_EVERYTHING]
    ms = {name: _best_ms(_runner(interpreter, name)) for name in used}
    print(json.dumps({"ms": ms, "peak_mb": _status("VmHWM") / 1024}))


def _runner(interpreter: Any, signature: str) -> Any:
    """A function that runs a signature once, on noise; a file without signatures by its tensors."""
    rng = np.random.default_rng(0)

    def noise(details: dict[str, Any]) -> np.ndarray:
        if details["dtype"] == np.int16:
            return rng.normal(0, 1000, details["shape"]).astype(np.int16)
        return rng.uniform(-0.1, 0.1, details["shape"]).astype(np.float32)

    if signature in interpreter.get_signature_list():
        runner = interpreter.get_signature_runner(signature)
        inputs = {name: noise(details) for name, details in runner.get_input_details().items()}
        return lambda: runner(**inputs)
    details = interpreter.get_input_details()[0]
    sound = noise(details)

    def run() -> None:
        interpreter.set_tensor(details["index"], sound)
        interpreter.invoke()

    return run


def _best_ms(run: Any) -> float:
    """Processor time of one thread, the best of two seconds: it says what the work takes, on a busy machine too."""
    times: list[float] = []
    until = perf_counter() + _TIMED_S
    while len(times) < _LEAST or perf_counter() < until:
        began = process_time()
        run()
        times.append(1000 * (process_time() - began))
    return min(times)


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def _places() -> list[int]:
    """First and last address of the runtime's code."""
    parts = [line.split() for line in Path("/proc/self/maps").read_text(encoding="utf-8").splitlines()]
    code = [part[0].split("-") for part in parts if len(part) > 5 and "tflite_runtime" in part[5] and "x" in part[1]]
    return [min(int(first, 16) for first, _ in code), max(int(last, 16) for _, last in code)]


if __name__ == "__main__":
    main(sys.argv[1:])
