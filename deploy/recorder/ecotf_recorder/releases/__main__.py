"""``python -m ecotf_recorder.releases``."""

import sys

from ecotf_recorder.releases import main

sys.exit(main(sys.argv[1:]))
