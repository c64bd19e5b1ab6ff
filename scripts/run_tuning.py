#!/usr/bin/env python3
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from ecotf.commands.console import run_command
from ecotf.commands.run_tuning import main

if __name__ == "__main__":  # the workers of a search load this file, too
    run_command(main)
