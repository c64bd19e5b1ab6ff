"""Enrolment judged as in DCASE's few-shot task: five events given, the rest of the recordings searched.

    python benchmarks/enrolment.py --data ../shared/data --models small=RUN yamnet birdnet --cache cache/ \\
        --output DIR --page benchmarks/enrolment.md

Of each class of each source, the first five events are given, recordings in the order of their names. What is searched
is the recording of the last of them, from its end on, and every recording without any that was given. Events
found are matched with those annotated, one to one, where they overlap by an IoU of at least 0.3. Boxes that mark what
is not the class (``not_boobook``) are no events: to find one is wrong. In a second round, events that match an
annotation of unknown species (UNK) are neither right nor wrong. The sound around the given events, up to the last, is
all that is known of other sound.

BirdNET is taken from the file that ECOTF_BIRDNET names (CC BY-NC-SA; ecotf brings no copy).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ecotf.audio.recording import open_recording
from ecotf.evaluation.event_overlap import Counts, count_overlaps, f_interval
from ecotf.evaluation.rates import hourly_rate
from ecotf.runs.splits import fingerprint
from ecotf.tasks.base import StreamOptions, get_task
from ecotf.tasks.clips.head_models import KeepingEmbedder
from ecotf.tasks.clips.stream import SegmentStream
from ecotf.tasks.enrolment.enrol import NewRun, enrol
from ecotf.tasks.enrolment.examples import Example

SHOTS = 5
SOURCES = {"pitta": "qut_pitta", "boobook": "qut_boobook", "piha": "pyha_piha", "bengalese": "bengalese"}
UNKNOWN = ("UNK",)


@dataclass(frozen=True)
class Question:
    """A class of a source: the events that are given, and those to be found.

    Attributes
    ----------
    search
        Each recording to search, with the moment from which on.
    truth, unknown
        ``[events, 2]`` of each recording.
    negatives
        Recordings without the class, of which false alarms an hour are counted.
    """

    source: str
    label: str
    given: list[Example]
    search: dict[str, float]
    truth: dict[str, np.ndarray]
    unknown: dict[str, np.ndarray]
    negatives: set[str]


def questions(data: Path, source: str) -> Iterator[Question]:
    """Yield the classes of a source that have more than five events."""
    files, notes = pd.read_csv(data / "manifest.csv"), pd.read_csv(data / "annotations.csv")
    paths = sorted(path for path in files["path"] if f"/{SOURCES[source]}/" in path)
    notes = notes[notes["path"].isin(paths)]
    for label in sorted(notes["label"].unique()):
        own = notes[notes["label"] == label].sort_values(["path", "start_s"])
        if label.startswith("not_") or label in UNKNOWN or len(own) <= SHOTS:
            continue
        given, last = own.head(SHOTS), own.iloc[SHOTS - 1]
        examples = [
            Example(str((data / row.path).resolve()), row.start_s, row.end_s, fingerprint(data / row.path)[1])
            for row in given.itertuples()
        ]
        used = set(given["path"]) - {last["path"]}  # every event of those is given
        search = {path: last["end_s"] if path == last["path"] else 0.0 for path in paths if path not in used}

        def events(table: pd.DataFrame, search: dict[str, float] = search) -> dict[str, np.ndarray]:
            found = {path: table.loc[table["path"] == path, ["start_s", "end_s"]].to_numpy(float) for path in search}
            return {path: values[values[:, 0] >= search[path] - 1e-6] for path, values in found.items()}

        unknown = events(notes[notes["label"].isin(UNKNOWN)])
        negatives = {path for path in search if path not in set(own["path"])}
        yield Question(source, label, examples, search, events(own), unknown, negatives)


def ask(question: Question, new: NewRun, cache: Path, folder: Path) -> dict[str, Any]:
    """Enrol the class, search the rest, and count."""
    shutil.rmtree(folder, ignore_errors=True)
    made = enrol(folder, question.label, question.given, new=new)
    run = get_task("clips").load(folder)
    # What was embedded once, for another class of the source, is read from the cache.
    kept: Any = KeepingEmbedder(run.model.embedder, cache)
    run = replace(run, model=replace(run.model, embedder=kept))
    counts, alarms, seconds = {}, 0, 0.0
    for path, start_s in question.search.items():
        recording = open_recording(question_path(question, path))
        stream = SegmentStream(run.answering, run.model.sample_rate, StreamOptions())
        sound = recording.read(sample_rate=run.model.sample_rate)
        found = pd.concat([stream.push(sound), stream.finish()])
        events = found.loc[found["start_s"] >= start_s, ["start_s", "end_s"]].to_numpy(float)
        counts[path] = count_overlaps(events, question.truth[path], question.unknown[path])
        if path in question.negatives:
            alarms, seconds = alarms + len(events), seconds + recording.duration_s
    total = sum(counts.values(), Counts(0, 0, 0))
    rate = hourly_rate(alarms, seconds / 3600) if seconds else None
    left_out = made.fitted.judged[0].left_out
    return {
        "source": question.source, "class": question.label, "window_s": run.recipe.inference.window_s,
        "listen_s": run.recipe.embedder.listen_s, "hop_s": run.recipe.inference.segment_s,
        "events": total.right + total.missed, "right": total.right, "wrong": total.wrong, "missed": total.missed,
        "f": total.f, "f_interval": f_interval(list(counts.values())), "precision": total.precision,
        "recall": total.recall, "left_out": int((left_out >= 0).sum()), "alarms": alarms,
        "negative_s": seconds, "rate": rate,
    }  # fmt: skip


def question_path(question: Question, path: str) -> Path:
    """Return the file of a recording of the question."""
    root = Path(question.given[0].recording)
    tail = Path(path)
    for parent in root.parents:
        if (parent / tail).is_file():
            return parent / tail
    raise FileNotFoundError(path)


def model_of(text: str, data: Path) -> tuple[str, NewRun]:
    """Read ``name`` or ``name=RUN``; ``+whole`` hears fixed windows with all that is around a call."""
    name, _, run = text.partition("=")
    whole = name.endswith("+whole")
    plain = name.removesuffix("+whole")
    if run:
        return name, NewRun(Path(run), whole_window=whole)
    if plain == "yamnet":
        return name, NewRun(data / "models/yamnet.tflite", "yamnet", whole_window=whole)
    if plain == "birdnet":
        return name, NewRun(Path(os.environ["ECOTF_BIRDNET"]), "birdnet_2.4", whole_window=whole)
    raise SystemExit(f"--models {text}: allowed: yamnet, birdnet, NAME=RUN, each also with +whole after the name")


def main() -> None:
    """Ask every model about every class, and keep each answer as soon as it is there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--models", nargs="+", required=True)
    parser.add_argument("--sources", nargs="+", default=list(SOURCES), choices=list(SOURCES))
    parser.add_argument("--cache", type=Path, required=True, help="embeddings are kept here")
    parser.add_argument("--output", type=Path, required=True, help="answers.jsonl is written here")
    parser.add_argument("--more", nargs="*", type=Path, default=[], help="outputs of other calls, for the same table")
    parser.add_argument("--page", type=Path, help="a page whose table is written anew: benchmarks/enrolment.md")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    answers = options.output / "answers.jsonl"
    done = read_answers(answers)
    for source in options.sources:
        for text in options.models:
            name, new = model_of(text, options.data)
            for question in questions(options.data, source):
                if any((row["model"], row["source"], row["class"]) == (name, source, question.label) for row in done):
                    continue
                with tempfile.TemporaryDirectory() as folder:
                    row = {"model": name, **ask(question, new, options.cache, Path(folder) / "run")}
                print(f"{name} {source} {question.label}: F {row['f']:.2f}", flush=True)
                with answers.open("a") as stream:
                    stream.write(json.dumps(row) + "\n")
                done.append(row)
    done += [row for other in options.more for row in read_answers(other / "answers.jsonl")]
    print(table(done))
    if options.page is not None:
        write_page(options.page, table(done))


def write_page(page: Path, text: str) -> None:
    """Put the table into its place on the page; the notes around it stay."""
    before, begin, rest = page.read_text().partition("<!-- table -->\n")
    _, end, after = rest.partition("<!-- end of table -->")
    if not begin or not end:
        raise SystemExit(f"{page}: no place for the table, <!-- table --> to <!-- end of table -->")
    page.write_text(f"{before}{begin}\n{text}\n{end}{after}")


def read_answers(path: Path) -> list[dict[str, Any]]:
    """Read the answers of an earlier call; they are not asked again."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def table(rows: list[dict[str, Any]]) -> str:
    """Write the answers as Markdown, a row for each class and model."""
    lines = [
        "| source | class | model | events | F [95 %] | precision | recall | left out | false alarms an hour [95 %] |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in sorted(rows, key=lambda row: (row["source"], row["class"], row["model"])):
        low, high = row["f_interval"]
        rate = "no such recording"
        if row["rate"] is not None:
            value, (least, most) = row["rate"]
            rate = f"{value:.0f} [{least:.0f}, {most:.0f}] ({row['alarms']} in {row['negative_s']:.0f} s)"
        lines.append(
            f"| {row['source']} | {row['class']} | {row['model']} | {row['events']} | {row['f']:.2f} [{low:.2f}, "
            f"{high:.2f}] | {row['precision']:.2f} | {row['recall']:.2f} | {row['left_out']} of {SHOTS} | {rate} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
