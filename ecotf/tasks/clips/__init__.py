"""Clips: score segments of some seconds, and the frames inside them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ecotf.tuning.searchable import Searchable


class _Clips:
    """The task; what is heavy is loaded by its methods."""

    name = "clips"
    cache_name = "sounds"

    def searchable(self, recipe: Any) -> Searchable:
        """What a search over the recipe's settings needs."""
        from ecotf.tasks.clips.objective import ClipsSearch

        return ClipsSearch(recipe)


TASK = _Clips()
