"""The workstation's side of flashing: bundles go to recorders over ssh, or onto a memory card.

Bundles are read by the recorder's own module, so that neither side accepts what the other refuses.
"""

import sys
from pathlib import Path

RECORDER = Path(__file__).resolve().parents[1] / "recorder"
if str(RECORDER) not in sys.path:
    sys.path.insert(0, str(RECORDER))
