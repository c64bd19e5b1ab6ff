"""Keep a copy of an embedder in the folder of a run, and open it from there."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import yaml

from ecotf.errors import ConfigError
from ecotf.models.embedders.base import Embedder, build_embedder, open_embedder
from ecotf.models.embedders.several import SeveralConfig

_DESCRIPTION, _DIGEST = "description.yaml", "digest.txt"


def keep_embedder(embedder: Embedder, folder: Path) -> None:
    """Write an embedder into an existing folder: its model, its description with the licence note, its digest."""
    config = embedder.config
    if isinstance(config, SeveralConfig):
        _describe(embedder, _keep_members(config, folder), folder)
        return
    model = config.model
    assert model is not None  # it was built from that
    copy = folder / model.name
    if model.is_dir():
        shutil.copytree(model, copy, ignore=shutil.ignore_patterns(".lock"))
    else:
        shutil.copyfile(model, copy)
    values = config.model_dump(mode="json", exclude_none=True) | {"model": model.name}
    labels: Path | None = getattr(config, "labels", None)
    if labels is not None:
        values["labels"] = labels.name
        if labels.is_file() and not (copy / labels.name).exists():
            shutil.copyfile(labels, folder / labels.name)
    _describe(embedder, values, folder)


def _keep_members(config: SeveralConfig, folder: Path) -> dict[str, Any]:
    """Keep each in a folder of its own; return the description of all."""
    members = []
    for number, member in enumerate(config.members):
        own = folder / f"member_{number}"
        own.mkdir()
        keep_embedder(build_embedder(member.config), own)
        members.append({"model": f"{own.name}/{_DESCRIPTION}"})
    return config.model_dump(mode="json", exclude_none=True, exclude={"model"}) | {"members": members}


def _describe(embedder: Embedder, values: dict[str, Any], folder: Path) -> None:
    (folder / _DESCRIPTION).write_text(yaml.safe_dump(values, sort_keys=False, allow_unicode=True), encoding="utf-8")
    (folder / _DIGEST).write_text(embedder.digest + "\n", encoding="ascii")


def open_kept_embedder(folder: Path) -> Embedder:
    """Open what `keep_embedder` wrote.

    Raises
    ------
    ConfigError
        It is damaged, or no longer the model that was kept.
    """
    try:
        digest = (folder / _DIGEST).read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        raise ConfigError(f"{folder}: no embedder is kept there; copy the run again, or train anew") from None
    embedder = open_embedder(folder / _DESCRIPTION)
    if embedder.digest != digest:
        raise ConfigError(
            f"{folder}: the embedder is not the one that the head was fitted on; copy the run again, or train anew"
        )
    return embedder
