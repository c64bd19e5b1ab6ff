"""A registry: the named kinds of one thing (front ends, backbones, heads, stages, sound sources, embedders)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar, Union, get_args
from weakref import WeakSet

from pydantic import BeforeValidator, Field

from ecotf.config import Config
from ecotf.errors import ConfigError

Built = TypeVar("Built")
Build = TypeVar("Build", bound=Callable[..., Any])

_REGISTRIES: WeakSet[Registry[Any]] = WeakSet()


@dataclass(frozen=True)
class Entry(Generic[Built]):
    """One kind: the config that describes it, and what builds it from that config."""

    name: str
    config_class: type[Config]
    build: Callable[..., Built]


class Registry(Generic[Built]):
    """All kinds of one thing, found by the ``name`` of their config.

    An entry is a config class with ``name: Literal["..."]`` and a function that builds from it. A family of several
    sizes is one class with several names. What others must know of an entry (``gives_frames``, ``fixed_length``, ...)
    stands on its config class, so nobody compares names.

    Parameters
    ----------
    what
        What the entries are, in the singular, for messages: ``head``.

    Examples
    --------
    An entry, in a file of its own::

        class MeanConfig(HeadConfig):
            name: Literal["mean"] = "mean"

        @HEADS.register(MeanConfig)
        def build_mean(config, feature_shape, n_classes, probabilities): ...

    >>> heads: Registry[str] = Registry("head")
    >>> heads["median"]
    Traceback (most recent call last):
    ecotf.errors.ConfigError: unknown head 'median'; known: none
    """

    def __init__(self, what: str) -> None:
        self.what = what
        self._entries: dict[str, Entry[Built]] = {}
        _REGISTRIES.add(self)

    def register(self, config_class: type[Config]) -> Callable[[Build], Build]:
        """Register the decorated function for ``config_class``; raises `ConfigError` for a name that is taken."""
        names = names_of(config_class)
        for name in names:
            if name in self._entries:
                raise ConfigError(f"{self.what} {name!r} is registered twice")

        def keep(build: Build) -> Build:
            self._entries.update((name, Entry(name, config_class, build)) for name in names)
            return build

        return keep

    @property
    def names(self) -> str:
        """The names of all entries, for messages."""
        return ", ".join(sorted(self._entries))

    def __getitem__(self, name: str) -> Entry[Built]:
        """The entry called ``name``; raises `ConfigError` that lists the known ones."""
        try:
            return self._entries[name]
        except KeyError:
            raise ConfigError(f"unknown {self.what} {name!r}; known: {self.names or 'none'}") from None

    def __iter__(self) -> Iterator[Entry[Built]]:
        """All entries, in the order of their names."""
        return iter([self._entries[name] for name in sorted(self._entries)])

    def __contains__(self, name: object) -> bool:
        """Whether there is an entry called ``name``."""
        return name in self._entries

    def build(self, config: Config, *arguments: Any, **options: Any) -> Built:
        """Build what ``config`` describes; raises `ConfigError` for a config of another registry."""
        entry = next((entry for entry in self._entries.values() if type(config) is entry.config_class), None)
        if entry is None:
            raise ConfigError(f"{type(config).__name__} is no {self.what}; known: {self.names}")
        return entry.build(config, *arguments, **options)

    def config_type(self, **traits: Any) -> Any:
        """The type of a recipe's key that takes any entry, told apart by ``name``.

        Parameters
        ----------
        traits
            What an entry must say of itself to be allowed there: ``takes="patch"``.
        """
        entries = [entry for entry in self if all(getattr(entry.config_class, k) == v for k, v in traits.items())]
        classes = tuple(dict.fromkeys(entry.config_class for entry in entries))
        check = BeforeValidator(lambda value: self._check_name(value, [entry.name for entry in entries], traits))
        if len(classes) == 1:
            return Annotated[classes[0], check]
        return Annotated[Union[classes], Field(discriminator="name"), check]  # noqa: UP007

    def _check_name(self, value: Any, allowed: list[str], traits: dict[str, Any]) -> Any:
        """``value`` as it is, unless it has the name of an entry that is known, but does not belong here."""
        name = value.get("name") if isinstance(value, dict) else None
        if not isinstance(name, str) or name in allowed:
            return value
        listed = f"allowed: {', '.join(map(repr, allowed))}"
        if name in self:
            own = ", ".join(f"{key} = {getattr(self[name].config_class, key)}" for key in traits)
            needed = ", ".join(f"{key} = {value}" for key, value in traits.items())
            raise ValueError(f"{name!r} is {_a(self.what)} with {own}; here {needed} is needed; {listed}")
        for registry in sorted(_REGISTRIES, key=lambda registry: registry.what):
            if name in registry:
                raise ValueError(f"{name!r} is {_a(registry.what)}, not {_a(self.what)}; {listed}")
        raise ValueError(f"name {name!r} is unknown; {listed}")


def names_of(config_class: type[Config]) -> tuple[str, ...]:
    """Return the values that the key ``name`` of ``config_class`` may have."""
    field = config_class.model_fields.get("name")
    values = () if field is None else get_args(field.annotation)
    if not values or not all(isinstance(value, str) for value in values):
        raise TypeError(f'{config_class.__name__} needs name: Literal["..."] = "..."')
    return values


def _a(what: str) -> str:
    """Put the article before it."""
    return f"{'an' if what[0] in 'aeio' else 'a'} {what}"
