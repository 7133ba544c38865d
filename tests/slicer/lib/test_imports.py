"""Every module of the library can be imported here, whatever this Python is."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import types
from pathlib import Path

import pytest

import BCDDetectorLib

FOLDER = Path(BCDDetectorLib.__file__).parent
NAMES = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem != "__init__")


@pytest.fixture
def stand_in_for_vtk(monkeypatch):
    """Only for names at import; what is done with VTK is tested beside slicer-core."""
    if importlib.util.find_spec("vtk") is None:
        support = types.ModuleType("vtk.util.numpy_support")
        support.numpy_to_vtk = support.vtk_to_numpy = None
        for name, module in (
            ("vtk", types.ModuleType("vtk")),
            ("vtk.util", types.ModuleType("vtk.util")),
            ("vtk.util.numpy_support", support),
        ):
            monkeypatch.setitem(sys.modules, name, module)


@pytest.mark.parametrize("name", NAMES)
def test_it_is_imported(name, stand_in_for_vtk):
    importlib.import_module(f"BCDDetectorLib.{name}")


@pytest.mark.parametrize("path", sorted(FOLDER.parent.rglob("*.py")), ids=lambda path: path.stem)
def test_this_python_understands_it(path):
    compile(path.read_text(encoding="utf-8"), str(path), "exec")
