"""What the documents show is what runs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bcd_model import errors
from bcd_model.weights import read_info
from converters.mias.phantom import write_phantom
from converters.mias.to_dicom import convert_mias
from converters.truth.file import read_truth

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "docs" / "examples" / "three_steps.py"


def test_the_page_on_the_python_api_shows_the_example_as_it_is() -> None:
    code = EXAMPLE.read_text().split('"""\n\n', 1)[1]
    assert code in (ROOT / "docs" / "reference" / "python-api.md").read_text()


def test_importing_the_python_api_does_not_bring_torch() -> None:
    code = "import sys, worker.api; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.commands
def test_the_three_steps_run(tmp_path: Path) -> None:
    write_phantom(tmp_path / "films", patients=1, shape=(256, 256))
    convert_mias(tmp_path / "films", tmp_path / "dicom")
    (spoilt,) = (tmp_path / "dicom").rglob("phantom002.dcm")
    spoilt.write_bytes(spoilt.read_bytes()[:-100])  # its last pixels are missing
    command = [sys.executable, str(EXAMPLE), str(tmp_path / "dicom"), str(tmp_path / "results")]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "phantom001.dcm " in run.stdout
    assert f"{spoilt.name} was not scanned: " in run.stdout
    (folder,) = (tmp_path / "results").iterdir()
    assert f"wrote {folder}" in run.stdout
    assert (folder / "cad_sr.dcm").is_file()


def test_every_setting_stands_in_the_reference() -> None:
    from worker.settings import Settings

    page = (ROOT / "docs" / "reference" / "settings.md").read_text()
    listed = [" ".join(entry.split()) for entry in re.findall(r"^- `BCD_.*(?:\n  .*)*", page, re.MULTILINE)]
    expected = []
    for variable, field, description in Settings.variables():
        info = Settings.model_fields[field]
        shown = "" if info.default_factory or info.default in (None, ()) else f" (`{info.default}`)"
        expected.append(f"- `{variable}`{shown}: {description}")
    assert listed == expected


def test_the_settings_file_of_the_reference_can_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from worker.settings import Settings, load_settings
    from worker.settings_file import read_settings_file
    from worker.unknown_settings import unknown_settings

    page = (ROOT / "docs" / "reference" / "settings.md").read_text()
    (shown,) = re.findall(r"^```toml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    (tmp_path / "settings.toml").write_text(shown)
    for variable, _, _ in Settings.variables():
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("BCD_SETTINGS", str(tmp_path / "settings.toml"))
    settings = load_settings()
    assert settings.model_fields_set == set(read_settings_file().values)
    assert not list(unknown_settings())


def test_each_exit_code_is_explained() -> None:
    page = ROOT / "docs" / "reference" / "exit-codes.md"
    table = page.read_text().split("| exit code | means |\n|---|---|\n")[1].split("\n\n")[0]
    rows = dict(re.findall(r"^\| (\d+) \| (.+) \|$", table, re.MULTILINE))
    kinds = [each for each in vars(errors).values() if isinstance(each, type) and hasattr(each, "exit_code")]
    assert {0, 1, 130, *(each.exit_code for each in kinds)} == set(map(int, rows))
    assert not re.search(r"\d", "".join(rows.values()))


def test_the_figures_in_the_documents_are_those_of_the_shipped_weights() -> None:
    """All on the model card; on the front page those of the operating point."""
    figures = read_info().card["cross_validated"]
    sensitivity = figures["sensitivity_at_false_marks_per_film"]
    first = [figures["film_auc"], figures["malignant_against_benign_auc"], sensitivity["1.0"]]
    card = (ROOT / "docs" / "model-card.md").read_text()
    readme = " ".join((ROOT / "README.md").read_text().split())
    for text, shown in ((readme, first), (card.replace("*", ""), [*first, *sensitivity.values()])):
        for figure in shown:
            assert f"{figure['value']:.3f} ({figure['low']:.3f} to {figure['high']:.3f})" in text
    assert read_info().card["command"] in card


@pytest.mark.commands
def test_the_first_study_of_the_readme(tmp_path: Path) -> None:
    """The commands under "Your first study", as they stand there."""
    write_phantom(tmp_path / "films", patients=1, shape=(256, 256))
    convert_mias(tmp_path / "films", tmp_path / "study")
    uid = next(iter(read_truth(tmp_path / "study" / "truth.json")))
    (block,) = re.findall(
        r"## Your first study\n.*?```\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL
    )
    activate, submit, results = block.splitlines()
    assert activate == ". .venv/bin/activate"
    environment = {"PATH": f"{Path(sys.executable).parent}:{os.defpath}", "HOME": str(tmp_path)}
    assert submit.startswith("bcd-admin submit study/ ")

    def run(line: str) -> str:
        done = subprocess.run(
            ["sh", "-c", line], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    run(submit)
    (folder,) = (tmp_path / "results").iterdir()
    assert (folder / "report.html").is_file()
    assert uid in run(results.replace("STUDY_UID", folder.name))
