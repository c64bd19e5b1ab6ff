"""A registry: the named kinds of one thing (front ends, backbones, heads, stages, sound sources, embedders)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar, Union, get_args

from pydantic import Field

from ecotf.config import Config
from ecotf.errors import ConfigError

Built = TypeVar("Built")


@dataclass(frozen=True)
class Entry(Generic[Built]):
    """One kind: the config that describes it, and what builds it from that config."""

    name: str
    config_class: type[Config]
    build: Callable[..., Built]


class Registry(Generic[Built]):
    """All kinds of one thing, found by the ``name`` of their config.

    An entry is a config class with ``name: Literal["..."]`` and a function that builds from it. What others must know
    of an entry (``gives_frames``, ``fixed_length``, ...) stands on its config class, so nobody compares names.

    Parameters
    ----------
    what
        What the entries are, in the singular, for messages: ``head``.

    Examples
    --------
    >>> from typing import Literal
    >>> heads: Registry[str] = Registry("head")
    >>> class MeanConfig(Config):
    ...     name: Literal["mean"] = "mean"
    >>> @heads.register(MeanConfig)
    ... def build_mean(config: MeanConfig, classes: int) -> str:
    ...     return f"mean of {classes}"
    >>> heads.build(MeanConfig(), 3)
    'mean of 3'
    >>> heads["median"]
    Traceback (most recent call last):
    ecotf.errors.ConfigError: unknown head 'median'; known: mean
    """

    def __init__(self, what: str) -> None:
        self.what = what
        self._entries: dict[str, Entry[Built]] = {}

    def register(self, config_class: type[Config]) -> Callable[[Callable[..., Built]], Callable[..., Built]]:
        """Register the decorated function for ``config_class``; raises `ConfigError` for a second one."""
        name = name_of(config_class)

        def keep(build: Callable[..., Built]) -> Callable[..., Built]:
            if name in self._entries:
                raise ConfigError(f"{self.what} {name!r} is registered twice")
            self._entries[name] = Entry(name, config_class, build)
            return build

        return keep

    def __getitem__(self, name: str) -> Entry[Built]:
        """The entry called ``name``; raises `ConfigError` that lists the known ones."""
        try:
            return self._entries[name]
        except KeyError:
            raise ConfigError(f"unknown {self.what} {name!r}; known: {', '.join(sorted(self._entries))}") from None

    def __iter__(self) -> Iterator[Entry[Built]]:
        """All entries, in the order of their names."""
        return iter([self._entries[name] for name in sorted(self._entries)])

    def build(self, config: Config, *arguments: Any, **options: Any) -> Built:
        """Build what ``config`` describes; raises `ConfigError` for a config of another registry."""
        entry = self[name_of(type(config))]
        if not isinstance(config, entry.config_class):
            raise ConfigError(f"{type(config).__name__} is no {self.what} of this registry")
        return entry.build(config, *arguments, **options)

    def config_type(self) -> Any:
        """The type of a recipe's key that takes any entry: a union of the configs, told apart by ``name``."""
        classes = tuple(entry.config_class for entry in self)
        return classes[0] if len(classes) == 1 else Annotated[Union[classes], Field(discriminator="name")]  # noqa: UP007


def name_of(config_class: type[Config]) -> str:
    """The one value that the key ``name`` of ``config_class`` may have."""
    field = config_class.model_fields.get("name")
    values = () if field is None else get_args(field.annotation)
    if len(values) != 1 or not isinstance(values[0], str):
        raise TypeError(f'{config_class.__name__} needs name: Literal["..."] = "..."')
    return str(values[0])
