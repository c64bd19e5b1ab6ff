"""Training: stages that fit networks and trees, and rounds that mine what the last model got wrong."""
