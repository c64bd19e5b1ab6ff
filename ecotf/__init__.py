"""ecotf: from a folder of wildlife recordings to a trained detector, its detections and a model for the recorder."""

__version__ = "0.1.0"
