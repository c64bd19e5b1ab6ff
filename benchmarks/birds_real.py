"""Bird recipes on real recordings: species of short clips.

    python benchmarks/birds_real.py species --data FOLDER --runs FOLDER    7 species, 5 folds by recording
    python benchmarks/birds_real.py ablation --data FOLDER --runs FOLDER   the same with one thing left out or put in

FOLDER of the data holds `manifest.csv`. Results are in `birds.md`; figures also go to the runs as JSON. Trainings that
are finished are not repeated, so a stopped benchmark continues where it was. Events in field recordings: `events.py`.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from birds_species import ablation, species

from ecotf.quiet import quieten_libraries


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("species", "ablation"))
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--fold", type=int, action="append", help="only this one; may be given again")
    parser.add_argument("--seeds", type=int, default=0, help="how many; species 1, ablation 3 by default")
    parser.add_argument("--threads", type=int, default=1, help="of TensorFlow and of the pipeline")
    parser.add_argument("--only", default="", help="comma-separated: settings or variants")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="of the recipe")
    options = parser.parse_intermixed_args()
    quieten_libraries()
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(options.threads)
    tf.config.threading.set_inter_op_parallelism_threads(options.threads)
    {"species": species, "ablation": ablation}[options.what](options)


if __name__ == "__main__":
    main()
