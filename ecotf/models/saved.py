"""A detector on disk: weights of its networks, trees if there are any. What they are built from is in the recipe."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ecotf.errors import ConfigError
from ecotf.features.spectrogram import BandSpectrogram, BandSpectrogramConfig
from ecotf.models.detector import Detector
from ecotf.models.heads.trees import load_trees
from ecotf.models.patch_network import NetworkConfig, build_network
from ecotf.pipelines.patches import PatchesConfig

# Only the number of columns and bands of a patch matter for building, and they are the same at every rate that
# carries the band; this rate carries every band that ecotf knows.
_BUILD_RATE_HZ = 1_000_000


def patch_shape(front_end: BandSpectrogramConfig, patches: PatchesConfig) -> tuple[int, int]:
    """Columns and bands of a patch; raises `ConfigError` where the front end cannot work at any sample rate."""
    spectrogram = BandSpectrogram(front_end, _BUILD_RATE_HZ)
    return patches.slices(front_end.hop_s) // patches.reduce_time, spectrogram.n_rows // patches.reduce_frequency


def build_detector(
    front_end: BandSpectrogramConfig,
    patches: PatchesConfig,
    networks: Sequence[NetworkConfig],
    species: Sequence[str],
) -> Detector:
    """Build a detector with fresh weights (the random numbers are Keras's; seed them first)."""
    columns, bands = patch_shape(front_end, patches)
    built = tuple(build_network(config, len(species), columns, bands) for config in networks)
    return Detector(front_end, patches, tuple(species), built)


def save_detector(detector: Detector, folder: Path) -> None:
    """Write the weights of ``detector`` into an existing folder."""
    for network in detector.networks:
        network.model.save_weights(folder / f"{network.config.name}.weights.h5")
    if detector.trees is not None:
        detector.trees.save(folder)


def load_weights(detector: Detector, folder: Path, trees: bool) -> Detector:
    """Read what `save_detector` wrote into a detector built from the same recipe."""
    for network in detector.networks:
        path = folder / f"{network.config.name}.weights.h5"
        if not path.exists():
            raise ConfigError(f"{folder}: the weights {path.name} are missing; train again, or resume the run")
        try:
            network.model.load_weights(path)
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"{path}: damaged, or not of this recipe ({str(error).splitlines()[0]}); copy it again or train anew"
            ) from None
    return detector.with_trees(load_trees(folder)) if trees else detector
