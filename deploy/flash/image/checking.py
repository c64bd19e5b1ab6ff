"""What would fail at the first start, where nobody can look, is refused here."""

from __future__ import annotations

import contextlib
import io
import shutil
import tempfile
from pathlib import Path

from ecotf_recorder.config import read_config
from ecotf_recorder.config_check import check_config
from ecotf_recorder.errors import RecorderError
from ecotf_recorder.releases.bundle import MODEL, Bundle, ReleaseError, check_signature
from ecotf_recorder.releases.config_text import change_text
from ecotf_recorder.releases.fitting import why_unfit

from deploy.flash.image.system import ImageSystem
from ecotf.errors import ConfigError

ETC = "/etc/ecotf"


def check_settings(config: Path, bundle: Bundle | None, table: Path | None) -> None:
    """Ask ``check-config`` about a config, with the model of the bundle in the place of the recorder's.

    Raises
    ------
    ConfigError
        The mistakes.
    """
    with tempfile.TemporaryDirectory() as scratch:
        tried = Path(scratch) / "config.toml"
        shutil.copyfile(config, tried)
        try:
            stated = read_config(tried).rules.plausible
            if stated and table is None:
                raise ConfigError(f"{config}: rules.plausible = {stated!r}: put this table there with --plausible FILE")
            model = bundle.folder / MODEL if bundle is not None else Path(scratch) / MODEL
            here = {"state_dir": scratch, "model": str(model.resolve())}
            here |= {"rules.plausible": str(table.resolve())} if table is not None else {}
            tried.write_text(change_text(tried.read_text(encoding="utf-8"), here), encoding="utf-8")
            said = io.StringIO()
            with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
                status = check_config(tried)
        except (RecorderError, ReleaseError) as error:
            raise ConfigError(str(error).replace(str(tried), str(config))) from None
    if status not in (0, 1):  # 1: a folder of the board that is not here
        raise ConfigError(said.getvalue().strip().replace(str(tried), str(config)))


def check_sound(config: Path, system: ImageSystem) -> None:
    """Refuse an image without ``arecord`` for a recorder with a microphone: it could not be installed there.

    Raises
    ------
    ConfigError
        It is not there.
    """
    if read_config(config).source.kind == "microphone" and not system.has_arecord:
        raise ConfigError(
            f"{system.files.image}: no arecord in it (package alsa-utils), so it cannot hear a microphone; take the "
            ".img of Raspberry Pi OS Lite (64-bit), which has it"
        )


def check_bundle(bundle: Bundle, trust: tuple[Path, ...], system: ImageSystem) -> None:
    """Refuse a bundle for another processor, or one that none of the trusted keys has signed.

    Raises
    ------
    ConfigError
        The reason.
    """
    reason = why_unfit(bundle, system.board.machine, None)
    if reason:
        raise ConfigError(reason)
    with tempfile.TemporaryDirectory() as folder:
        for key in trust:
            shutil.copy(key, folder)
        try:
            check_signature(bundle, Path(folder), bool(trust))
        except ReleaseError as error:
            raise ConfigError(str(error).replace(f" (keys in {folder})", "").replace(f" in {folder}", "")) from None
