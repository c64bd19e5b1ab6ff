"""The run folder: everything one training made, written whole, resumed after a kill, read by inference and export."""

from ecotf.runs.environment import environment_facts
from ecotf.runs.folder import RunFolder

__all__ = ["RunFolder", "environment_facts"]
