"""Where the weights of a backbone come from: nowhere, a preset that is downloaded, or a local file."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from ecotf.errors import ConfigError
from ecotf.models.backbones.base import BackboneConfig, Takes

_OWN, _WHOLE, _APPLICATIONS = ".weights.h5", ".keras", ".h5"


class ImageBackboneConfig(BackboneConfig):
    """A backbone of images, and the weights to begin with.

    Attributes
    ----------
    weights
        ``none``: random numbers. ``imagenet``: a preset, downloaded once. Otherwise a file: ``.weights.h5`` or
        ``.keras``, as Keras saves such a backbone, or the ``..._notop.h5`` (``..._no_top_v2.h5``) that
        keras.applications publishes. Weights for three channels also serve one: the first kernels are summed.
    """

    takes: ClassVar[Takes] = "image"
    channels: ClassVar[tuple[int, ...]] = (1, 3)

    weights: str = Field("none", min_length=1)

    @property
    def smallest(self) -> tuple[int, int]:
        """Frames and bands: every backbone halves both five times, or time four times."""
        return 32, 32


def build_weighted(
    name: str,
    weights: str,
    channels: int,
    fresh: Callable[[int], Any],
    published: Callable[[str], Any] | None = None,
) -> Any:
    """Build a backbone and give it the weights that its config asks for.

    Parameters
    ----------
    fresh
        From a number of channels to the backbone with random weights.
    published
        From ``imagenet``, or the path of a file by keras.applications, to the backbone with three channels and those
        weights; None where there are none.

    Raises
    ------
    ConfigError
        The preset does not exist or cannot be downloaded; the file is missing, damaged or of another network.
    """
    if weights == "none":
        return fresh(channels)
    where = f"backbone {name}: weights = {weights!r}"
    allowed = f"allowed: 'none', {'' if published is None else repr('imagenet') + ', '}or the path of a local file"
    if weights == "imagenet":
        if published is None:
            raise ConfigError(f"{where}: there is no such preset for this network; {allowed}")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about sizes other than ImageNet's
                donor = published(weights)
        except Exception as error:  # Keras raises a plain Exception for whatever goes wrong on the way
            raise ConfigError(f"{where}: cannot be downloaded ({_first_line(error)}); {allowed}") from None
        backbone = fresh(channels)
    else:
        path = Path(weights)
        endings = (_OWN, _WHOLE) if published is None else (_OWN, _WHOLE, _APPLICATIONS)
        if not weights.endswith(endings):
            raise ConfigError(f"{where}: no preset and no weights file; {allowed} ending in {', '.join(endings)}")
        if not path.is_file():
            raise ConfigError(f"{where}: there is no such file; {allowed}")
        backbone = fresh(channels)
        donor = _read(path, where, backbone, fresh, published)
    _copy(donor, backbone, where)
    return backbone


def _read(
    path: Path, where: str, backbone: Any, fresh: Callable[[int], Any], published: Callable[[str], Any] | None
) -> Any:
    import keras

    try:
        if path.name.endswith(_WHOLE):
            return keras.saving.load_model(path, compile=False)
        if not path.name.endswith(_OWN):
            assert published is not None
            return published(str(path))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about what does not fit; it is an error, too
                backbone.load_weights(path)
            return backbone
        except ValueError:
            donor = fresh(3)
            donor.load_weights(path)
            return donor
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(f"{where}: damaged, or of another network ({_first_line(error)})") from None


def _copy(donor: Any, backbone: Any, where: str) -> None:
    """Give ``backbone`` the donor's weights; a kernel on three channels is summed for one."""
    if donor is backbone:
        return
    given, own = donor.get_weights(), backbone.get_weights()
    if len(given) != len(own):
        raise ConfigError(f"{where}: has {len(given)} arrays of weights, this network {len(own)}; it is another one")
    for i, (there, here) in enumerate(zip(given, own, strict=True)):
        if there.shape == (*here.shape[:2], 3, *here.shape[3:]) and here.shape[2:3] == (1,):
            given[i] = np.sum(there, axis=2, keepdims=True)
        elif there.shape != here.shape:
            raise ConfigError(
                f"{where}: array {i} has shape {there.shape}, in this network {here.shape}; it is another one"
            )
    backbone.set_weights(given)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
