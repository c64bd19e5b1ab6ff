"""What is kept: detections, clips, and how long."""
