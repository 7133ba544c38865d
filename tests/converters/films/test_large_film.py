"""The largest films there are, in bounded memory."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

SaveFilm = Callable[..., Path]

ROWS, COLUMNS = 8192, 6144
READ = """
import sys
from pathlib import Path
from converters.films.read import read_film
film = read_film(Path(sys.argv[1])).film
status = Path("/proc/self/status").read_text().splitlines()
print(*film.pixels.shape, *(line.split()[1] for line in status if line.startswith("VmHWM")))
"""


@pytest.mark.commands
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's record of the peak memory")
@pytest.mark.parametrize(
    "window", [{}, {"WindowCenter": None, "WindowWidth": None}], ids=["window", "own range"]
)
def test_fifty_megapixels_are_read_within_a_gigabyte(save_film: SaveFilm, window: dict[str, None]) -> None:
    pixels = np.add.outer(np.arange(ROWS, dtype=np.uint16) // 4, np.arange(COLUMNS, dtype=np.uint16) // 4)
    elements = {"WindowCenter": 2048, "WindowWidth": 4096} | window
    path = save_film("film.dcm", pixels, BitsStored=12, ImagerPixelSpacing=[0.03, 0.03], **elements)
    command = [sys.executable, "-c", READ, str(path)]
    answer = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout
    rows, columns, kilobytes = map(int, answer.split())
    assert (rows, columns) == (ROWS, COLUMNS)
    assert kilobytes < 600_000
