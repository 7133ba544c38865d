"""Makes the modules beside this file known here: they belong to no package."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
