"""The extension's outside: who imports whom, what CMake installs, the catalogue entry, the panel's file."""

from __future__ import annotations

import ast
import json
import re
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from PIL import Image

PLUGIN = Path(__file__).parents[3] / "plugin"
MODULE = PLUGIN / "BCDDetector"
LIBRARY = {"numpy", "pydicom", "requests", "vtk", "BCDDetectorLib"}
SLICER = {"qt", "slicer", "DICOMLib", "BCDDetectorUI", "bcd_detector_self_test"}
# Without VTK, so that they run and are tested in any Python: the rest of the library works on the scene.
PLAIN = {
    "address", "answers", "client", "coordinates", "dicom_plugins", "dicom_write", "errors", "jobs",
    "reading", "reading_sr", "result_reader",
    "rules", "secondary_capture", "sr_items", "sr_reader", "tasks", "upload", "words",
}  # fmt: skip


def imports(path: Path) -> set[str]:
    """Top-level packages that a file imports, anywhere in it; "." for its own."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add("." if node.level else (node.module or "").split(".")[0])
    return found - set(sys.stdlib_module_names) - {"."}


def files(pattern: str) -> list[Path]:
    return sorted(MODULE.glob(pattern))


def test_the_extension_imports_nothing_of_the_house():
    """The module speaks HTTP and DICOM: nothing of bcd-cad, no torch, no queue."""
    for path in files("**/*.py"):
        assert imports(path) <= LIBRARY | SLICER, path


def test_the_library_knows_no_qt():
    for path in files("BCDDetectorLib/*.py"):
        assert imports(path) <= LIBRARY, path
    for name in PLAIN:
        assert "vtk" not in imports(MODULE / "BCDDetectorLib" / f"{name}.py"), name


@pytest.mark.parametrize("name", sorted(PLAIN))
def test_plain_modules_import_only_plain_ones(name):
    tree = ast.parse((MODULE / "BCDDetectorLib" / f"{name}.py").read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level == 1:
            own = {node.module} if node.module else {alias.name for alias in node.names}
            assert own <= PLAIN | {"nodes"}, name  # nodes has names and JSON, and imports no VTK


def test_no_file_is_long():
    assert {p.name: n for p in files("**/*.py") if (n := len(p.read_text().splitlines())) > 400} == {}


def test_cmake_installs_every_file():
    """What the lists forget is missing in the installed extension, and only there."""
    text = (MODULE / "CMakeLists.txt").read_text()
    scripts = re.search(r"MODULE_PYTHON_SCRIPTS\n(.*?)\)", text, re.S)
    resources = re.search(r"MODULE_PYTHON_RESOURCES\n(.*?)\)", text, re.S)
    assert scripts and resources
    python = [p.relative_to(MODULE).as_posix() for p in files("**/*.py") if "Testing" not in p.parts]
    assert sorted(scripts[1].split()) == sorted(python)
    assert sorted(resources[1].split()) == sorted(
        p.relative_to(MODULE).as_posix() for p in files("Resources/**/*") if p.is_file()
    )


def test_the_catalogue_entry_and_the_metadata():
    entry = json.loads((PLUGIN / "BCD.json").read_text())
    assert {"$schema", "category", "scm_url", "scm_revision", "tier"} <= set(entry)
    text = (PLUGIN / "CMakeLists.txt").read_text()
    assert "project(BCD)" in text
    for key in ("HOMEPAGE", "CONTRIBUTORS", "DESCRIPTION", "ICONURL", "SCREENSHOTURLS", "DEPENDS"):
        assert f"set(EXTENSION_{key} " in text
    assert "Research use only" in text
    with Image.open(PLUGIN / "BCD.png") as icon:
        assert icon.size == (128, 128)


def test_the_panel_has_what_its_code_asks_for():
    """PythonQt finds a missing widget only when a user comes by."""
    tree = ElementTree.parse(MODULE / "Resources" / "UI" / "BCDDetector.ui")
    named = {widget.get("name") for widget in tree.iter("widget")}
    asked = set()
    for path in [MODULE / "BCDDetector.py", *files("BCDDetectorUI/*.py")]:
        asked |= set(re.findall(r"\bui\.(\w+)", path.read_text()))
    assert asked and asked <= named
    labels = [e.text for e in tree.iter("string")]
    assert any("Research use only" in (text or "") for text in labels)
