"""The (mini-)MIAS collection: a folder of PGM films with their truth in ``Info.txt``.

Facts of the collection (its own ``Info.txt``, and J. Suckling et al. 1994):

- Films 2k-1 and 2k are the two breasts of one patient; odd is left, even is right. Note 1 of
  ``Info.txt`` says the opposite, but the file names of the original 50 micron collection and the
  labels on the films agree on odd = left.
- Every film is a medio-lateral oblique view (MLO), 200 micron a pixel.
- x and y of a lesion count from the bottom-left corner, so row = rows - 1 - y.
- Some abnormal rows give no place: calcifications all over the film (``*NOTE 3*``), or none stated.

Phantom films (``converters.mias.phantom``) come in the same form, named ``phantomNNN`` instead of ``mdbNNN``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import ascii_lowercase, digits
from typing import Literal

import numpy as np

from bcd_model.errors import FilmError, InputError, TruthError, UsageError
from bcd_model.reasons import Reason
from bcd_model.words import CLASSES, Film, Laterality, Lesion, Projection
from converters.mias.pgm import read_graymap, read_size
from converters.truth.annotated_films import AnnotatedFilms
from converters.truth.file import FilmTruth

INFO_FILE = "Info.txt"
SPACING = (0.2, 0.2)
"""mm between pixel centres: 200 micron."""
VIEW = "MLO"
TISSUES = ("F", "G", "D")
"""Fatty, fatty-glandular, dense-glandular."""
KINDS = ("CALC", "CIRC", "SPIC", "MISC", "ARCH", "ASYM")

_LABELS: Mapping[str, Literal["benign", "malignant"]] = {"B": "benign", "M": "malignant"}
_COLLECTIONS = {"mdb": "mias", "phantom": "phantom"}
_NAME = re.compile(r"(mdb|phantom)([0-9]{1,6})", re.IGNORECASE)
_WHOLE = re.compile(r"[0-9]{1,6}")
_INFO_REMEDY = f"correct the line, or take {INFO_FILE} from the MIAS distribution again"


@dataclass(frozen=True, slots=True, kw_only=True)
class MiasFilm(FilmTruth):
    """One film with its truth; a :class:`bcd_model.words.AnnotatedFilm`.

    Its ``name`` is in lower case, as ``mdb001``; ``patient`` is ``mias-001`` for films 1 and 2, and so on;
    ``label`` is the worst of its rows in ``Info.txt``, and ``lesions`` are in the order there.

    Attributes:
        path: the PGM file.
        number: its number in the collection.
    """

    path: Path
    number: int

    @property
    def projection(self) -> Projection:
        """What the film shows; a patient has one examination."""
        return Projection(self.patient, self.view, self.laterality)

    @property
    def laterality(self) -> Laterality:
        """Odd films show the left breast."""
        return "L" if self.number % 2 else "R"

    @property
    def view(self) -> str:
        """Every film of the collection is an MLO."""
        return VIEW

    def read(self) -> Film:
        """Read the pixels, scaled by the PGM's maxval to [0, 1].

        Raises:
            FilmError: the PGM cannot be read.
        """
        image = read_graymap(self.path)
        return Film(
            pixels=image.pixels.astype(np.float32) / np.float32(image.maxval),
            spacing=SPACING,
            laterality=self.laterality,
            view=self.view,
            file=self.path.name,
        )


@dataclass(frozen=True, slots=True)
class MiasCollection(AnnotatedFilms[MiasFilm]):
    """The films of one folder; ``missing`` are those that have truth and cannot be used, or are not there."""

    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Row:
    """One row of ``Info.txt``.

    ``kind`` and ``label`` are None in a normal row; ``place`` is (x, y, radius) in pixels, x and y
    from the bottom-left corner, None if the row gives none.
    """

    film: str
    tissue: str
    kind: str | None = None
    label: Literal["benign", "malignant"] | None = None
    place: tuple[int, int, int] | None = None


def read_collection(folder: Path) -> MiasCollection:
    """Read ``Info.txt`` of ``folder`` and match it with the PGM files there.

    Only the header of each film is read. Rows without a film are in the collection's warnings; a film
    without a row cannot be used.

    Raises:
        UsageError: ``folder`` does not exist, or is not a folder.
        InputError: it holds no film of the collection.
        TruthError: ``Info.txt`` is missing, or a row of it has no known form.
    """
    files = _files(folder)
    info = next((path for path in files if path.name.lower() == INFO_FILE.lower()), None)
    if info is None:
        raise TruthError(
            "not found", f"put {INFO_FILE} of the MIAS distribution beside the films", folder / INFO_FILE
        )
    table = _read_info(info)
    found, unusable = _find_films(files, table)

    films: list[MiasFilm] = []
    warnings: list[str] = []
    for name, path in found.items():
        try:
            rows, columns = read_size(path)
        except FilmError as error:
            unusable.append(left_out(path, error.reason))
            continue
        film, outside = _film(name, path, table[name], (rows, columns))
        films.append(film)
        if outside:
            warnings.append(
                f"{info}: a lesion of {name} lies outside the film and is taken as without a place"
            )
    missing = sorted(set(table) - set(found))
    if not films and not unusable:
        raise InputError("holds no PGM film", "name the folder that holds mdb001.pgm and so on", folder)
    if missing:
        some = ", ".join(missing[:5]) + (", ..." if len(missing) > 5 else "")
        warnings.append(f"{info}: {len(missing)} of the films it lists are not in the folder ({some})")
    absent = sorted(set(table) - {film.name for film in films})
    return MiasCollection(tuple(films), tuple(unusable), tuple(warnings), tuple(absent))


def info_line(name: str, tissue: str, rows: int, lesion: Lesion | None = None) -> str:
    """One row of ``Info.txt`` for a film of ``rows`` pixel rows; a normal one without ``lesion``.

    The place is rounded to whole pixels, as everywhere in the collection.
    """
    if lesion is None:
        return f"{name} {tissue} NORM"
    row, column = lesion.center
    severity = lesion.label[0].upper()
    return (
        f"{name} {tissue} {lesion.kind} {severity} "
        f"{round(column)} {rows - 1 - round(row)} {round(lesion.radius)}"
    )


def _files(folder: Path) -> list[Path]:
    """The files of ``folder``, by name."""
    try:
        return sorted(path for path in folder.iterdir() if path.is_file())
    except (FileNotFoundError, NotADirectoryError) as error:
        what = "not a folder" if folder.exists() else "does not exist"
        raise UsageError(what, "check the path", folder) from error
    except OSError as error:
        raise InputError(
            f"cannot be listed ({error.strerror or error})", "name the folder that holds the films", folder
        ) from error


def _find_films(files: Iterable[Path], table: Mapping[str, list[_Row]]) -> tuple[dict[str, Path], list[str]]:
    """The PGM files that have rows, by film name; a line for every PGM file that cannot be matched."""
    found: dict[str, Path] = {}
    unusable: list[str] = []
    for path in files:
        if path.suffix.lower() != ".pgm":
            continue
        name = _film_name(path.stem)
        if name is None:
            unusable.append(left_out(path, "its name is not of the form mdb001.pgm"))
        elif name not in table:
            unusable.append(left_out(path, f"{INFO_FILE} has no row for it"))
        elif name in found:
            unusable.append(left_out(path, f"it is the same film as {found[name].name}"))
        else:
            found[name] = path
    return dict(sorted(found.items())), unusable


def left_out(path: Path, why: Reason | str) -> str:
    """The line for a film that cannot be used."""
    return f"{path.name}: left out: {why}"


def _film_name(word: str) -> str | None:
    """The name as the collection writes it (``mdb001``), or None if ``word`` names no film."""
    match = _NAME.fullmatch(word)
    return f"{match.group(1).lower()}{int(match.group(2)):03d}" if match else None


def _film(name: str, path: Path, table_rows: Sequence[_Row], shape: tuple[int, int]) -> tuple[MiasFilm, bool]:
    """The film of these rows of ``Info.txt``, and whether a lesion lies outside of it."""
    rows, columns = shape
    lesions: list[Lesion] = []
    outside = unlocated = False
    for row in table_rows:
        if row.kind is None or row.label is None:
            continue
        if row.place is None:
            unlocated = True
            continue
        x, y, radius = row.place
        if x >= columns or y >= rows:
            outside = unlocated = True
            continue
        lesions.append(Lesion((float(rows - 1 - y), float(x)), float(radius), row.label, row.kind))
    labels = {row.label or "normal" for row in table_rows}
    prefix, number = name.rstrip(digits), int(name.lstrip(ascii_lowercase))
    film = MiasFilm(
        path=path,
        name=name,
        number=number,
        patient=f"{_COLLECTIONS[prefix]}-{(number + 1) // 2:03d}",
        tissue=table_rows[0].tissue,
        label=max(labels, key=CLASSES.index),
        lesions=tuple(lesions),
        unlocated=unlocated,
    )
    return film, outside


def _read_info(path: Path) -> dict[str, list[_Row]]:
    """The rows of ``Info.txt`` by film name; equal rows once.

    The table begins with the first line that names a film. From there to the next line of ``=``,
    every line is a row or blank; what stands around it is prose.
    """
    try:
        lines = path.read_bytes().decode("utf-8-sig", errors="replace").splitlines()
    except OSError as error:
        raise TruthError(
            f"cannot be read ({error.strerror or error})", "check its permissions", path
        ) from error
    table: dict[str, list[_Row]] = {}
    in_table = False
    for number, line in enumerate(lines, start=1):
        words = line.upper().split()
        if not words:
            continue
        in_table = _film_name(words[0]) is not None or (in_table and not line.startswith("==="))
        if not in_table:
            continue
        line_place = f"{path}, line {number}"
        try:
            row = _parse_row(words)
        except ValueError as error:
            raise TruthError(str(error), _INFO_REMEDY, line_place) from error
        rows = table.setdefault(row.film, [])
        if rows and (rows[0].kind is None) != (row.kind is None):
            raise TruthError(f"calls {row.film} both normal and abnormal", _INFO_REMEDY, line_place)
        if row not in rows:
            rows.append(row)
    if not table:
        raise TruthError("lists no film", f"take {INFO_FILE} from the MIAS distribution again", path)
    return table


def _parse_row(words: Sequence[str]) -> _Row:
    """One row from its words, in upper case.

    Raises:
        ValueError: no known form; the message names the offending field.
    """
    name = _film_name(words[0])
    if name is None:
        raise ValueError(f"{words[0]!r} is not a film name like mdb001")
    tissue = _field(words, 1, TISSUES, "tissue")
    kind = _field(words, 2, ("NORM", *KINDS), "class of abnormality")
    if kind == "NORM":
        if len(words) > 3:
            raise ValueError(f"{words[3]!r} after NORM")
        return _Row(name, tissue)
    label = _LABELS[_field(words, 3, tuple(_LABELS), "severity")]
    place = words[4:]
    if not place or "".join(place) == "*NOTE3*":
        return _Row(name, tissue, kind, label)
    for word in place:
        if not _WHOLE.fullmatch(word):
            raise ValueError(f"{word!r} is not an x, y or radius in whole pixels")
    if len(place) != 3:
        raise ValueError(f"{len(place)} numbers ({' '.join(place)}) where x, y and radius should stand")
    x, y, radius = (int(word) for word in place)
    if radius == 0:
        raise ValueError(f"{place[2]!r} as radius")
    return _Row(name, tissue, kind, label, (x, y, radius))


def _field(words: Sequence[str], index: int, known: Sequence[str], what: str) -> str:
    """Word ``index``, which must be one of ``known``."""
    if index >= len(words):
        raise ValueError(f"ends before the {what} ({', '.join(known)})")
    if words[index] not in known:
        raise ValueError(f"{words[index]!r} as {what}, not one of {', '.join(known)}")
    return words[index]
