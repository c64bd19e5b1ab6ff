"""The description of a model file, its costs, and the bundle around it."""
