"""From a trained run and recordings to detections, and the files people open them with."""
