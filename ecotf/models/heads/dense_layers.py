"""Dense layers in numpy: what is kept of a logistic regression or a small network that was fitted on embeddings."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ecotf.errors import ConfigError
from ecotf.files import reading_arrays
from ecotf.models.heads.several_labels import Strategy, answer_together, fit_several

_ARRAYS, _FACTS = "head.npz", "head.json"


@dataclass(frozen=True)
class DenseLayers:
    """Layers one after another, with ReLU between them.

    Attributes
    ----------
    kernels
        float32 ``[inputs, outputs]`` each.
    biases
        float32 ``[outputs]`` each.
    """

    kernels: tuple[np.ndarray, ...]
    biases: tuple[np.ndarray, ...]

    def logits(self, rows: np.ndarray) -> np.ndarray:
        """Compute what comes out of the last layer, float64 ``[n, outputs]``."""
        values = np.asarray(rows, np.float64)
        for number, (kernel, bias) in enumerate(zip(self.kernels, self.biases, strict=True)):
            values = np.maximum(values, 0) if number else values
            values = values @ kernel + bias
        return values

    def probabilities(self, rows: np.ndarray) -> np.ndarray:
        """Compute probabilities: of yes ``[n]`` from one output, and one out of several ``[n, outputs]`` from more."""
        from scipy.special import expit, softmax

        logits = self.logits(rows)
        return np.asarray(expit(logits[:, 0]) if logits.shape[1] == 1 else softmax(logits, axis=1))

    def after(self, mean: np.ndarray, scale: np.ndarray) -> DenseLayers:
        """Return layers that take rows as they are, where these take ``(rows - mean) / scale``."""
        kernel = self.kernels[0].astype(np.float64) / scale[:, None]
        bias = self.biases[0] - mean @ kernel
        first = kernel.astype(np.float32), bias.astype(np.float32)
        return DenseLayers((first[0], *self.kernels[1:]), (first[1], *self.biases[1:]))


@dataclass(frozen=True)
class DenseHead:
    """Fitted layers: rows ``[n, f]`` in, probabilities of classes out.

    Attributes
    ----------
    parts
        Of ``one_vs_rest`` one, with an output for each class; of ``chain`` one for each class; of ``powerset`` one.
    combinations
        Of ``powerset``: the classes of each output, ``[combinations, k]``.
    """

    strategy: Strategy
    parts: tuple[DenseLayers, ...]
    combinations: np.ndarray | None = None

    @property
    def n_parameters(self) -> int:
        """Numbers that were fitted."""
        return sum(array.size for part in self.parts for array in (*part.kernels, *part.biases))

    @property
    def linear(self) -> DenseLayers | None:
        """The layer whose logits are the answers, where one layer is all there is."""
        alone = self.strategy == "one_vs_rest" and len(self.parts[0].kernels) == 1
        return self.parts[0] if alone else None

    def predict(self, rows: np.ndarray) -> np.ndarray:
        """Compute probabilities ``[n, k]``."""
        if self.strategy == "one_vs_rest":
            from scipy.special import expit

            return np.asarray(expit(self.parts[0].logits(rows)))
        answers = [part.probabilities for part in self.parts]
        return answer_together(self.strategy, answers, self.combinations, rows)

    def save(self, folder: Path) -> None:
        """Write the arrays, and ``head.json`` that says how they go together."""
        arrays: dict[str, Any] = {}
        for number, part in enumerate(self.parts):
            for layer, (kernel, bias) in enumerate(zip(part.kernels, part.biases, strict=True)):
                arrays |= {f"kernel_{number}_{layer}": kernel, f"bias_{number}_{layer}": bias}
        np.savez(folder / _ARRAYS, **arrays)
        combinations = None if self.combinations is None else self.combinations.tolist()
        layers = [len(part.kernels) for part in self.parts]
        facts = {"strategy": self.strategy, "layers": layers, "combinations": combinations}
        (folder / _FACTS).write_text(json.dumps(facts))


def load_dense(folder: Path) -> DenseHead:
    """Read what `DenseHead.save` wrote; raises `ConfigError`."""
    try:
        facts = json.loads((folder / _FACTS).read_text())
        with reading_arrays(folder / _ARRAYS, "the head of a run") as kept:
            parts = [
                DenseLayers(
                    tuple(kept[f"kernel_{number}_{layer}"] for layer in range(n)),
                    tuple(kept[f"bias_{number}_{layer}"] for layer in range(n)),
                )
                for number, n in enumerate(facts["layers"])
            ]
        combinations = facts["combinations"]
        return DenseHead(
            facts["strategy"], tuple(parts), None if combinations is None else np.array(combinations, np.float32)
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{folder}: the head is damaged ({error}); copy the run again, or train anew") from None


FitLayers = Callable[[np.ndarray, np.ndarray, bool], DenseLayers]
"""Takes rows ``[n, f]``, targets ``[n, k]``, and whether a row is of exactly one column; gives ``k`` outputs."""


def fit_dense(
    strategy: Strategy,
    fit: FitLayers,
    rows: np.ndarray,
    targets: np.ndarray,
    progress: Callable[[int, int], None] | None = None,
) -> DenseHead:
    """Fit a head of dense layers: what heads of several labels have in common, whatever fits their layers.

    Parameters
    ----------
    strategy
        See `ecotf.models.heads.several_labels.fit_several`.
    fit
        Fits layers to rows that are standardised; those of the head take rows as they are.
    rows
        float ``[n, f]``.
    targets
        0 to 1, ``[n, k]``; of ``chain`` and ``powerset`` above a half is yes.
    progress
        Called with the number of classes that are done and the number there are.
    """
    mean, scale = standardised(rows)
    seen, targets = (np.asarray(rows, np.float64) - mean) / scale, np.asarray(targets, np.float64)
    n_classes = targets.shape[1]
    # The chain also sees the answers before, as they are.
    wide = np.pad(mean, (0, n_classes)), np.pad(scale, (0, n_classes), constant_values=1.0)
    combinations = None
    if strategy == "one_vs_rest":
        parts = [fit(seen, targets, False)]
        if progress is not None:
            progress(n_classes, n_classes)
    else:
        fits, combinations = fit_several(strategy, lambda: _Codes(fit), seen, targets > 0.5, progress)
        parts = [one.layers for one in fits]
    kept = [part.after(*(edge[: len(part.kernels[0])] for edge in wide)) for part in parts]
    return DenseHead(strategy, tuple(kept), combinations)


class _Codes:
    """One classifier of codes in the shape that scikit-multilearn asks for."""

    def __init__(self, fit: FitLayers) -> None:
        self._fit, self.layers = fit, DenseLayers((), ())

    def fit(self, features: np.ndarray, targets: np.ndarray) -> _Codes:
        codes = np.asarray(targets).ravel().astype(int)
        n_codes = codes.max(initial=1) + 1
        wanted = codes[:, None] if n_codes == 2 else np.eye(n_codes)[codes]
        self.layers = self._fit(np.asarray(features, np.float64), wanted.astype(np.float64), n_codes > 2)
        return self


def standardised(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compute the mean and the standard deviation of each column, ``[f]`` both; 1 where a column never varies."""
    mean, scale = rows.mean(axis=0, dtype=np.float64), rows.std(axis=0, dtype=np.float64)
    # What varies by rounding alone carries nothing; divided by next to nothing it would drown the others.
    still = scale <= 1e-6 * np.maximum(1e-12, np.abs(mean) + scale.max(initial=0))
    return mean, np.where(still, 1.0, scale)


def never_varies(codes: Sequence[int] | np.ndarray) -> bool:
    """Return whether all codes are the same."""
    return len(np.unique(codes)) < 2
