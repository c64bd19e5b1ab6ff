"""A device model: one ``.tflite`` file with its description in an appended zip."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecotf_recorder.errors import ModelError
from ecotf_recorder.facts import PeakFacts, SegmentFacts, read_facts
from ecotf_recorder.runtime import open_interpreter

_MOST_BYTES = 16 << 20  # of a member: a few bytes in a zip can stand for gigabytes
_NEEDED = {
    "peaks": {"spectrogram": ("sound", "frames"), "score": ("patch", "scores")},
    "segments": {"serving_default": ("sound", "scores")},
}


class DeviceModel:
    """A model that is ready to run, with batches of one. Not for several threads at once.

    Parameters
    ----------
    path
        The ``.tflite`` file.
    threads
        Of the interpreter.

    Attributes
    ----------
    facts
        What the file says about itself: `PeakFacts` or `SegmentFacts`.
    id
        The first 12 hexadecimal digits of the file's SHA-256, which is also the name of its release.

    Raises
    ------
    ModelError
        No device model, a damaged one, or one that this runtime cannot run; one sentence.
    """

    def __init__(self, path: str | Path, threads: int = 1) -> None:
        self.path = Path(path)
        self.facts: Any = describe(self.path)
        self.id = digest(self.path)[:12]
        interpreter, self.runtime = open_interpreter(self.path, threads)
        signatures = interpreter.get_signature_list()
        needed = _NEEDED[self.facts.kind]
        for name, (takes, gives) in needed.items():
            signature = signatures.get(name, {})
            if takes not in signature.get("inputs", ()) or gives not in signature.get("outputs", ()):
                raise ModelError(f"{self.path}: has no signature {name}({takes}) -> {gives}; export it again")
        self._interpreter = interpreter  # the runners hold no reference that keeps it alive in every runtime
        self._inputs = {name: tuple(signatures[name]["inputs"]) for name in needed}
        self._runners = {name: interpreter.get_signature_runner(name) for name in needed}

    def spectrogram(self, sound: NDArray[Any]) -> NDArray[np.float32]:
        """Scaled frames, float32 ``[chunk_frames, rows]``, of ``[chunk_samples]`` samples of type ``facts.takes``."""
        return np.asarray(self._runners["spectrogram"](sound=sound[None])["frames"][0])

    def run(self, signature: str, given: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float32]]:
        """All outputs of a signature of one example; ``given`` is ``signature.input`` to its array, with its batch."""
        inputs = {name: given[f"{signature}.{name}"] for name in self._inputs[signature]}
        return dict(self._runners[signature](**inputs))

    @property
    def signatures(self) -> tuple[str, ...]:
        """The names of the signatures that the recorder runs."""
        return tuple(self._runners)

    def score(self, patch: NDArray[np.float32], measures: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """Scores ``[1 + species]``, "not a call" first, of a patch ``[1, columns, bands, 1]``."""
        if self.facts.measures:
            return np.asarray(self._runners["score"](patch=patch, measures=measures)["scores"][0])
        return np.asarray(self._runners["score"](patch=patch)["scores"][0])

    def segment(self, sound: NDArray[Any]) -> dict[str, NDArray[np.float32]]:
        """``scores`` ``[classes]`` of a segment, and ``frames`` ``[t, classes]`` where the model gives them.

        ``sound`` is the window around it, ``[samples]`` of type ``facts.takes``.
        """
        outputs = self._runners["serving_default"](sound=sound[None])
        return {name: np.asarray(values[0]) for name, values in outputs.items()}


def describe(path: Path) -> PeakFacts | SegmentFacts:
    """Read the description of a device model, without loading it into a runtime."""
    try:
        text = member(path, "model.json")
        _check_flatbuffer(path, json.loads(text).get("flatbuffer"))
        return read_facts(text)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from None
    except (ValueError, AttributeError):
        raise ModelError(f"{path}: its model.json is not JSON") from None


def member(path: Path, name: str) -> bytes:
    """A member of the zip at the end of a device model."""
    try:
        with zipfile.ZipFile(path) as archive:
            found = archive.getinfo(name)
            if found.file_size > _MOST_BYTES:
                raise ModelError(f"its {name} would be {found.file_size:,} bytes; allowed: {_MOST_BYTES:,}")
            if found.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise ModelError(f"its {name} is packed in a way that ecotf never uses")
            # A stated size may be a lie: read() without one would unpack everything before it looks.
            with archive.open(found) as opened:
                return opened.read(found.file_size)
    except OSError as error:
        raise ModelError(f"cannot be read ({error.strerror or error})") from None
    except zipfile.BadZipFile:
        raise ModelError("is no device model, or is cut off: no zip at its end") from None
    except KeyError:
        raise ModelError(f"is no device model: there is no {name} in it") from None
    except (RuntimeError, EOFError, zipfile.zlib.error):  # type: ignore[attr-defined]
        raise ModelError(f"is damaged: its {name} cannot be unpacked") from None


def digest(path: Path, size: int | None = None) -> str:
    """SHA-256 of a file, or of its first ``size`` bytes."""
    found, left = hashlib.sha256(), size
    with open(path, "rb") as file:
        while piece := file.read(1 << 16 if left is None else min(1 << 16, left)):
            found.update(piece)
            left = None if left is None else left - len(piece)
    return found.hexdigest()


def _check_flatbuffer(path: Path, stated: Any) -> None:
    """A damaged flatbuffer can end the process, so it is compared before the runtime sees it."""
    if stated is not None and digest(path, int(stated["bytes"])) != stated["sha256"]:
        raise ModelError("is damaged: its flatbuffer does not have the checksum that it had when it was exported")
