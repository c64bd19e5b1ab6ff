"""Tuning: a search over the settings of a recipe that a kill, a bad trial or a full weekend cannot spoil."""
