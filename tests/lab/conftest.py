import sys
from pathlib import Path

# the toy paper, importable here and in the processes that tests start
sys.path.insert(0, str(Path(__file__).parent))
