"""``python -m worker`` is ``bcd-admin``."""

import sys

from worker.cli import main

sys.exit(main())
