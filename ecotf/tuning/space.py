"""The values that a search may draw: hyperopt's expressions, one for each key of the recipe, in the recipe's units."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, model_validator

from ecotf.config import Config, validate
from ecotf.errors import ConfigError

Point = dict[str, float]
"""A place in the space as hyperopt counts: for each key the number drawn, or the index of the option."""


class Choice(Config):
    """One of ``options``, which may be numbers, words, lists or mappings; ``pchoice`` draws by ``probabilities``."""

    name: Literal["choice", "pchoice"]
    options: tuple[Any, ...] = Field(min_length=1)
    probabilities: tuple[float, ...] | None = None

    @model_validator(mode="after")
    def _as_many(self) -> Choice:
        if (self.name == "pchoice") != (self.probabilities is not None):
            raise ValueError("probabilities go with pchoice, and only with it")
        if self.probabilities is not None:
            if len(self.probabilities) != len(self.options):
                raise ValueError(f"{len(self.options)} options have {len(self.probabilities)} probabilities")
            if min(self.probabilities) < 0 or abs(sum(self.probabilities) - 1) > 1e-6:
                raise ValueError("probabilities are from 0 to 1 and add up to 1")
        return self

    def node(self, label: str) -> Any:
        """Make the expression of hyperopt; it draws the index of an option."""
        from hyperopt import hp

        index = range(len(self.options))
        if self.probabilities is None:
            return hp.choice(label, list(index))
        return hp.pchoice(label, list(zip(self.probabilities, index, strict=True)))

    def value(self, drawn: float) -> Any:
        """Return the recipe's value for a number that hyperopt drew."""
        return self.options[int(drawn)]

    def nearest(self, value: Any) -> float:
        """Return the index of the option that is ``value``; among numbers the nearest; 0 if there is none."""
        same = [index for index, option in enumerate(self.options) if alike(option, value)]
        numbers = {index: option for index, option in enumerate(self.options) if _is_number(option)}
        if same or not (numbers and _is_number(value)):
            return float(same[0] if same else 0)
        return float(min(numbers, key=lambda index: abs(numbers[index] - value)))

    def describe(self) -> str:
        """Describe the values that may be drawn, for people."""
        return ", ".join(f"{option:g}" if isinstance(option, float) else str(option) for option in self.options)


class Interval(Config):
    """Between ``low`` and ``high``, the values themselves (not their logarithms); ``q`` rounds to its multiples.

    ``randint`` never draws ``high``, as in hyperopt; all others may.
    """

    name: Literal["uniform", "quniform", "uniformint", "randint", "loguniform", "qloguniform"]
    low: float
    high: float
    q: float | None = Field(None, gt=0)

    @model_validator(mode="after")
    def _in_order(self) -> Interval:
        if self.low >= self.high:
            raise ValueError(f"low = {self.low:g} must be below high = {self.high:g}")
        if self.name.startswith("q") != (self.q is not None):
            raise ValueError("q goes with quniform and qloguniform, and they need it")
        if "log" in self.name and self.low <= 0:
            raise ValueError(f"low = {self.low:g}: {self.name} needs low > 0 (the value itself, not its logarithm)")
        if self.name.endswith("int") and (self.low % 1 or self.high % 1):
            raise ValueError(f"{self.name} is between whole numbers, not {self.low:g} and {self.high:g}")
        return self

    def node(self, label: str) -> Any:
        """Make the expression of hyperopt."""
        from hyperopt import hp

        low, high = (math.log(self.low), math.log(self.high)) if "log" in self.name else (self.low, self.high)
        if self.name.endswith("int"):
            low, high = int(low), int(high)
        return getattr(hp, self.name)(label, low, high, *(() if self.q is None else (self.q,)))

    def value(self, drawn: float) -> float | int:
        """Return the recipe's value for a number that hyperopt drew; a whole number where the space is whole."""
        if self.q is None and not self.name.endswith("int"):
            return float(drawn)
        return _tidy(min(max(float(drawn), self.low), self.high))  # a multiple of q may lie past an edge

    def nearest(self, value: Any) -> float:
        """Return the number that can be drawn and is nearest to ``value``."""
        high = self.high - 1 if self.name == "randint" else self.high
        number = min(max(float(value), self.low), high) if _is_number(value) else self.low
        if self.name.endswith("int"):
            return float(round(number))
        return number if self.q is None else round(number / self.q) * self.q

    def describe(self) -> str:
        """Describe the values that may be drawn, for people."""
        return f"{self.low:g} to {self.high:g}" + (f" in steps of {self.q:g}" if self.q else "")


class Bell(Config):
    """Around ``mu`` with the standard deviation ``sigma``; of the logarithm for ``lognormal``, as in hyperopt."""

    name: Literal["normal", "qnormal", "lognormal", "qlognormal"]
    mu: float
    sigma: float = Field(gt=0)
    q: float | None = Field(None, gt=0)

    @model_validator(mode="after")
    def _rounded_or_not(self) -> Bell:
        if self.name.startswith("q") != (self.q is not None):
            raise ValueError("q goes with qnormal and qlognormal, and they need it")
        return self

    def node(self, label: str) -> Any:
        """Make the expression of hyperopt."""
        from hyperopt import hp

        return getattr(hp, self.name)(label, self.mu, self.sigma, *(() if self.q is None else (self.q,)))

    def value(self, drawn: float) -> float | int:
        """Return the recipe's value for a number that hyperopt drew."""
        return float(drawn) if self.q is None else _tidy(float(drawn))

    def nearest(self, value: Any) -> float:
        """Return the number that can be drawn and is nearest to ``value``."""
        middle = math.exp(self.mu) if "log" in self.name else self.mu
        least = -math.inf if "log" not in self.name else 0.0 if self.q else math.ulp(0.0)
        number = float(value) if _is_number(value) and value >= least else middle
        return number if self.q is None else round(number / self.q) * self.q

    def describe(self) -> str:
        """Describe the values that may be drawn, for people."""
        return f"{self.name} around {self.mu:g} with {self.sigma:g}"


Expression = Annotated[Choice | Interval | Bell, Field(discriminator="name")]

_KINDS: dict[str, type[Choice] | type[Interval] | type[Bell]] = {
    name: kind for kind in (Choice, Interval, Bell) for name in get_args(kind.model_fields["name"].annotation)
}


def read_space(space: Any) -> dict[str, Choice | Interval | Bell]:
    """Build the expressions of a ``tuning.space``; a mistake is a `ConfigError` that names the key it is in."""
    if not isinstance(space, Mapping) or not space:
        raise ConfigError("a space is a mapping from keys of the recipe to what may be drawn, and not empty")
    found = {}
    for key, values in space.items():
        if isinstance(values, Config):
            values = values.model_dump()
        name = values.get("name") if isinstance(values, Mapping) else None
        if not isinstance(name, str) or name not in _KINDS:
            raise ConfigError(f"{key}: expression {name!r} is unknown; allowed: name, one of {', '.join(_KINDS)}")
        found[str(key)] = validate(_KINDS[name], dict(values), str(key))
    return found


def alike(first: Any, second: Any) -> bool:
    """Return whether two settings are equal, up to the last digits of a number that was read from a table."""
    if _is_number(first) and _is_number(second):
        return math.isclose(first, second, rel_tol=1e-6)
    if isinstance(first, list | tuple) and isinstance(second, list | tuple):
        return len(first) == len(second) and all(map(alike, first, second))
    return bool(first == second)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _tidy(number: float) -> float | int:
    """0.30000000000000004 is 0.3, and 48.0 is 48."""
    rounded = float(f"{number:.12g}")
    return int(rounded) if rounded.is_integer() else rounded
