"""Storage of detections and clips."""
