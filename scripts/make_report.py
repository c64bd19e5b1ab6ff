#!/usr/bin/env python3
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from ecotf.commands.console import run_command
from ecotf.commands.make_report import main

run_command(main)
