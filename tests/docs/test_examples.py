"""What the documents show is what runs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from bcd_model import errors
from bcd_model.weights import read_info
from converters.mias.phantom import write_phantom
from converters.mias.to_dicom import convert_mias

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "docs" / "examples" / "three_steps.py"


def test_the_readme_shows_the_example_as_it_is() -> None:
    code = EXAMPLE.read_text().split('"""\n\n', 1)[1]
    assert code in (ROOT / "README.md").read_text()


@pytest.mark.commands
def test_the_three_steps_run(tmp_path: Path) -> None:
    write_phantom(tmp_path / "films", patients=1, shape=(256, 256))
    convert_mias(tmp_path / "films", tmp_path / "dicom")
    command = [sys.executable, str(EXAMPLE), str(tmp_path / "dicom"), str(tmp_path / "results")]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "phantom001.dcm " in run.stdout
    (folder,) = (tmp_path / "results").iterdir()
    assert f"wrote {folder}" in run.stdout
    assert (folder / "cad_sr.dcm").is_file()


def test_every_setting_stands_in_the_reference() -> None:
    from worker.settings import PREFIX, Settings

    reference = (ROOT / "docs" / "reference" / "settings.md").read_text()
    for name, field in Settings.model_fields.items():
        assert f"| `{PREFIX}{name.upper()}` | {field.description} |" in reference


def test_the_readme_says_what_each_exit_code_means() -> None:
    table = (ROOT / "README.md").read_text().split("| exit code | means |\n|---|---|\n")[1].split("\n\n")[0]
    rows = dict(re.findall(r"^\| (\d+) \| (.+) \|$", table, re.MULTILINE))
    kinds = [each for each in vars(errors).values() if isinstance(each, type) and hasattr(each, "exit_code")]
    assert {0, 1, 130, *(each.exit_code for each in kinds)} == set(map(int, rows))
    assert not re.search(r"\d", "".join(rows.values()))


def test_the_figures_in_the_documents_are_those_of_the_shipped_weights() -> None:
    figures = read_info().card["cross_validated"]
    shown = [figures["film_auc"], figures["malignant_against_benign_auc"]]
    shown += figures["sensitivity_at_false_marks_per_film"].values()
    for document in (ROOT / "README.md", ROOT / "docs" / "model-card.md"):
        text = document.read_text().replace("*", "")
        for figure in shown:
            assert f"{figure['value']:.3f} ({figure['low']:.3f} to {figure['high']:.3f})" in text
    assert read_info().card["command"] in (ROOT / "docs" / "model-card.md").read_text()
