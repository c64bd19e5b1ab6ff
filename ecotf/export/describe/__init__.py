"""What a file says of itself, what it costs, and the bundle that it travels in."""
