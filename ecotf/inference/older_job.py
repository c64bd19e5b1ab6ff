"""The job that an output folder holds already: gone on with, or removed with all that it wrote."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from ecotf.errors import ConfigError
from ecotf.files import explain_write_errors
from ecotf.inference import ledger, question, records
from ecotf.inference.dataset import FOLDER as DATASET_FOLDER
from ecotf.inference.dataset import JOURNAL
from ecotf.inference.dataset import NAME as DATASET
from ecotf.inference.joined import FILE as JOINED_FILE
from ecotf.inference.joined import NAME as JOINED
from ecotf.inference.question import Question
from ecotf.inference.records import Records
from ecotf.inference.submission import FILE as SUBMISSION_FILE
from ecotf.inference.submission import NAME as SUBMISSION
from ecotf.inference.writers import WRITERS, WholeJob, paths_of_one

OF_A_JOB = (question.NAME, ledger.NAME, records.NAME)
TABLES = {name: writer.file_name for name, writer in WRITERS.items() if isinstance(writer, WholeJob)}
"""The file of each format that has one for all recordings; of a data set, its journal."""
TABLES[SUBMISSION] = SUBMISSION_FILE
TABLES[DATASET] = JOURNAL
TABLES[JOINED] = JOINED_FILE


def older_job(folder: Path, asked: Question, resume: bool) -> Question | None:
    """Read the question of the job to continue; None for a new job."""
    present = [name for name in (*OF_A_JOB, *TABLES.values()) if (folder / name).exists()]
    if not present:
        return None
    if question.NAME not in present:
        raise ConfigError(
            f"{folder} holds {present[0]} and no {question.NAME}: it is not of a job that can be continued; "
            "give another --output, or --overwrite"
        )
    if not resume:
        raise ConfigError(f"{folder} holds a job already: --resume continues it, --overwrite replaces it")
    old = Question.read(folder)
    if old.replacing:
        remove_older(folder)
        return None
    old.require_same(asked, folder)
    if SUBMISSION in asked.formats and SUBMISSION not in old.formats:
        raise ConfigError(
            f"format {SUBMISSION} cannot be added to the job in {folder}, which did not keep the scores of "
            "segments; give another --output, or --overwrite"
        )
    return old


def remove_older(folder: Path) -> None:
    """Remove an older job; a kill in the middle leaves a note that it is to be removed."""
    try:
        older = Question.read(folder)
        replace(older, replacing=True).write(folder)
        if (folder / records.NAME).exists():
            for record in Records(folder / records.NAME):
                for path in paths_of_one(folder, record.files, older.formats):
                    path.unlink(missing_ok=True)
    except ConfigError:
        pass  # damaged, or none; what is known by name goes
    if (folder / JOURNAL).exists():
        with explain_write_errors(folder / DATASET_FOLDER):
            shutil.rmtree(folder / DATASET_FOLDER)
    for name in (*TABLES.values(), ledger.NAME, records.NAME, question.NAME):
        with explain_write_errors(folder / name):
            (folder / name).unlink(missing_ok=True)
