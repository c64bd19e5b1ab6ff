"""The description of a backbone, and the registry of all backbones."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from ecotf.config import Config
from ecotf.registry import Registry

Takes = Literal["patch", "image"]

BACKBONES: Registry[Any] = Registry("backbone")
"""All backbones; an entry builds a Keras model from its config and the shape of what it takes.

The shape is ``(columns, bands, 1)`` of a patch, or ``(frames or None, bands, channels)`` of an image.
"""


class BackboneConfig(Config):
    """The settings that all backbones share.

    Attributes
    ----------
    takes
        ``patch``: a patch of one size, ``(batch, columns, bands, 1)``, to an embedding ``(batch, e)``. ``image``: the
        image of a clip of any length, ``(batch, frames, bands, channels)``, to a feature map ``(batch, t, f, c)``.
    channels
        How many channels of a patch or image it can take; empty: any number.
    """

    takes: ClassVar[Takes] = "patch"
    channels: ClassVar[tuple[int, ...]] = (1,)

    name: str

    @property
    def smallest(self) -> tuple[int, int]:
        """Columns or frames, and bands, that it needs at least."""
        return 1, 1

    @property
    def head_dropout(self) -> float:
        """The share of the embedding that is dropped in training before a dense head."""
        return 0.0
