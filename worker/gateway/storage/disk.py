"""Room on the gateway's disk."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path


def check_room(folder: Path, free_bytes: int, wanted: int = 0) -> None:
    """Raise OSError (ENOSPC) if ``wanted`` more bytes in ``folder`` would leave less than ``free_bytes``."""
    if shutil.disk_usage(folder).free - wanted < free_bytes:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))
