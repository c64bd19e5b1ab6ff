"""What every front end must do; a new one is tested by being registered."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from pydantic import TypeAdapter

from ecotf.config import Config, validate
from ecotf.errors import ConfigError
from ecotf.features import FRONT_ENDS, BandFrontEnd, MelFrontEnd, SpectrogramConfig
from ecotf.registry import Entry, Registry

RATE = 32_000
SETTINGS = {"mel_spectrogram": {"bands": 12}, "wavegram_logmel": {"bands": 12, "hop_s": 0.01}}


def config_of(entry: Entry, **settings: object) -> SpectrogramConfig:
    values = {
        "name": entry.name, "window_s": 0.016, "hop_s": 0.004, "low_hz": 1000.0, "high_hz": 9000.0, "denoise": "median",
    }  # fmt: skip
    return validate(entry.config_class, {**values, **SETTINGS.get(entry.name, {}), **settings}, "test")


every = pytest.mark.parametrize("entry", list(FRONT_ENDS), ids=lambda entry: entry.name)


@pytest.fixture(scope="module")
def sound() -> np.ndarray:
    t = np.arange(2 * RATE) / RATE
    chirp = np.sin(2 * np.pi * (2000 + 1500 * t) * t) * (t % 0.5 < 0.1)
    return (0.3 * chirp + np.random.default_rng(0).normal(0, 0.01, len(t))).astype(np.float32)


@every
def test_a_config_comes_back(entry):
    config = config_of(entry)
    key = TypeAdapter(FRONT_ENDS.config_type())
    assert key.validate_python(config.model_dump(mode="json")) == config
    assert key.validate_json(config.model_dump_json()) == config


@every
def test_whole_in_pieces_and_in_batches_are_the_same_bits(entry, sound):
    spectrogram = FRONT_ENDS.build(config_of(entry), RATE)
    whole = spectrogram(sound)
    assert whole.dtype == np.float32
    assert whole.shape == (spectrogram.n_frames(len(sound)), spectrogram.n_rows)
    assert len(spectrogram.frequencies_hz) == spectrogram.n_rows
    assert np.all(np.diff(spectrogram.frequencies_hz) > 0)
    assert np.isfinite(whole).all()
    assert whole.std() > 0
    stream = spectrogram.stream()
    cuts = [0, 1, 700, 701, 20_000, 41_000, len(sound)]
    pieces = [stream.push(sound[a:b]) for a, b in pairwise(cuts)]
    np.testing.assert_array_equal(np.concatenate([*pieces, stream.finish()]), whole)
    np.testing.assert_array_equal(spectrogram.batch(np.stack([sound, sound]), threads=2)[1], whole)
    np.testing.assert_array_equal(spectrogram(sound, threads=2), whole)


@every
def test_the_layer_computes_the_same(entry, sound):
    from ecotf.features.layer import SpectrogramLayer

    config = config_of(entry, denoise="none", smooth_sigma=0.0, scale="log1p", gain=32768.0)
    layer = SpectrogramLayer(config, RATE)
    again = SpectrogramLayer.from_config(layer.get_config())
    made = again(sound[None]).numpy()[0]
    expected = FRONT_ENDS.build(config, RATE)(sound)
    assert made.shape == expected.shape
    np.testing.assert_allclose(made, expected, atol=1e-3 * expected.max())


@every
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"high_hz": 17_000.0}, "needs a sample rate of at least 34000 Hz; this is 32000 Hz"),
        ({"low_hz": 9500.0}, "low_hz = 9500 must be below high_hz = 9000"),
        ({"window_s": 0.00005}, "window_s = 5e-05 is 1 samples at 32000 Hz"),
        ({"hop_s": 0.00001}, "less than one sample"),
    ],
)
def test_what_a_rate_cannot_carry_is_said_in_one_line(entry, settings, message):
    with pytest.raises(ConfigError, match=message) as error:
        FRONT_ENDS.build(config_of(entry, **settings), RATE)
    assert "\n" not in str(error.value)


@every
def test_a_front_end_inside_the_network_says_so_and_learns(entry, sound):
    import keras
    import tensorflow as tf

    from ecotf.features.image import ImageConfig, clip_images, image_shape
    from ecotf.models.front_ends import GRAPH_FRONT_ENDS, GraphFrontEnd, build_front_end
    from ecotf.pipelines.augment_image import AugmentImageConfig
    from ecotf.pipelines.augmentation.masks import Mask

    assert (entry.name in GRAPH_FRONT_ENDS) == entry.config_class.in_graph
    config, level = config_of(entry, denoise="none"), ImageConfig(top_db=None, offset=0.0, scale=1.0)
    spectrogram, clips = FRONT_ENDS.build(config, RATE), np.stack([sound, sound[::-1]])
    images = clip_images(clips, spectrogram, level, 1)
    assert images.shape[1:] == image_shape(spectrogram, level, len(sound))
    if not config.in_graph:
        return
    np.testing.assert_array_equal(images[..., 0, 0], clips)
    keras.utils.set_random_seed(1)
    front_end = build_front_end(GraphFrontEnd(config, level, RATE, band_norm=True), len(sound))
    with tf.GradientTape() as tape:
        seen = front_end(images, training=True)
        loss = tf.reduce_mean(seen**2)
    assert seen.shape[1:3] == config.seen(spectrogram.n_frames(len(sound)), spectrogram.n_rows)
    gradients = tape.gradient(loss, front_end.trainable_variables)
    assert all(gradient is not None and np.isfinite(gradient).all() for gradient in gradients)
    plain = front_end(images, training=True).numpy()
    np.testing.assert_array_equal(front_end(images, training=True), plain)
    mask = Mask(probability=1.0, count=2, width=4)
    front_end.get_layer("masks").masks = AugmentImageConfig(frequency_mask=mask)
    assert not np.array_equal(front_end(images, training=True), plain)  # it reaches the spectrogram
    whole = front_end(images, training=False).numpy()
    np.testing.assert_array_equal(front_end(images, training=False), whole)


class _Recipe(Config):
    band: BandFrontEnd
    mel: MelFrontEnd


def test_a_recipe_that_names_something_else():
    fine = {entry.name: config_of(entry).model_dump() for entry in FRONT_ENDS}
    values = {"band": fine["band_spectrogram"], "mel": fine["mel_spectrogram"]}
    assert validate(_Recipe, values, "recipe.yaml").mel.bands == 12
    swapped = {"band": fine["mel_spectrogram"], "mel": fine["mel_spectrogram"]}
    with pytest.raises(ConfigError, match=r"'mel_spectrogram' is a front end with rows = mel; here rows = hertz"):
        validate(_Recipe, swapped, "recipe.yaml")


# --- the registry itself ---------------------------------------------------------------------------------------------


def test_an_entry_registered_twice():
    for entry in FRONT_ENDS:
        with pytest.raises(ConfigError, match=f"front end '{entry.name}' is registered twice"):
            FRONT_ENDS.register(entry.config_class)


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(ConfigError, match="unknown front end 'cqt'; known: band_spectrogram, mel_spectrogram"):
        FRONT_ENDS["cqt"]


def test_a_config_of_another_registry():
    others: Registry[None] = Registry("cage")
    with pytest.raises(ConfigError, match="BandSpectrogramConfig is no cage"):
        others.build(config_of(FRONT_ENDS["band_spectrogram"]))


def test_a_config_without_a_name():
    with pytest.raises(TypeError, match="needs name"):
        FRONT_ENDS.register(Config)
