"""Keep libraries quiet, and load no more of them than is used."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType

_WRAPPED = ("sklearn", "matplotlib")  # Keras has wrappers and galleries for them, which nothing here uses


def quieten_libraries() -> None:
    """Silence TensorFlow's remarks on graphics cards and instruction sets; call it before TensorFlow loads."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"(keras|tensorflow|skmultilearn|hyperopt)(\..*)?")


def load_keras_alone() -> None:
    """Let TensorFlow, once it loads, leave scikit-learn and matplotlib out: 3.4 s of a core instead of 5.7.

    Both can be imported before and after, as ever. For processes that are ecotf's own: in a user's, Keras is whole.
    """
    if not {"tensorflow", "keras"}.intersection(sys.modules) and not any(
        isinstance(finder, _KerasAlone) for finder in sys.meta_path
    ):
        sys.meta_path.insert(0, _KerasAlone())


class _KerasAlone(MetaPathFinder):
    """Finds the first of TensorFlow and Keras; while that one loads, what Keras only wraps seems not to be there."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name not in ("tensorflow", "keras"):
            return None
        sys.meta_path.remove(self)
        spec = find_spec(name)
        if spec is None or spec.loader is None:
            return None
        load = spec.loader.exec_module

        def load_alone(module: ModuleType) -> None:
            hidden = [name for name in _WRAPPED if name not in sys.modules]
            sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None: not to be imported
            try:
                load(module)
            finally:
                for name in hidden:
                    sys.modules.pop(name, None)

        spec.loader.exec_module = load_alone  # type: ignore[method-assign]
        return spec
