"""Make ``tests/`` importable, so that tests can say ``from oracles...``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
