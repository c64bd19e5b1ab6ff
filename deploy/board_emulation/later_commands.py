"""Parts of the proof: settings, logs and tables from here, and a card that was prepared without a network."""

from __future__ import annotations

from pathlib import Path

from deploy.board_emulation.board import Board
from deploy.board_emulation.image import BoardImage
from deploy.board_emulation.proof import Proof, release_of


def prove_looking_after(proof: Proof, bundle: Path) -> None:
    """``config``, ``logs`` and ``fetch``, on a recorder that runs ``bundle``."""
    proof.title("settings are changed from here, and a mistake is refused")
    proof.flash_device("config", says=["source.kind", "emulated board"])
    proof.flash_device("config", "--set", "rules.hits=2", "--set", "site.name=oak", says=["done"])
    proof.runs(bundle)
    proof.flash_device("config", says=["rules.hits", "oak"])
    proof.flash_device("config", "--set", "rules.hits=many", status=1, says=["refused", "rules.hits"])
    proof.flash_device("config", "--unset", "rules.hits", says=["done"])
    proof.on_board("cat /etc/ecotf/config.toml; ls -l /etc/ecotf")
    proof.runs(bundle)

    proof.title("logs and tables come home")
    proof.flash_device("logs", "--lines", "5", says=["ecotf-recorder"])
    proof.flash_device("logs", "--of", "service", "--lines", "5", says=["ecotf"])
    proof.flash_device("logs", "--of", "changes", "--lines", "9", says=["restart"])
    season = proof.folder / "season"
    for _ in range(2):
        proof.flash_device("fetch", "--output", season, says=["1 of 1 recorders well"])
    home = {path.name for path in season.glob("*/*")}
    proof.expect(f"health and log are here ({', '.join(sorted(home))})", {"health.json", "recorder.log"} <= home)


def prove_prepared_card(proof: Proof, image: BoardImage, bundle: Path) -> None:
    """A second board starts from an image that ``flash_device.py image`` prepared, and nobody logs in to set it up."""
    proof.title("a card that was prepared offline")
    prepared = BoardImage(image.folder)
    prepared.disk = proof.folder / "prepared.img"
    proof.flash_device(
        "image", image.disk, "--config", proof.folder / "config.toml", "--bundle", bundle, "--hostname", "prepared",
        "--output", prepared.disk, device=False, says=["aarch64, Python 3.11", "read back and compared"],
    )  # fmt: skip
    board = Board(prepared, proof.folder / "prepared")
    second = Proof(board, proof.folder / "prepared")
    second.failures = proof.failures
    try:
        second.boot()
        second.runs(bundle, wait_s=1200)
        second.on_board("hostname; sudo cat /var/log/ecotf-setup.log; ls -d /ecotf/inbox/*; systemctl --failed")
        left = board.run("ls -d /var/lib/ecotf-setup /etc/systemd/system/*/ecotf-setup.service 2>/dev/null")
        second.expect(f"nothing is left of the setup ({left or 'nothing'})", not left)
        # The release runs before the inbox has committed it and written its note.
        note = board.run(
            f"cd /ecotf/inbox; for i in $(seq 120); do [ -d {release_of(bundle)}.done ] && break; sleep 1; done; "
            f"sudo cat {release_of(bundle)}.done/result.txt"
        )
        second.expect(f"the bundle was applied as from a card ({note})", note.startswith("done"))
        second.expect("its name is the given one", board.run("hostname") == "prepared")
        second.flash_device("status", "--accept-new-host-key", status=1, says=["is the card in?"])
        second.on_board("sudo mkdir -p /media/ecotf-card; sleep 60")  # it looks again every so often
        second.flash_device("status", says=["1 of 1 recorders well"])
        second.flash_device("init", "--offline", "--config", proof.folder / "config.toml", says=["up to date", "done"])
        board.shut_down()
        second.boot()
        second.runs(bundle, wait_s=120)
    finally:
        board.close()
