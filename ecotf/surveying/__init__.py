"""The survey: what was recorded where and when, and from it the tables and pictures that ecologists work with."""
