"""From a trained run and recordings to detections, and the files people open them with."""

FORMATS = (
    "csv", "parquet", "published_csv", "raven", "audacity", "audiotagger", "aoef", "submission", "dataset", "joined",
)  # fmt: skip
"""The names of all formats, here so that a help text needs no library; `writers.WRITERS` writes them."""
