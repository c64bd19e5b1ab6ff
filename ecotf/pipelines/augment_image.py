"""All augmentations of images, in order, as a recipe sets them."""

from __future__ import annotations

from functools import partial
from typing import Any

from ecotf.config import Config
from ecotf.pipelines.augmentation import image_mixing, levels, masks, mixing
from ecotf.pipelines.augmentation.band_edges import BandEdges
from ecotf.pipelines.augmentation.draws import coins, on_some, seed_of
from ecotf.pipelines.keras_cv_mixing import cut_mix, mix_up

_BY_CHANCE = ("mixup", "cutmix", "band_shift", "compander", "attenuation", "time_mask", "frequency_mask")


class AugmentImageConfig(Config):
    """The augmentations of images; none by default. They are applied in this order.

    Attributes
    ----------
    band_edges
        The bands of the front end moved a little, in each batch by other hertz; before all others.
    mixup, cutmix
        The images of a batch mixed with each other, by keras-cv.
    band_shift
        All bands moved up or down.
    compander
        More or less contrast.
    attenuation
        Towards the highest or lowest bands.
    time_mask, frequency_mask
        Frames or bands blanked out (SpecAugment; ``count`` of each).
    """

    band_edges: BandEdges = BandEdges()
    mixup: mixing.BetaMixup = mixing.BetaMixup()
    cutmix: image_mixing.CutMix = image_mixing.CutMix()
    band_shift: levels.BandShift = levels.BandShift()
    compander: levels.Compander = levels.Compander()
    attenuation: masks.Attenuation = masks.Attenuation()
    time_mask: masks.Mask = masks.Mask(width=60)
    frequency_mask: masks.Mask = masks.Mask(width=24)

    @property
    def changes(self) -> bool:
        """Whether any of them does anything."""
        return self.band_edges.moves or any(getattr(self, name).probability > 0 for name in _BY_CHANCE)

    @property
    def only_masks(self) -> AugmentImageConfig:
        """The two masks, and nothing else."""
        return AugmentImageConfig(time_mask=self.time_mask, frequency_mask=self.frequency_mask)

    @property
    def without_masks(self) -> AugmentImageConfig:
        """All but the two masks."""
        return self.model_copy(update={"time_mask": masks.Mask(), "frequency_mask": masks.Mask()})


_LEVELS = (
    ("band_shift", levels.draw_band_shift, levels.apply_band_shift),
    ("compander", levels.draw_compander, levels.apply_compander),
    ("attenuation", masks.draw_attenuation, masks.apply_attenuation),
)


def augment_image(image: Any, targets: Any, config: AugmentImageConfig, seed: Any) -> tuple[Any, Any]:
    """Augment a batch; as :func:`augment_clip_images`, where clips have no weights."""
    import tensorflow as tf

    return augment_clip_images(image, targets, tf.ones([tf.shape(image)[0]]), config, seed)[:2]


def augment_clip_images(
    image: Any, targets: Any, weight: Any, config: AugmentImageConfig, seed: Any
) -> tuple[Any, Any, Any]:
    """Augment a batch.

    Parameters
    ----------
    image
        float32 ``[n, frames, bands, channels]``.
    targets
        float32 ``[n, classes]``.
    weight
        float32 ``[n]``; mixed as the clips are.
    seed
        int ``[2]``; the same seed gives the same batch.
    """
    import tensorflow as tf

    chances = {name: getattr(config, name).probability for name in _BY_CHANCE if getattr(config, name).probability > 0}
    n = tf.shape(image)[0]
    thrown = coins(seed, n, chances, ())
    seeds = {name: seed_of(seed, name) for name in chances}
    shape = image.shape
    labels = tf.concat([targets, weight[:, None]], 1)  # the weight is mixed as one more label
    if "mixup" in chances:
        drawn = mixing.draw_beta_mixup(config.mixup, n, seeds["mixup"])
        image, labels = mix_up(image, labels, drawn["other"], tf.where(thrown["mixup"], drawn["share"], 1.0))
    if "cutmix" in chances:
        drawn = image_mixing.draw_cut_mix(config.cutmix, image, thrown["cutmix"], seeds["cutmix"])
        image, labels = cut_mix(image, labels, drawn["other"], drawn["centre"], drawn["size"])
    image.set_shape(shape)
    for name, draw, apply in _LEVELS:
        if name in chances:
            own, own_seed = getattr(config, name), seeds[name]
            image = on_some(thrown[name], image, partial(_changed, draw, apply, own, own_seed))
    for name, axis, mask in (("time_mask", 1, config.time_mask), ("frequency_mask", 2, config.frequency_mask)):
        if name in chances:

            def masked(x: Any, _: Any, name: str = name, axis: int = axis, mask: masks.Mask = mask) -> Any:
                for number in range(mask.count):
                    seed = seeds[name] if number == 0 else seed_of(seeds[name], f"mask {number}")
                    x = masks.apply_mask(x, masks.draw_mask(mask, x, axis, seed), axis, mask.value)
                return x

            image = on_some(thrown[name], image, masked)
    return image, labels[:, :-1], labels[:, -1]


def _changed(draw: Any, apply: Any, config: Any, seed: Any, image: Any, _: Any) -> Any:
    """Change the images of a batch that were drawn for it."""
    return apply(image, draw(config, image, seed))
