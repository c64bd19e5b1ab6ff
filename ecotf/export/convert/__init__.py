"""From stages to one flatbuffer."""
