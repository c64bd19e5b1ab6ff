"""Convert and rehearse in this process, which spares the time that others take to load what is loaded here.

That a file needs nothing of it is proved by the bundles of tests/export/test_export_command.py, made as a user's are.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from ecotf.export import export
from ecotf.export.convert.converter import check_stage, convert_saved, save_stage
from ecotf.export.export import Convert, Exported, ExportJob, make_model
from ecotf.export.exportable import Exportable
from ecotf.export.prove import on_device, rehearsal
from ecotf.export.settings import ExportSettings
from ecotf.export.stages.stage import Precision, Stage


def convert_stage(
    stage: Stage, precision: Precision = "f32", examples: Mapping[str, np.ndarray] | None = None
) -> bytes:
    """One stage as a flatbuffer."""
    if stage.made is not None:
        return stage.made
    with tempfile.TemporaryDirectory() as folder:
        save_stage(stage, Path(folder) / "saved")
        given = None if examples is None else {name: examples[name] for name in stage.inputs if name in examples}
        return convert_saved(Path(folder) / "saved", precision if stage.quantised else "f32", given)


def convert_here(
    stages: Sequence[Stage], precision: Precision, _folder: Path, examples: Mapping[str, np.ndarray] | None
) -> dict[str, bytes]:
    """As `ecotf.export.convert.converter.convert_stages`."""
    converted = {stage.name: convert_stage(stage, precision, examples) for stage in stages}
    for stage in stages:
        check_stage(converted[stage.name], stage)
    return converted


class ConvertOnce:
    """Converts the stages of one run once for each precision and kind of input; what stays float32 once for all."""

    def __init__(self, convert: Convert = convert_here) -> None:
        self.convert = convert
        self.made: dict[tuple[object, ...], bytes] = {}

    def __call__(
        self, stages: Sequence[Stage], precision: Precision, folder: Path, examples: Mapping[str, np.ndarray] | None
    ) -> dict[str, bytes]:
        keys = {
            stage.name: (precision if stage.quantised else "f32", stage.name, tuple(stage.inputs.items()))
            for stage in stages
        }
        missing = [stage for stage in stages if keys[stage.name] not in self.made]
        if missing:
            made = self.convert(missing, precision, folder, examples)
            self.made |= {keys[name]: content for name, content in made.items()}
        return {name: self.made[key] for name, key in keys.items()}


def make_here(
    run: Exportable,
    settings: ExportSettings,
    job: ExportJob,
    log: Callable[[str], None] = lambda line: None,
    convert: Convert = convert_here,
) -> Exported:
    """As `ecotf.export.export.make_model`; how much memory the file takes cannot be told from this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(on_device, "_HEAVY", ())
        patch.setattr(on_device, "_resident_mb", count(1.0).__next__)
        patch.setattr(rehearsal, "run_module", lambda _module, request, _what: on_device.main(request))
        return make_model(run, settings, job, log, convert)


@contextmanager
def converting_here(convert: Convert = convert_here, make: Callable[..., Exported] = make_here) -> Iterator[None]:
    """Also where the command or `ecotf.export.export.export_run` converts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export, "make_model", partial(make, convert=convert))
        yield
