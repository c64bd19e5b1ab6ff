"""Tagging from few clips: models from scratch, with a teacher, and on the embeddings of published models.

    python benchmarks/tagging.py --data ../shared/data --runs runs/tagging
    python benchmarks/tagging.py --data ../shared/data --runs runs/tagging --models statistics yamnet --folds 1
    python benchmarks/tagging.py --data ../shared/data --runs runs/tagging --report

The second call does only what is missing: each fold of each model is kept in RUNS/results. ``--report`` trains nothing.
Either way the tables of `tagging.md` are written anew; what follows "What did not work" there is kept. Rows of
published models need the user's own file: ECOTF_YAMNET (with yamnet_class_map.csv beside it) and ECOTF_BIRDNET.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tagging_data import ClipSet, clip_sets
from tagging_models import Model, Place, Trained, write_json
from tagging_rows import MODELS
from tagging_tables import write_report

from ecotf.commands.console import log
from ecotf.errors import EcotfError
from ecotf.quiet import quieten_libraries


def main() -> None:
    """Do what is missing, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--sets", nargs="*", choices=("esc50", "phoebe"), default=["esc50", "phoebe"])
    parser.add_argument("--models", nargs="*", choices=list(MODELS), default=list(MODELS))
    parser.add_argument("--folds", nargs="*", type=int, help="only these")
    parser.add_argument("--threads", type=int, default=1, help="of TensorFlow and of the pipeline")
    parser.add_argument("--report", action="store_true", help="only write the tables")
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".md"))
    options = parser.parse_args()
    quieten_libraries()
    sets = clip_sets(options.data)
    if not options.report:
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(options.threads)
        tf.config.threading.set_inter_op_parallelism_threads(options.threads)
        for name in options.sets:
            clips = sets[name]
            for fold in options.folds or clips.folds:
                for key in options.models:
                    if fold in clips.folds:
                        one(key, MODELS[key], clips, fold, Place(options.runs.resolve(), options.threads))
    write_report(sets, MODELS, options.runs / "results", options.output)
    log(f"tables: {options.output}")


def one(key: str, model: Model, clips: ClipSet, fold: int, place: Place) -> None:
    """Train and judge one model on one fold, unless that is done or cannot be done here."""
    file = place.runs / "results" / f"{clips.name}_{fold}_{key}.json"
    settings = json.loads(json.dumps(asdict(model)))
    if file.exists():
        if json.loads(file.read_text())["settings"] != settings:
            log(f"{file}: was made with other settings than are asked for; remove it to make it again")
        return
    if isinstance(model, Trained) and (clips.name not in model.sets or (model.needs and not os.getenv(model.needs))):
        return
    log(f"{clips.name}, fold {fold}: {model.title}")
    try:
        scored = model.run(clips, fold, place, key)
    except EcotfError as error:
        log(f"  cannot be done: {error}")
        return
    scores = scored.scores.reindex(columns=clips.classes)
    kept = {
        "settings": settings, "cost": scored.cost, "classes": clips.classes, "recordings": scores.index.tolist(),
        "scores": scores.to_numpy().tolist(),
    }  # fmt: skip
    write_json(file, kept)
    truth = clips.table.set_index("recording")["label"][scores.index]
    right = int((scores.idxmax(axis=1) == truth).sum())
    log(f"  {right} of {len(truth)} right, {scored.cost['seconds']:.0f} s")
    if not isinstance(model, Trained):
        return
    import keras

    keras.backend.clear_session()


if __name__ == "__main__":
    main()
