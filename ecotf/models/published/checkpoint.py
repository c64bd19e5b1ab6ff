"""Read a PyTorch checkpoint into numpy; nothing in it is executed."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ecotf.errors import ConfigError

_INSIDE = ("model", "state_dict")  # keys under which trainings keep the tensors


def read_checkpoint(path: str | Path) -> dict[str, np.ndarray]:
    """Read the tensors of a checkpoint, ``name -> array``; numbers become float32.

    Raises
    ------
    ConfigError
        PyTorch is not installed; the file is missing, damaged, or holds anything but tensors.

    Examples
    --------
    >>> read_checkpoint("Cnn14_mAP=0.431.pth")["fc1.weight"].shape  # doctest: +SKIP
    (2048, 2048)
    """
    path = Path(path)
    if not path.is_file():
        raise ConfigError(f"{path}: there is no such file")
    try:
        import torch
    except ImportError:
        raise ConfigError(
            "a PyTorch checkpoint is read with PyTorch, which is not installed: pip install 'ecotf[torch]'"
        ) from None
    try:
        # Trainings keep the state of their sampler, numpy arrays, beside the tensors.
        with torch.serialization.safe_globals(_numpy_globals()):
            kept = torch.load(path, weights_only=True, map_location="cpu")
    except (OSError, EOFError, RuntimeError, ValueError, KeyError, pickle.UnpicklingError) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ConfigError(f"{path}: no checkpoint that PyTorch can read, or damaged ({first[:120]})") from None
    for key in _INSIDE:
        if isinstance(kept, Mapping) and isinstance(kept.get(key), Mapping):
            kept = kept[key]
    tensors = kept if isinstance(kept, Mapping) else {}
    if not tensors or not all(isinstance(value, torch.Tensor) for value in tensors.values()):
        raise ConfigError(f"{path}: holds no state dict; expected tensors by name, or those under 'model'")
    return {_plain(name): _array(tensor) for name, tensor in tensors.items()}


def _plain(name: Any) -> str:
    """The name of a tensor, without what training on several processors puts before it."""
    return str(name).removeprefix("module.")


def _array(tensor: Any) -> np.ndarray:
    return np.asarray(tensor.detach().to("cpu").float().numpy() if tensor.is_floating_point() else tensor.numpy())


def _numpy_globals() -> list[Any]:
    """The types that plain numpy arrays are pickled with."""
    kinds = (np.bool_, np.int32, np.int64, np.float32, np.float64)
    makers = [np.zeros(1).__reduce__()[0], np.float64(0).__reduce__()[0]]
    return [np.ndarray, np.dtype, *makers, *(type(np.dtype(kind)) for kind in kinds)]
