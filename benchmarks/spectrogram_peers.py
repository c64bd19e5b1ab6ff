"""The spectrograms of `spectrogram.py` by other libraries, as far as they are installed."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np

BIRD_RATE, BAT_RATE, N, BIRD_HOP, BAT_HOP, BANDS = 32_000, 384_000, 1024, 320, 256, 64
BAT_LOW, BAT_ROWS, BLOCK, PICTURE = 12, 298, 1000, (256, 128)
GAIN = 1000.0


def there(module: str) -> bool:
    """Check whether a peer is installed."""
    return importlib.util.find_spec(module) is not None


def bird_peers(sound: np.ndarray, mel: np.ndarray, window: np.ndarray) -> dict[str, Callable[[], np.ndarray]]:
    """The same by others."""
    import scipy.fft
    import scipy.signal
    import scipy.sparse

    sparse = scipy.sparse.csr_matrix(mel.T)

    def by_stft() -> np.ndarray:
        numbers = scipy.signal.stft(
            sound, window=window, nperseg=N, noverlap=N - BIRD_HOP, boundary=None, padded=False, return_onesided=True
        )[2]
        power = (numbers.real**2 + numbers.imag**2) * np.float32(window.sum() ** 2)
        return 10 * np.log10(np.maximum(sparse @ power, 1e-10)).T

    def by_fft() -> np.ndarray:
        frames = np.lib.stride_tricks.sliding_window_view(sound, N)[::BIRD_HOP]
        out = np.empty((len(frames), BANDS), np.float32)
        for at in range(0, len(frames), 128):  # blocks that stay in the cache
            numbers = scipy.fft.rfft(frames[at : at + 128] * window, axis=1)
            power = numbers.real**2 + numbers.imag**2
            out[at : at + 128] = (sparse @ power.T).T
        return 10 * np.log10(np.maximum(out, 1e-10, out=out), out=out)

    peers: dict[str, Callable[[], np.ndarray]] = {"scipy.signal.stft": by_stft, "scipy.fft": by_fft}
    if there("librosa"):
        import librosa

        def by_librosa() -> np.ndarray:
            power = np.abs(librosa.stft(sound, n_fft=N, hop_length=BIRD_HOP, center=False)) ** 2
            return librosa.power_to_db(mel.T @ power, top_db=None).T

        peers["librosa"] = by_librosa
    if there("tensorflow"):
        import tensorflow as tf

        weights, constant = tf.constant(mel), tf.constant(sound)

        @tf.function
        def in_graph(x: Any) -> Any:
            numbers = tf.signal.stft(x, N, BIRD_HOP, window_fn=tf.signal.hann_window)
            power = tf.math.real(numbers) ** 2 + tf.math.imag(numbers) ** 2
            return tf.math.log(tf.maximum(power @ weights, 1e-10)) * np.float32(10 / np.log(10))

        peers["tf.signal"] = lambda: in_graph(constant).numpy()
    if there("torch"):
        import torch

        torch.set_num_threads(1)
        hann, torch_mel, samples = torch.from_numpy(window), torch.from_numpy(mel), torch.from_numpy(sound)

        def by_torch() -> np.ndarray:
            numbers = torch.stft(samples, N, BIRD_HOP, window=hann, center=False, return_complex=True)
            power = numbers.real**2 + numbers.imag**2
            return (10 * torch.log10(torch.clamp(power.T @ torch_mel, min=1e-10))).numpy()

        peers["torch.stft"] = by_torch
    return peers


def bat_peers(sound: np.ndarray, n_blocks: int) -> dict[str, Callable[[], np.ndarray]]:
    """The same by others."""
    import scipy.signal

    rows = slice(BAT_LOW, BAT_LOW + BAT_ROWS)
    window = scipy.signal.get_window("hann", N).astype(np.float32)
    peers: dict[str, Callable[[], np.ndarray]] = {}

    def blocks_of(numbers: np.ndarray, factor: float) -> np.ndarray:
        """Power, logarithm and denoising, from [bins, n_frames]."""
        levels = np.log1p((numbers[rows].real ** 2 + numbers[rows].imag ** 2) * np.float32(factor**2)).T
        blocks = levels.reshape(n_blocks, BLOCK, BAT_ROWS)
        return np.maximum(blocks - blocks.mean(axis=1, keepdims=True), 0)

    if there("skimage"):
        from skimage.transform import resize as resize_picture

        def pictures_of(blocks: np.ndarray) -> np.ndarray:
            return np.stack([resize_picture(block, PICTURE, order=1, anti_aliasing=False) for block in blocks])

        def by_stft() -> np.ndarray:
            numbers = scipy.signal.stft(
                sound, window=window, nperseg=N, noverlap=N - BAT_HOP, boundary=None, padded=False
            )[2]
            return pictures_of(blocks_of(numbers, GAIN * window.sum()))

        peers["scipy.signal.stft"] = by_stft
        if there("librosa"):
            import librosa

            peers["librosa"] = lambda: pictures_of(
                blocks_of(librosa.stft(sound, n_fft=N, hop_length=BAT_HOP, center=False), GAIN)
            )
    if there("tensorflow"):
        import tensorflow as tf

        constant = tf.constant(sound)

        @tf.function
        def in_graph(x: Any) -> Any:
            numbers = tf.signal.stft(x, N, BAT_HOP, window_fn=tf.signal.hann_window)[:, rows]
            levels = tf.math.log1p((tf.math.real(numbers) ** 2 + tf.math.imag(numbers) ** 2) * GAIN**2)
            blocks = tf.reshape(levels, [n_blocks, BLOCK, BAT_ROWS])
            blocks = tf.nn.relu(blocks - tf.reduce_mean(blocks, axis=1, keepdims=True))
            return tf.image.resize(blocks[..., None], PICTURE)[..., 0]

        peers["tf.signal"] = lambda: in_graph(constant).numpy()
    if there("torch"):
        import torch

        torch.set_num_threads(1)
        hann, samples = torch.from_numpy(window), torch.from_numpy(sound)

        def by_torch() -> np.ndarray:
            numbers = torch.stft(samples, N, BAT_HOP, window=hann, center=False, return_complex=True)[rows]
            levels = torch.log1p((numbers.real**2 + numbers.imag**2) * GAIN**2).T
            blocks = levels.reshape(n_blocks, 1, BLOCK, BAT_ROWS)
            blocks = torch.relu(blocks - blocks.mean(dim=2, keepdim=True))
            return torch.nn.functional.interpolate(blocks, PICTURE, mode="bilinear")[:, 0].numpy()

        peers["torch.stft"] = by_torch
    return peers
