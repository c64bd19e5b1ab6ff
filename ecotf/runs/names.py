"""Names of recipes, which are also the names of runs and of exported models."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator

ALLOWED = "letters, digits, spaces and _ . , + ( ) / - , at most 100, a letter or digit first"
_NAME = re.compile(r"\w[\w .,+()/-]{0,99}")


def check_name(name: str) -> str:
    """Return the name of a recipe if it is plain: it goes into files, source code and terminals.

    Raises
    ------
    ValueError
        One line with the name and the characters that are allowed.

    Examples
    --------
    >>> check_name("own/Fledermäuse 2 (north)")
    'own/Fledermäuse 2 (north)'
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} cannot be the name of a recipe; allowed: {ALLOWED}")
    return name


RecipeName = Annotated[str, AfterValidator(check_name)]
"""The name of a recipe in its config."""
