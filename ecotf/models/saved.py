"""A detector on disk: weights of its networks, trees if there are any. What they are built from is in the recipe."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ecotf.errors import ConfigError
from ecotf.features.spectrogram import BandSpectrogram, BandSpectrogramConfig
from ecotf.models.detector import Detector
from ecotf.models.heads.trees import load_trees
from ecotf.models.network import NetworkConfig, build_network
from ecotf.pipelines.windows import WindowsConfig

# Only the number of rows and columns of a window matter for building, and they are the same at every rate that
# carries the band; this rate carries every band that ecotf knows.
_BUILD_RATE_HZ = 1_000_000


def build_detector(
    front_end: BandSpectrogramConfig,
    windows: WindowsConfig,
    networks: Sequence[NetworkConfig],
    species: Sequence[str],
) -> Detector:
    """Build a detector with fresh weights (the random numbers are Keras's; seed them first)."""
    spectrogram = BandSpectrogram(front_end, _BUILD_RATE_HZ)
    columns = windows.slices(front_end.hop_s) // windows.reduce_time
    rows = spectrogram.n_rows // windows.reduce_frequency
    built = tuple(build_network(config, len(species), columns, rows) for config in networks)
    return Detector(front_end, windows, tuple(species), built)


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
        network.model.load_weights(path)
    return detector.with_trees(load_trees(folder)) if trees else detector
