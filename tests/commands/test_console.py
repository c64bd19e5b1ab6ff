"""What every command does with what comes up."""

from __future__ import annotations

import warnings

import pytest

from ecotf.commands.console import run_command


def test_a_warning_is_one_line_without_the_place_in_the_code(capsys):
    def command(_):
        warnings.warn("2 of 64 mel bands [low] stay empty", stacklevel=1)
        return 0

    with pytest.raises(SystemExit) as end:
        run_command(command, [])
    assert end.value.code == 0 and capsys.readouterr().err == "warning: 2 of 64 mel bands [low] stay empty\n"
