"""Keep libraries quiet: remarks that tell a field ecologist nothing."""

from __future__ import annotations

import logging
import os
import warnings


def quieten_libraries() -> None:
    """Silence TensorFlow's remarks on graphics cards and instruction sets; call it before TensorFlow loads."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"(keras|tensorflow|skmultilearn|hyperopt)(\..*)?")
