"""Reading the arrays of an ``.npz`` from a stranger: object arrays are pickles, and a pickle can run any program.

So the pickles are read with an unpickler that knows numpy's arrays and plain Python values, and nothing else.
"""

from __future__ import annotations

import pickle
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from ecotf.errors import DataError

# What numpy's own pickles name; "_core" is numpy 2, "_codecs.encode" carries bytes in old protocols.
_ALLOWED = {
    (f"numpy.{core}.{module}", name)
    for core in ("core", "_core")
    for module, name in (("multiarray", "_reconstruct"), ("multiarray", "scalar"), ("numeric", "_frombuffer"))
} | {("numpy", "ndarray"), ("numpy", "dtype"), ("_codecs", "encode"), ("builtins", "bytes"), ("__builtin__", "bytes")}


class _ArraysOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it wants to call {module}.{name}, which no annotation file needs")
        return super().find_class(module, name)


def read_npz(path: str | Path) -> dict[str, np.ndarray]:
    """Read all arrays of an ``.npz``, object arrays and those of Python 2 included, without running foreign code.

    Raises
    ------
    DataError
        The file is not there, not an ``.npz``, damaged, or holds anything other than arrays, text and numbers.
    """
    path = Path(path)
    arrays: dict[str, np.ndarray] = {}
    name = "of contents"
    try:
        with zipfile.ZipFile(path) as archive:
            for name in (member.removesuffix(".npy") for member in archive.namelist() if member.endswith(".npy")):
                with archive.open(f"{name}.npy") as stream:
                    arrays[name] = _read_array(stream)
    except pickle.UnpicklingError as error:
        raise DataError(f"{path}: array {name!r} is refused: {error}") from None
    except (zipfile.BadZipFile, RuntimeError):  # RuntimeError: a zip that is locked, or of an unknown kind
        raise DataError(f"{path}: not a complete .npz file") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from None
    # What a damaged array or a malformed pickle raises is not one family of errors.
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, EOFError, ImportError, zlib.error) as error:
        raise DataError(f"{path}: array {name!r} is damaged ({type(error).__name__})") from None
    return arrays


def _read_array(stream: Any) -> np.ndarray:
    version = np.lib.format.read_magic(stream)
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran_order, dtype = read_header(stream)
    if dtype.hasobject:
        return np.asarray(_ArraysOnly(stream, encoding="latin1").load(), dtype=object).reshape(shape)
    count = int(np.prod(shape, dtype=np.int64))
    values = np.frombuffer(stream.read(count * dtype.itemsize), dtype=dtype, count=count)
    return values.reshape(shape, order="F" if fortran_order else "C")
