"""``Info.txt`` in all its forms, and how it is matched with the films."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bcd_model.errors import FilmError, InputError, TruthError, UsageError
from bcd_model.words import AnnotatedFilm, Lesion
from converters.mias.collection import KINDS, MiasCollection, MiasFilm, info_line, read_collection
from converters.mias.pgm import write_pgm

HEADER = """\
              MAMMOGRAPHIC IMAGE ANALYSIS SOCIETY
SW3 6JJ, UK.
1069 pp375-378.
=================================================================
1st column: MIAS database reference number.

"""


def collection(
    folder: Path, table: str, *names: str, shape: tuple[int, int] = (1024, 1024)
) -> MiasCollection:
    """Write ``table`` and blank films of these names to ``folder`` and read it."""
    folder.mkdir(exist_ok=True)
    (folder / "Info.txt").write_bytes((HEADER + table).encode())
    for name in names:
        write_pgm(folder / f"{name}.pgm", np.zeros(shape, np.uint8))
    return read_collection(folder)


def only(films: MiasCollection) -> MiasFilm:
    (film,) = films.films
    assert not films.warnings + films.unusable
    return film


def test_a_lesion_counts_from_the_bottom_left(tmp_path: Path) -> None:
    film = only(collection(tmp_path, "mdb028 F CIRC M 338 314 56\n", "mdb028"))
    assert film.lesions == (Lesion((1023 - 314, 338.0), 56.0, "malignant", "CIRC"),)
    assert (film.label, film.tissue, film.unlocated) == ("malignant", "F", False)


def test_rows_count_from_the_bottom_of_the_film_whatever_its_height(tmp_path: Path) -> None:
    film = only(collection(tmp_path, "mdb001 G CIRC B 10 0 5", "mdb001", shape=(60, 40)))
    assert film.lesions[0].center == (59.0, 10.0)


@pytest.mark.parametrize(
    ("number", "laterality", "patient"),
    [
        (1, "L", "mias-001"),
        (2, "R", "mias-001"),
        (3, "L", "mias-002"),
        (322, "R", "mias-161"),
        (321, "L", "mias-161"),
    ],
)
def test_side_and_patient_follow_from_the_number(
    tmp_path: Path, number: int, laterality: str, patient: str
) -> None:
    film = only(collection(tmp_path, f"mdb{number:03d} G NORM \n", f"mdb{number:03d}"))
    assert (film.number, film.laterality, film.patient, film.view) == (number, laterality, patient, "MLO")


def test_a_film_is_read_as_the_scan_takes_it(tmp_path: Path) -> None:
    only(collection(tmp_path, "mdb001 G NORM", "mdb001", shape=(2, 3)))
    write_pgm(tmp_path / "mdb001.pgm", np.array([[0, 100, 1000], [1, 2, 3]], np.uint16), 1000)
    annotated: AnnotatedFilm = only(read_collection(tmp_path))
    film = annotated.read()
    assert film.pixels.dtype == np.float32
    np.testing.assert_allclose(film.pixels, [[0, 0.1, 1.0], [0.001, 0.002, 0.003]], rtol=1e-6)
    assert (film.spacing, film.spacing_assumed) == ((0.2, 0.2), False)
    assert (film.laterality, film.view, film.file) == ("L", "MLO", "mdb001.pgm")


def test_several_rows_of_one_film(tmp_path: Path) -> None:
    table = "mdb144 F MISC B 233 994 29\nmdb144 F MISC M 313 540 27\n"
    film = only(collection(tmp_path, table, "mdb144"))
    assert [lesion.center for lesion in film.lesions] == [(29.0, 233.0), (483.0, 313.0)]
    assert film.label == "malignant"


@pytest.mark.parametrize(
    "row", ["mdb216 D CALC M *NOTE 3* ", "mdb059 F CIRC B", "mdb059 F CIRC B *note 3*  \t"]
)
def test_an_abnormality_without_a_place(tmp_path: Path, row: str) -> None:
    film = only(collection(tmp_path, row, row[:6]))
    assert film.unlocated
    assert film.lesions == ()
    assert film.label != "normal"


def test_one_placed_and_one_unplaced_row(tmp_path: Path) -> None:
    film = only(collection(tmp_path, "mdb007 G CALC B 9 9 3\nmdb007 G CALC M *NOTE 3*", "mdb007"))
    assert (len(film.lesions), film.unlocated, film.label) == (1, True, "malignant")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_blank_lines_and_what_follows_the_table(tmp_path: Path, end: str) -> None:
    rows = ["", "mdb001 G NORM  ", "", "  mdb002 D NORM", "====", "The end.", ""]
    films = collection(tmp_path, end.join(rows), "mdb001", "mdb002")
    assert [film.name for film in films.films] == ["mdb001", "mdb002"]


def test_letter_case_of_names_and_files(tmp_path: Path) -> None:
    for name in ("MDB003.PGM", "Mdb004.pgm"):
        write_pgm(tmp_path / name, np.zeros((64, 64), np.uint8))
    (tmp_path / "INFO.TXT").write_text("MDB003 d norm\nmdb004 D CIRC b 3 4 5")
    films = read_collection(tmp_path)
    assert not films.warnings + films.unusable
    assert [(film.name, film.path.name, film.label) for film in films.films] == [
        ("mdb003", "MDB003.PGM", "normal"),
        ("mdb004", "Mdb004.pgm", "benign"),
    ]


def test_an_equal_row_counts_once(tmp_path: Path) -> None:
    film = only(collection(tmp_path, "mdb001 G CIRC B 9 9 5\nmdb001  G CIRC B 9 9 5", "mdb001"))
    assert len(film.lesions) == 1


@pytest.mark.parametrize(
    ("row", "field"),
    [
        ("mdb001", "tissue"),
        ("mdb001 X NORM", "'X' as tissue"),
        ("mdb001 G", "class of abnormality"),
        ("mdb001 G LUMP B 1 2 3", "'LUMP'"),
        ("mdb001 G CIRC", "severity"),
        ("mdb001 G CIRC N 1 2 3", "'N' as severity"),
        ("mdb001 G NORM B", "'B' after NORM"),
        ("mdb001 G CIRC B 1 2", r"2 numbers \(1 2\)"),
        ("mdb001 G CIRC B 1 2 3 4", r"4 numbers"),
        ("mdb001 G CIRC B 1 -2 3", "'-2'"),
        ("mdb001 G CIRC B 1 2 3.5", "'3.5'"),
        ("mdb001 G CIRC B 1 2 0", "'0' as radius"),
        ("mdb001 G CIRC B *NOTE 4*", r"'\*NOTE'"),
        ("mbd001 G NORM", "'MBD001' is not a film name"),
        ("mdb1x G NORM", "'MDB1X' is not a film name"),
    ],
)
def test_an_unknown_row_is_refused_by_line_and_field(tmp_path: Path, row: str, field: str) -> None:
    with pytest.raises(TruthError, match=field) as caught:
        collection(tmp_path, f"mdb002 G NORM\n\n{row}\n", "mdb001", "mdb002")
    line = HEADER.count("\n") + 3
    reason = caught.value.reason
    assert reason.place == f"{tmp_path / 'Info.txt'}, line {line}"
    assert reason.remedy
    assert str(tmp_path) not in str(reason)


def test_normal_and_abnormal_at_once(tmp_path: Path) -> None:
    with pytest.raises(TruthError, match="line 8: calls mdb001 both normal and abnormal"):
        collection(tmp_path, "mdb001 G NORM\nmdb001 G CIRC B 1 2 3", "mdb001")


def test_info_missing_or_empty(tmp_path: Path) -> None:
    write_pgm(tmp_path / "mdb001.pgm", np.zeros((4, 4), np.uint8))
    with pytest.raises(TruthError, match=r"Info\.txt: not found; put Info\.txt"):
        read_collection(tmp_path)
    (tmp_path / "Info.txt").write_text("nothing of use\n")
    with pytest.raises(TruthError, match="lists no film"):
        read_collection(tmp_path)


def test_no_folder_or_no_films(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="none: does not exist; check the path"):
        read_collection(tmp_path / "none")
    with pytest.raises(UsageError, match="py: not a folder; check the path"):
        read_collection(Path(__file__))
    with pytest.raises(InputError, match="holds no PGM film"):
        collection(tmp_path, "mdb001 G NORM")


def test_rows_without_films_and_films_without_rows_are_told(tmp_path: Path) -> None:
    table = "".join(f"mdb{number:03d} G NORM\n" for number in range(1, 9))
    films = collection(tmp_path, table, "mdb001", "mdb009", "holiday")
    assert [film.name for film in films.films] == ["mdb001"]
    assert films.unusable == (
        "holiday.pgm: left out: its name is not of the form mdb001.pgm",
        "mdb009.pgm: left out: Info.txt has no row for it",
    )
    (missing,) = films.warnings
    assert (
        "7 of the films it lists are not in the folder (mdb002, mdb003, mdb004, mdb005, mdb006, ...)"
        in missing
    )


def test_a_film_twice_is_taken_once(tmp_path: Path) -> None:
    films = collection(tmp_path, "mdb001 G NORM", "mdb001", "mdb1")
    assert [film.path.name for film in films.films] == ["mdb001.pgm"]
    assert films.unusable == ("mdb1.pgm: left out: it is the same film as mdb001.pgm",)


def test_a_broken_film_does_not_cost_the_others(tmp_path: Path) -> None:
    (tmp_path / "mdb001.pgm").write_text("not a film")
    films = collection(tmp_path, "mdb001 G NORM\nmdb002 G NORM", "mdb002")
    assert [film.name for film in films.films] == ["mdb002"]
    assert "mdb001.pgm: left out: not a PGM file" in films.unusable[0]


def test_a_cut_film_is_told_when_it_is_read(tmp_path: Path) -> None:
    film = only(collection(tmp_path, "mdb001 G NORM", "mdb001"))
    film.path.write_bytes(film.path.read_bytes()[:-1])
    with pytest.raises(FilmError, match="cut off"):
        film.read()


def test_a_place_outside_the_film_is_told(tmp_path: Path) -> None:
    films = collection(tmp_path, "mdb001 G CIRC B 9 64 3", "mdb001", shape=(64, 64))
    assert films.films[0].unlocated
    assert "a lesion of mdb001 lies outside" in films.warnings[0]


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    row=st.integers(0, 63),
    column=st.integers(0, 47),
    radius=st.integers(1, 200),
    label=st.sampled_from(["benign", "malignant"]),
    kind=st.sampled_from(KINDS),
)
def test_an_info_line_is_read_back(
    tmp_path: Path, row: int, column: int, radius: int, label: str, kind: str
) -> None:
    lesion = Lesion((float(row), float(column)), float(radius), label, kind)
    line = info_line("mdb001", "D", 64, lesion)
    assert only(collection(tmp_path, line, "mdb001", shape=(64, 48))).lesions == (lesion,)


@settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tail=st.text(st.characters(codec="utf-8", exclude_characters="="), max_size=30))
def test_any_row_is_known_or_refused(tmp_path: Path, tail: str) -> None:
    try:
        collection(tmp_path, f"mdb001 G {tail}", "mdb001", shape=(4, 4))
    except TruthError as error:
        assert "Info.txt, line " in error.reason.place


@pytest.mark.films
@pytest.mark.skipif("BCD_MIAS_DIR" not in os.environ, reason="BCD_MIAS_DIR is not set: no mini-MIAS films")
def test_the_real_collection() -> None:
    films = read_collection(Path(os.environ["BCD_MIAS_DIR"]))
    by_name = {film.name: film for film in films.films}
    assert not films.unusable
    assert max(Counter(film.patient for film in films.films).values()) == 2
    assert len(by_name["mdb226"].lesions) == 3
    assert {name for name, film in by_name.items() if film.unlocated} >= {"mdb216", "mdb233", "mdb245"}
    assert by_name["mdb005"].lesions[0].center == (890.0, 477.0)
    for film in films.films:
        assert film.label == "normal" or film.lesions or film.unlocated
