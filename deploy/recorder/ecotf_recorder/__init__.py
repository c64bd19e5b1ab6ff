"""ecotf on a recorder: one exported model, numpy and a TFLite runtime; sound in, dated detections out."""

__version__ = "0.1.0"
