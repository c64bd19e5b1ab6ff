#!/usr/bin/env python3
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from deploy.flash.command import main
from ecotf.commands.console import run_command

run_command(main)
