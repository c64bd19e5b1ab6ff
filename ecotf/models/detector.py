"""A detector: everything that turns a spectrogram into scores, whatever networks and trees it is made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ecotf.features.spectrogram import BandSpectrogramConfig
from ecotf.models.heads.trees import Trees
from ecotf.models.patch_network import Network
from ecotf.pipelines.patches import PatchesConfig


@dataclass(frozen=True)
class Detector:
    """Networks, and trees if there are any, with the class names and the front end that they were trained for.

    Attributes
    ----------
    networks
        One network that answers everything, or a detector of calls followed by a namer of species.
    trees
        Replace the first network's dense head: they see its embedding.
    """

    front_end: BandSpectrogramConfig
    patches: PatchesConfig
    species: tuple[str, ...]
    networks: tuple[Network, ...]
    trees: Trees | None = None
    compiled: dict[str, Callable[[Any], Any]] = field(default_factory=dict, compare=False, repr=False)

    @property
    def is_cascade(self) -> bool:
        """Whether species are named by a second network."""
        return len(self.networks) == 2

    def with_trees(self, trees: Trees | None) -> Detector:
        """The same with other trees."""
        return replace(self, trees=trees, compiled={})

    def needs_embedding(self, network: Network) -> bool:
        """Check whether what is wanted of ``network`` is its embedding rather than its scores."""
        return self.trees is not None and network is self.networks[0]

    @property
    def needs_measures(self) -> bool:
        """Whether the trees want to know the measures of the peak that a patch is on."""
        return self.trees is not None and self.trees.config.measures

    def combine(self, outputs: list[np.ndarray], measures: np.ndarray | None = None) -> np.ndarray:
        """Turn the networks' outputs into scores.

        Parameters
        ----------
        outputs
            For each network, its scores, or its embedding where `needs_embedding` says so: ``[n, ...]``.
        measures
            float32 ``[n, 11]`` where `needs_measures` says so.

        Returns
        -------
        float32 ``[n, 1 + species]``: the score of "not a call", then of each species.
        """
        first = outputs[0]
        if self.trees is not None:
            return self.trees.predict(first if measures is None else np.hstack([first, measures]))
        if self.is_cascade:
            return np.hstack([first[:, :1], outputs[1]])
        return first

    def run(self, patches: np.ndarray) -> list[np.ndarray]:
        """Return the inputs of `combine`, for patches ``[n, columns, bands, 1]``."""
        return [np.asarray(self._forward(network)(patches)) for network in self.networks]

    def _forward(self, network: Network) -> Callable[[Any], Any]:
        """A compiled function from patches to scores, or to the embedding for trees; compiled once."""
        import tensorflow as tf

        name = network.config.name
        if name not in self.compiled:
            model = network.model
            if self.needs_embedding(network):
                model = network.both if self.needs_measures else network.backbone
            signature = [tf.TensorSpec([None, *network.model.input_shape[1:]], tf.float32)]
            self.compiled[name] = tf.function(lambda x: model(x, training=False), input_signature=signature)
        return self.compiled[name]
