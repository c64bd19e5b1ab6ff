"""Where published data sets are, and how they become a folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ecotf.datasets.fetching.download import Progress, checked_md5, download, md5_of, opened
from ecotf.datasets.fetching.unpack import unpack_zip
from ecotf.errors import ConfigError, DataError

ZENODO = "https://zenodo.org/api/records"
_DRIVE = "https://drive.usercontent.google.com/download?id={}&export=download&confirm=t"


@dataclass(frozen=True)
class Archive:
    """One file to fetch.

    Attributes
    ----------
    name
        Of the file, as ``train.zip``; its stem is the split.
    place
        An address, or the path of a file that is there.
    md5
        Its checksum; may be empty for a file that is there.
    """

    name: str
    place: str
    md5: str


@dataclass(frozen=True)
class Published:
    """A data set that can be fetched.

    Attributes
    ----------
    about
        One line for people.
    archives
        Names of its files.
    record
        Its number at Zenodo, which knows addresses and checksums.
    places
        Addresses, where there is no such record.
    checksums
        MD5 of each file, as its authors have published it.
    importer
        Reads the folder (`ecotf.datasets.importers`).
    """

    about: str
    archives: tuple[str, ...]
    record: str = ""
    places: tuple[str, ...] = ()
    checksums: tuple[str, ...] = ()
    importer: str = "darksound"


PUBLISHED: dict[str, Published] = {
    "darksound-v1": Published(
        "Darksound of the thesis (2023), on Google Drive",
        ("train.zip", "val.zip", "test.zip"),
        places=(
            _DRIVE.format("1GUgpDaf7AqzqIKwD9_Rb8sH643l1CrqQ"),
            _DRIVE.format("1JPKfPUrPsXVS8mKFoGVGcDjYUuQ804B3"),
            _DRIVE.format("1DKXRf-Y2KbmkQ8Civ-mdiNa9mhykqqoS"),
        ),
        checksums=(
            "b95ebadd31bdc149adc8d07fe779eeeb",
            "846f5d7457525012b94e7e9b5c215705",
            "6dbd0cc8950fed84ff91d17da6d8c994",
        ),
    ),
    "darksound-v2": Published(
        "Darksound of the paper (2024), Zenodo 10512103", ("train.zip", "test.zip"), record="10512103"
    ),
}


def archives_of(
    data_set: str, places: Sequence[str] = (), checksums: Sequence[str] = (), zenodo: str = ZENODO
) -> list[Archive]:
    """Say what is to be fetched of a data set, and from where.

    Parameters
    ----------
    places
        Addresses or paths of its archives, in the order of `Published.archives`; without them, the published ones.
    checksums
        MD5 of each place; not needed for paths.

    Raises
    ------
    ConfigError
        An unknown data set, or a wrong number of places or checksums.
    DataError
        Zenodo cannot be reached, or has not these files.
    """
    published = PUBLISHED.get(data_set)
    if published is None:
        raise ConfigError(f"data set {data_set!r} is unknown; allowed: {', '.join(PUBLISHED)}")
    names = published.archives
    if not places:
        if published.record:
            return _at_zenodo(published, zenodo)
        return [Archive(*one) for one in zip(names, published.places, published.checksums, strict=True)]
    if len(places) != len(names):
        raise ConfigError(f"{len(places)} archives are given and {data_set} has {len(names)}: {', '.join(names)}")
    local = [not place.lower().startswith(("http://", "https://")) for place in places]
    if len(checksums) not in ((0, len(names)) if all(local) else (len(names),)):
        raise ConfigError(
            f"{len(checksums)} checksums are given for {len(names)} archives; --md5 is needed for each, in their order"
        )
    given = [checked_md5(checksum) for checksum in checksums] or [""] * len(names)
    return [Archive(name, place, md5) for name, place, md5 in zip(names, places, given, strict=True)]


def fetch(
    archives: Sequence[Archive], folder: str | Path, log: Callable[[str], None], progress: Progress | None = None
) -> Path:
    """Download what is not there yet, check it, and unpack all into ``folder``.

    Raises
    ------
    DataError
        As `download` and `unpack_zip`; what was downloaded before is kept.
    """
    folder = Path(folder)
    for archive in archives:
        if archive.place.lower().startswith(("http://", "https://")):
            path = download(archive.place, folder / archive.name, archive.md5, progress)
        else:
            path = Path(archive.place)
            if not path.is_file():
                raise DataError(f"{path}: there is no such file")
            if archive.md5 and md5_of(path) != archive.md5:
                raise DataError(f"{path}: its checksum is {md5_of(path)}, and {archive.md5} was asked for")
        log(f"{path}: {unpack_zip(path, folder, Path(archive.name).stem)} files in {folder}")
    return folder


def _at_zenodo(published: Published, zenodo: str) -> list[Archive]:
    address = f"{zenodo}/{published.record}"
    answer = opened(address)
    try:
        with answer:
            files = {file["key"]: file for file in json.load(answer)["files"]}
        return [Archive(name, str(files[name]["links"]["self"]), str(files[name]["checksum"]))
                for name in published.archives]  # fmt: skip
    except (ValueError, KeyError, TypeError, AttributeError, OSError):
        raise DataError(
            f"{address}: does not list {', '.join(published.archives)}; give --archive and --md5 for each of them"
        ) from None
