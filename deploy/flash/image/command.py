"""``ecotf flash image``: prepare the image of a card for recorders that no network reaches."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from deploy.flash.bundles import open_bundle
from deploy.flash.image.plan import Host
from deploy.flash.image.preparing import ImageChoices, prepare_image
from deploy.flash.setting_up import SetupChoices, add_setup_options
from ecotf.commands.console import log, make_parser
from ecotf.errors import ConfigError

EXAMPLES = """\
examples:
  ecotf flash image raspios-lite.img.xz --config oak.toml --bundle BUNDLE --output oak.img
  ecotf flash image raspios-lite.img.xz --config oak.toml --bundle BUNDLE --hostname oak
      --time-zone Europe/Brussels --no-radio --output oak.img

Only files are read and written, never a card. Write the result to a card with Raspberry Pi Imager.
"""


def main(arguments: Sequence[str]) -> int:
    """Prepare one image."""
    parser = make_parser(
        "flash image", "Prepare an image of Raspberry Pi OS, so that a recorder starts by itself, offline.", EXAMPLES
    )
    parser.add_argument("image", metavar="IMAGE", type=Path, help="Raspberry Pi OS Lite (64-bit): .img or .img.xz")
    place = parser.add_mutually_exclusive_group(required=True)
    place.add_argument("--output", metavar="FILE", type=Path, help="the prepared image")
    place.add_argument("--in-place", action="store_true", help="let it take the place of IMAGE")
    parser.add_argument("--bundle", metavar="BUNDLE", type=Path, help="folder that ecotf export wrote")
    add_setup_options(parser)
    table = "table of plausible labels: it goes there, and rules.plausible is set"
    parser.add_argument("--plausible", metavar="FILE", type=Path, help=table)
    parser.add_argument("--hostname", metavar="NAME", default="", help="name of the board (raspberrypi)")
    zone = "time zone of the board, for times in the schedule, such as Europe/Brussels"
    parser.add_argument("--time-zone", metavar="ZONE", default="", help=zone)
    parser.add_argument("--no-radio", action="store_true", help="Wi-Fi and Bluetooth stay off, which saves power")
    options = parser.parse_args(arguments)
    if options.in_place and options.image.suffix == ".xz":
        raise ConfigError("--in-place is for an .img; with an .xz give --output")
    bundle = open_bundle(options.bundle) if options.bundle is not None else None
    setup = SetupChoices(options.config, tuple(options.trust), True, options.wheels)
    host = Host(options.hostname, options.time_zone, options.no_radio)
    output = options.image if options.in_place else options.output
    prepare_image(options.image, output, ImageChoices(setup, bundle, options.plausible, host), log)
    log(f"written: {output}; write it to a card with Raspberry Pi Imager (Use custom)")
    if bundle is None:
        log("there is no bundle in it: the recorder waits for its first one")
    return 0
