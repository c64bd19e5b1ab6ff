"""Calls: find every call at a peak of energy, box it, name it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ecotf.tuning.searchable import Searchable


class _Calls:
    """The task; what is heavy is loaded by its methods."""

    name = "calls"
    cache_name = "spectrograms"

    def searchable(self, recipe: Any) -> Searchable:
        """What a search over the recipe's settings needs."""
        from ecotf.tasks.calls.objective import CallsSearch

        return CallsSearch(recipe)


TASK = _Calls()
