"""The workers of a search import what they are to try by its name, so it must have one."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
