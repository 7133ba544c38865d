"""Every object of every kind of study, judged by the independent validators."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from PIL import Image

from converters.films.read import read_film
from converters.films.studies import find_studies
from converters.mias.to_dicom import convert_mias
from converters.results import film_facts
from converters.results.patients import by_patient
from converters.results.pictures.heat_map import on_film
from converters.results.study_result import ScannedFilm
from converters.results.write import write_results
from tests.conformance import validators
from tests.support import result_builder
from tests.support.length import long

CASES = sorted(result_builder.CASES)
_SAME_TEMPLATES = (
    "MONOCHROME1",
    "above and below",
    "job made in UTC",
    "lossy film",
    "many findings",
    "non-square pixels",
    "two films",
    "warnings",
)
"""Their reports have the rows of other cases'; PixelMed takes three seconds over a report."""


@pytest.mark.parametrize("case", CASES)
def test_dciodvfy_and_dcentvfy(case, written, need):
    need("dciodvfy")
    study = written(case)
    problems = [found for file in study.files("**/*.dcm") for found in validators.dciodvfy(file)]
    if (
        len(by_patient(study.result)) == 1
    ):  # films of two patients in one study are what it is there to refuse
        problems += validators.dcentvfy([*study.films.values(), *study.files("**/*.dcm")])
    if study.result.predecessor or any(film.outcome != "scanned" for film in study.result.films):
        # The file of a film that was not scanned, or the report that is replaced, is not there.
        problems = [p for p in problems if "Missing SOPInstanceUID" not in p.text]
    assert validators.unexplained(problems) == []


@pytest.mark.debian
@pytest.mark.parametrize("case", CASES)
def test_dcmtk(case, written, need, tmp_path):
    need("dsrdump")
    study = written(case)
    problems = [found for file in study.files("*.dcm") for found in validators.dsrdump(file)]
    for state in study.files("presentation/*.dcm"):
        problems += validators.dcmpschk(state)
        problems += validators.dcmp2pgm(study.films[state.stem], state, tmp_path / "shown.pgm")
    assert validators.unexplained(problems) == []


@pytest.mark.jvm
@pytest.mark.parametrize("case", [case for case in CASES if long() or case not in _SAME_TEMPLATES])
def test_pixelmed_templates(case, written):
    pytest.importorskip("jpype")
    if not validators.PIXELMED.exists() or shutil.which("java") is None:
        pytest.skip("PixelMed's validator or a Java runtime is not installed")
    documents = written(case).files("*.dcm")
    stems = ("cad_sr", "measurement_sr")
    suffixes = ["", "-2"][: len(by_patient(written(case).result))]
    assert {file.name for file in documents} == {f"{stem}{end}.dcm" for stem in stems for end in suffixes}
    for file in documents:
        assert validators.unexplained(validators.pixelmed(file)) == []


@pytest.mark.parametrize("case", CASES)
def test_dcmqi_reads_every_finding_that_is_drawn(case, written, need, tmp_path):
    need("tid1500reader")
    study = written(case)
    read = tmp_path / "read.json"
    assert validators.tid1500reader(study.folder / "measurement_sr.dcm", read) == []
    groups = json.loads(read.read_bytes())["Measurements"]
    films = json.loads((study.folder / "result.json").read_bytes())["films"]
    told = [
        finding
        for film, result in zip(films, study.result.films, strict=True)
        if film_facts.reference(result) is not None  # a report cannot point to another
        for finding in film["findings"]
        if finding["presented"]
    ]
    assert [group["TrackingUniqueIdentifier"] for group in groups] == [f["tracking_uid"] for f in told]
    for group, finding in zip(groups, told, strict=True):
        percent = {m["quantity"]["CodeMeaning"]: float(m["value"]) for m in group["measurementItems"]}
        probability = finding["probability"]
        assert percent["Probability of cancer"] == pytest.approx(100 * probability["malignant"], abs=1e-3)
        assert percent["Certainty of Finding"] == pytest.approx(
            100 * (probability["benign"] + probability["malignant"]), abs=1e-3
        )
        (impression,) = group["qualitativeEvaluations"]
        assert impression["conceptValue"]["CodeMeaning"].lower() == finding["class"]
        assert group["measurementAlgorithmIdentification"]["AlgorithmName"] == "bcdcnn-test"


@pytest.mark.jvm
def test_pixelmed_sees_a_missing_center(written, tmp_path):
    pytest.importorskip("jpype")
    if not validators.PIXELMED.exists() or shutil.which("java") is None:
        pytest.skip("PixelMed's validator or a Java runtime is not installed")
    document = pydicom.dcmread(written("finding").folder / "cad_sr.dcm")
    single = document.ContentSequence[2].ContentSequence[-1].ContentSequence[1]
    single.ContentSequence = [i for i in single.ContentSequence if i.get("GraphicType") != "POINT"]
    document.save_as(tmp_path / "broken.dcm")
    assert any(
        "Center" in p.text for p in validators.unexplained(validators.pixelmed(tmp_path / "broken.dcm"))
    )


@pytest.mark.jvm
def test_pixelmed_sees_a_region_without_its_film(written, tmp_path):
    pytest.importorskip("jpype")
    if not validators.PIXELMED.exists() or shutil.which("java") is None:
        pytest.skip("PixelMed's validator or a Java runtime is not installed")
    document = pydicom.dcmread(written("finding").folder / "measurement_sr.dcm")
    group = document.ContentSequence[-2].ContentSequence[0]
    (region,) = (i for i in group.ContentSequence if i.get("GraphicType") == "POLYLINE")
    del region.ContentSequence
    document.save_as(tmp_path / "broken.dcm")
    assert any(
        "Image Region" in p.text and p.severity == "error"
        for p in validators.unexplained(validators.pixelmed(tmp_path / "broken.dcm"))
    )


@pytest.mark.debian
def test_dcmtk_sees_what_is_wrong(written, need, tmp_path):
    need("dsrdump")
    study = written("finding")
    document = pydicom.dcmread(study.folder / "cad_sr.dcm")
    center = document.ContentSequence[2].ContentSequence[-1].ContentSequence[1].ContentSequence[-2]
    center.ContentSequence[0].ReferencedContentItemIdentifier = [1, 2, 99]
    document.save_as(tmp_path / "dangling.dcm")
    assert validators.unexplained(validators.dsrdump(tmp_path / "dangling.dcm"))

    state = pydicom.dcmread(study.files("presentation/*.dcm")[0])
    del state.DisplayedAreaSelectionSequence
    state.save_as(tmp_path / "no_area.dcm")
    assert validators.unexplained(validators.dcmpschk(tmp_path / "no_area.dcm"))


@pytest.mark.debian
@pytest.mark.parametrize("case", ["finding", "MONOCHROME1"])
def test_presentation_state_shows_the_film_the_right_way_round(case, written, need, tmp_path):
    """dcmtk renders the film through the state: bright is bright, whatever the photometric interpretation."""
    need("dcmp2pgm")
    study = written(case)
    (state,) = study.files("presentation/*.dcm")
    assert validators.dcmp2pgm(study.films[state.stem], state, tmp_path / "shown.pgm") == []
    shown = np.asarray(Image.open(tmp_path / "shown.pgm"), dtype=float)
    scanned = study.result.films[0].film.pixels
    assert shown.shape == scanned.shape
    assert np.corrcoef(shown.ravel(), scanned.ravel())[0, 1] > 0.95


@pytest.mark.debian
def test_dcmtk_decodes_the_overlay_to_the_pixels_that_were_drawn(written, need, tmp_path):
    need("dcmdjpls")
    (overlay,) = written("finding").files("overlay/*.dcm")
    raw = tmp_path / "raw.dcm"
    run = validators.run("dcmdjpls", overlay, raw)
    assert run.returncode == 0, run.stderr
    decoded = pydicom.dcmread(raw)
    pixels = np.frombuffer(decoded.PixelData, np.uint8).reshape(decoded.Rows, decoded.Columns, 3)
    np.testing.assert_array_equal(pixels, pydicom.dcmread(overlay).pixel_array)


@pytest.mark.debian
def test_others_decode_the_heat_map_to_the_values_that_were_written(written, need, tmp_path):
    need("dcmdrle")
    study = written("two films")
    for heat in study.files("heatmap/*.dcm"):
        (film,) = (f for f in study.result.films if f.sop_instance_uid == heat.stem)
        wanted = on_film(film.scan.heat_map, film.film.shape)
        raw = tmp_path / heat.name
        run = validators.run("dcmdrle", heat, raw)
        assert run.returncode == 0, run.stderr
        decoded = pydicom.dcmread(raw)
        pixels = np.frombuffer(decoded.PixelData, np.uint8).reshape(decoded.Rows, decoded.Columns)
        np.testing.assert_array_equal(pixels, wanted)
        # ITK reads through GDCM, as 3D Slicer does.
        np.testing.assert_array_equal(np.squeeze(sitk.GetArrayFromImage(sitk.ReadImage(heat))), wanted)


def test_dciodvfy_sees_what_is_wrong_with_the_newer_objects(written, need, tmp_path):
    need("dciodvfy")
    study = written("finding")
    heat = pydicom.dcmread(study.files("heatmap/*.dcm")[0])
    del heat.SegmentSequence[0].SegmentedPropertyTypeCodeSequence
    heat.save_as(tmp_path / "no_type.dcm")
    document = pydicom.dcmread(study.folder / "measurement_sr.dcm")
    del document.CurrentRequestedProcedureEvidenceSequence
    document.save_as(tmp_path / "no_evidence.dcm")
    for broken in ("no_type.dcm", "no_evidence.dcm"):
        assert validators.unexplained(validators.dciodvfy(tmp_path / broken))


def test_command_line_prints_a_table(written, need, capsys):
    need("dciodvfy")
    from tests.conformance import validate_results

    folder: Path = written("two films").folder
    assert validate_results.main([str(folder), "--tools", "dciodvfy"]) == 0
    printed = capsys.readouterr().out
    assert "overlay" in printed
    assert "dciodvfy" in printed


@pytest.mark.films
@pytest.mark.debian
def test_results_on_converted_films(need, tmp_path):
    """Real films, converted and read back: every tool but PixelMed's, over the whole folder."""
    from tests.conformance import validate_results

    need("dciodvfy")
    need("dsrdump")
    collection = os.environ.get("BCD_MIAS_DIR")
    if not collection:
        pytest.skip("BCD_MIAS_DIR is not set")
    source = tmp_path / "mias"
    source.mkdir()
    shutil.copy(Path(collection) / "Info.txt", source)
    first = next(path for path in sorted(Path(collection).glob("mdb*.pgm")) if int(path.stem[3:]) % 2)
    for path in (first, first.with_stem(f"mdb{int(first.stem[3:]) + 1:03}")):
        shutil.copy(path, source)
    convert_mias(source, tmp_path / "dicom")
    (study,) = find_studies([tmp_path / "dicom"]).studies
    films = []
    for found in study.films:
        dicom = read_film(found.path)
        scan = result_builder.scanned(1, [result_builder.finding((400, 500), 40)]).scan
        films.append(
            ScannedFilm(
                file=found.path.name,
                sop_instance_uid=found.sop_instance_uid,
                header=dicom.header,
                film=dicom.film,
                scan=scan,
                gray_scale=dicom.gray_scale,
            )
        )
    result = dataclasses.replace(result_builder.study(*films), study_instance_uid=study.study_instance_uid)
    folder = tmp_path / "results" / study.study_instance_uid
    folder.mkdir(parents=True)
    write_results(result, folder)
    tools = ["dciodvfy", "dsrdump", "dcmpschk", "dcmp2pgm", "dcentvfy", "tid1500reader"]
    options = [str(tmp_path / "results"), "--films", str(tmp_path / "dicom"), "--tools", *tools]
    assert validate_results.main(options) == 0
    # Results are never taken for films.
    assert find_studies([tmp_path / "dicom", tmp_path / "results"]).studies == (study,)
