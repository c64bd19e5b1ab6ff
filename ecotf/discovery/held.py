"""The output folder of a job that clusters, held while it runs, and what the job is asked."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ecotf
from ecotf.datasets.manifest import Manifest
from ecotf.discovery import folder as names
from ecotf.discovery.options import REGIONS, ClusterOptions
from ecotf.discovery.report import REPORT
from ecotf.embeddings.store import Embeddings
from ecotf.errors import ConfigError
from ecotf.files import explain_write_errors, remove_partials
from ecotf.inference.held_folder import HeldFolder
from ecotf.inference.question import NAME as QUESTION
from ecotf.inference.question import Question
from ecotf.models.embedders import Embedder
from ecotf.tasks.cluster_recipe import ClusterRecipe


class ClusterFolder(HeldFolder):
    """The output folder, held while the job runs."""

    def __init__(self, folder: Path, now: Question, resume: bool, overwrite: bool) -> None:
        super().__init__(folder, QUESTION)
        try:
            self._begin(now, resume, overwrite)
            remove_partials(folder)
        except BaseException:
            self.close()
            raise

    def _begin(self, now: Question, resume: bool, overwrite: bool) -> None:
        # What is removed first is what makes it a finished folder.
        files = (names.CLIPS, REPORT, names.ITERATIONS, names.JOURNAL, names.ABOUT, QUESTION)
        folders = (names.STEPS, names.EMBEDDINGS, REGIONS)
        present = [name for name in (*files, *folders) if (self.folder / name).exists()]
        if present and QUESTION not in present:
            raise ConfigError(f"{self.folder} holds {present[0]} and no {QUESTION}; give another --output")
        if QUESTION in present:
            old = Question.read(self.folder)
            if old.formats != now.formats:
                raise ConfigError(f"{self.folder} holds another kind of job; give another --output")
            if names.JOURNAL in present and (self.folder / names.JOURNAL).stat().st_size and overwrite:
                raise ConfigError(
                    f"{self.folder} holds names that a person gave ({names.JOURNAL}); move that file away, or give "
                    "another --output"
                )
            if not resume and not overwrite:
                raise ConfigError(f"{self.folder} holds a job already: --resume continues it, --overwrite replaces it")
            if resume:
                old.require_same(now, self.folder)
                return
            for name in files[:-1]:
                with explain_write_errors(self.folder / name):
                    (self.folder / name).unlink(missing_ok=True)
            for name in folders:
                shutil.rmtree(self.folder / name, ignore_errors=True)
        now.write(self.folder)


def question_of(
    what: Sequence[str | Path] | Manifest | Embeddings, recipe: ClusterRecipe, embedder: Embedder | None,
    options: ClusterOptions,
) -> Question:  # fmt: skip
    """Say what a job is asked, so that another one is never taken for it."""
    if isinstance(what, Embeddings):
        kind, model, title = "embeddings", {str(what.folder): what.about.digest}, what.about.embedder
        paths = [os.path.realpath(what.folder)]
    else:
        assert embedder is not None
        kind = "annotations of a manifest" if isinstance(what, Manifest) else "recordings"
        model, title = {str(embedder.config.model): embedder.digest}, embedder.title
        files = [what.path_of(name) for name in what.recordings] if isinstance(what, Manifest) else list(what)
        paths = sorted({os.path.realpath(path) for path in files})
    asked: dict[str, Any] = {
        "clips": kind if options.regions is None else "regions of interest",
        "recordings": f"{len(paths)} ({_digest(paths)})",
        "channel": options.channel, "time expansion": options.time_expansion, "salvage": options.salvage,
        "recipe": recipe.model_dump(mode="json", exclude={"description"}),
        "regions": None if options.regions is None else options.regions.model_dump(mode="json"),
    }  # fmt: skip
    return Question(ecotf.__version__, model, title, asked, ("clusters",), "")


def _digest(paths: list[str]) -> str:
    return hashlib.blake2b("\n".join(paths).encode("utf-8", "surrogateescape"), digest_size=4).hexdigest()
