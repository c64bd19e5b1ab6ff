"""The compiled kernels: ``events``, and ``spectrogram`` and ``search`` in the fastest build that this processor runs.

The environment variable ECOTF_KERNELS forces a build of those two: v4 (AVX-512), v3 (AVX2), v2 (SSE 4) or portable.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from types import ModuleType

from ecotf.errors import ConfigError, EcotfError

_NOT_BUILT = "the kernels are not built; run: python setup.py build_ext --inplace"


class KernelsNotBuiltError(EcotfError, ImportError):
    """The Cython kernels have not been compiled."""


def _choose() -> str:
    available = [level for level in cpu.levels() if importlib.util.find_spec(f"ecotf._kernels.spectrogram_{level}")]
    forced = os.environ.get("ECOTF_KERNELS", "")
    if forced and forced not in available:
        raise ConfigError(f"ECOTF_KERNELS={forced!r} cannot run here; allowed: {', '.join(available)}")
    return forced or available[0]


try:
    cpu: ModuleType = importlib.import_module("ecotf._kernels.cpu")
    events: ModuleType = importlib.import_module("ecotf._kernels.events")
    level: str = _choose()
    spectrogram: ModuleType = importlib.import_module(f"ecotf._kernels.spectrogram_{level}")
except (ImportError, IndexError) as error:
    raise KernelsNotBuiltError(_NOT_BUILT) from error

__all__ = ["KernelsNotBuiltError", "events", "level", "search", "spectrogram"]

search: ModuleType


def __getattr__(name: str) -> ModuleType:
    """Load the search kernels when they are first used."""
    if name != "search":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return importlib.import_module(f"ecotf._kernels.search_{level}")
    except ImportError as error:
        raise KernelsNotBuiltError(_NOT_BUILT) from error
