"""What the command is called: the script of the repository, or the one that is installed."""

from __future__ import annotations

import sys
from pathlib import Path

INSTALLED, SCRIPT = "basnet-annotate", "run_pipeline.py"
PROGRAM = INSTALLED if Path(sys.argv[0]).stem == INSTALLED else SCRIPT
