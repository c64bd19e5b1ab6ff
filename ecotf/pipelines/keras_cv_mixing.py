"""MixUp and CutMix of images by keras-cv, whose one door this is.

What keras-cv 0.9.0 does and we change, in subclasses: it draws from stateful generators, so nothing could be repeated
(here the draws are given); and CutMix counts the whole rectangle for the labels, also where it sticks out of the image
(here only what is inside, as its paper has it: Yun et al., ICCV 2019). Soft targets of several labels and images of any
number of channels are mixed as they should be.
"""

from __future__ import annotations

from typing import Any


def allow_in_graphs() -> None:
    """To be called outside of a graph, before one that mixes is made.

    The layers ask for TensorFlow's global generator, though nothing is drawn from it; a deterministic TensorFlow has
    none, and it is a variable, which a graph cannot make.
    """
    import tensorflow as tf

    tf.random.set_global_generator(tf.random.Generator.from_seed(0))


def mix_up(image: Any, labels: Any, other: Any, share: Any) -> tuple[Any, Any]:
    """Image and labels, ``share`` of their own and the rest of the ``other``'s.

    Parameters
    ----------
    image
        float32 ``[n, frames, bands, channels]``.
    labels
        float32 ``[n, k]``.
    other
        int ``[n]``, the partner of each.
    share
        float32 ``[n]``; 1 leaves the clip as it is.
    """
    import keras_cv
    import tensorflow as tf

    class DrawnMixUp(keras_cv.layers.MixUp):
        def _mixup(self, images: Any) -> tuple[Any, Any, Any]:
            own = tf.reshape(share, [-1, 1, 1, 1])
            return own * images + (1.0 - own) * tf.gather(images, other), share, other

    return _mixed(DrawnMixUp(dtype="float32"), image, labels)


def cut_mix(image: Any, labels: Any, other: Any, centre: Any, size: Any) -> tuple[Any, Any]:
    """Return the image with a rectangle of the ``other``'s pasted in, and labels by area.

    Parameters
    ----------
    centre, size
        int ``[n, 2]``, frames and bands: the middle of the rectangle, which covers places from ``centre - size / 2`` up
        to, but without, ``centre + size / 2``, and its size; 0 leaves the clip as it is.
    """
    import keras_cv
    import tensorflow as tf
    from keras_cv.src.utils import fill_utils

    centre, size = tf.cast(centre, tf.int32), tf.cast(size, tf.int32)

    class DrawnCutMix(keras_cv.layers.CutMix):
        def _cutmix(self, images: Any) -> tuple[Any, ...]:
            frames, bands = tf.shape(images)[1], tf.shape(images)[2]
            pasted = fill_utils.fill_rectangle(
                images, centre[:, 1], centre[:, 0], size[:, 1], size[:, 0], tf.gather(images, other)
            )
            inside = tf.cast(
                _inside(centre[:, 0], size[:, 0], frames) * _inside(centre[:, 1], size[:, 1], bands), tf.float32
            )
            share = 1.0 - inside / tf.cast(frames * bands, tf.float32)
            return pasted, share, other, centre[:, 0], centre[:, 1], size[:, 1], size[:, 0]

    return _mixed(DrawnCutMix(dtype="float32"), image, labels)


def _mixed(layer: Any, image: Any, labels: Any) -> tuple[Any, Any]:
    result = layer({"images": image, "labels": labels})
    return result["images"], result["labels"]


def _inside(centre: Any, size: Any, length: Any) -> Any:
    """How many of ``length`` places lie in a stretch that may stick out."""
    import tensorflow as tf

    first = centre - size // 2  # places i with centre - size / 2 <= i < centre + size / 2
    return tf.maximum(tf.minimum(first + size, length) - tf.maximum(first, 0), 0)
