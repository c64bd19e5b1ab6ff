"""Releases on a recorder: a new model is checked, tried, switched to, watched, and gone back from when it fails."""

from __future__ import annotations

from collections.abc import Sequence


def main(arguments: Sequence[str]) -> int:
    """Run one command of the release manager."""
    from ecotf_recorder.releases.command import main as run_command

    return run_command(arguments)
