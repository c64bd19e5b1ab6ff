"""The TFLite file format: flatbuffers as Python objects, without loading TensorFlow."""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from ecotf.errors import ConfigError

_IDENTIFIER = b"TFL3"


@cache
def schema() -> ModuleType:
    """Load the classes generated from TFLite's schema; only their file, not the package around it."""
    package = importlib.util.find_spec("tensorflow")
    if package is None or not package.submodule_search_locations:
        raise ConfigError("TensorFlow is not installed; it is needed to read a .tflite file's operators")
    path = Path(package.submodule_search_locations[0]) / "lite" / "python" / "schema_py_generated.py"
    spec = importlib.util.spec_from_file_location("tflite_schema", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def read_model(content: bytes, source: str) -> Any:
    """Read a ``ModelT`` from the bytes of a file; ConfigError where they are not a model."""
    if content[4:8] != _IDENTIFIER:
        raise ConfigError(f"{source}: not a TFLite model (its bytes 4 to 8 are {content[4:8]!r}, not {_IDENTIFIER!r})")
    try:
        return schema().ModelT.InitFromObj(schema().Model.GetRootAs(content, 0))
    except Exception as error:  # a cut-off buffer makes the generated code raise errors of many kinds
        raise ConfigError(f"{source}: damaged or cut off; copy it again ({type(error).__name__})") from None


def model_bytes(model: Any) -> bytes:
    """Write the flatbuffer of a ``ModelT``."""
    import flatbuffers  # type: ignore[import-untyped]

    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), file_identifier=_IDENTIFIER)
    return bytes(builder.Output())


@cache
def operator_names() -> dict[int, str]:
    """Name of each built-in operator's code."""
    return {code: name for name, code in vars(schema().BuiltinOperator).items() if not name.startswith("_")}


def operator_name(code: Any) -> str:
    """Return the name of an entry of a model's operator table; ``custom:...`` for one that is not built in."""
    name = operator_names()[operator_number(code)]
    if name != "CUSTOM":
        return name
    custom = code.customCode
    return f"custom:{custom.decode() if isinstance(custom, bytes) else custom}"


def operator_number(code: Any) -> int:
    """Return the number of an operator; older files keep it in another byte."""
    return max(code.builtinCode, code.deprecatedBuiltinCode)


def name_of(tensor: Any) -> str:
    """Return a tensor's name."""
    return tensor.name.decode() if isinstance(tensor.name, bytes) else str(tensor.name)


def tensor_map(name: str, index: int) -> Any:
    """Make an input or output of a signature."""
    entry = schema().TensorMapT()
    entry.name, entry.tensorIndex = name.encode(), index
    return entry


_ITEM_BYTES = {"FLOAT32": 4, "FLOAT16": 2, "INT32": 4, "UINT8": 1, "INT64": 8, "BOOL": 1, "INT16": 2, "COMPLEX64": 8,
               "INT8": 1, "FLOAT64": 8, "COMPLEX128": 16, "UINT64": 8, "UINT32": 4, "UINT16": 2}  # fmt: skip


@cache
def _type_names() -> dict[int, str]:
    return {code: name for name, code in vars(schema().TensorType).items() if not name.startswith("_")}


def elements_of(tensor: Any) -> int:
    """Count the numbers in a tensor."""
    return int(np.prod(shape_of(tensor), dtype=np.int64))


def shape_of(tensor: Any) -> tuple[int, ...]:
    """Return a tensor's shape; () for a scalar."""
    return () if tensor.shape is None else tuple(int(size) for size in tensor.shape)


def type_of(tensor: Any) -> str:
    """Return the name of a tensor's type in the schema, for example FLOAT32."""
    return _type_names()[tensor.type]


def bytes_of(tensor: Any) -> int:
    """Memory that a tensor takes."""
    return elements_of(tensor) * _ITEM_BYTES.get(type_of(tensor), 4)


def is_constant(model: Any, tensor: Any) -> bool:
    """Return whether the file holds the tensor's values."""
    data = model.buffers[tensor.buffer].data
    return data is not None and len(data) > 0
