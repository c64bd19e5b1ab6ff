"""From sound to detections, the numbers of the desktop's classifier in numpy alone."""
