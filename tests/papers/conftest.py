import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
# the checker of figures, and the room to copy
sys.path[:0] = [str(ROOT / "tests" / "plotting"), str(ROOT / "docs" / "templates")]
