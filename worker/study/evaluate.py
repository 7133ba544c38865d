"""Films with truth and the marks on them, from wherever they come: what ``bcd-admin evaluate`` measures."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from bcd_model.digests import film_digest
from bcd_model.duplicates import duplicates
from bcd_model.errors import FilmError, InputError
from bcd_model.evaluation.cases import Case, check_films, describe
from bcd_model.evaluation.evaluate import Source
from bcd_model.evaluation.overlap import Overlap, film_digests, of_weights, out_of_fold
from bcd_model.evaluation.runs import Run, check_film, check_patients, read_run
from bcd_model.pairs import other_breasts
from bcd_model.weights import read_info
from bcd_model.words import AnnotatedFilm, Film
from converters.mias.collection import read_collection
from converters.truth.annotated_films import AnnotatedFilms, match_truth
from worker.study.scanner import load_scanner

if TYPE_CHECKING:
    from converters.films.studies import StudyInput

Progress = Callable[[int, str], None]
"""Called with how many films are done, and the name of the next."""

_NAMED = 3


@dataclass(frozen=True, slots=True)
class Marked:
    """Films with their marks, and what is known of where these come from.

    Attributes:
        unusable: one line for every film that cannot be read; it is not among ``cases``.
        remarks: what else was odd about the films, one line each.
    """

    cases: list[Case]
    source: Source
    overlap: Overlap
    unusable: list[str]
    remarks: list[str]


def films_of_mias(folder: Path) -> AnnotatedFilms[AnnotatedFilm]:
    """The films of a folder with PGM files and ``Info.txt``.

    Raises:
        InputError: there is none; TruthError among them.
    """
    return _checked(read_collection(folder))


def films_of_dicom(studies: Iterable[StudyInput], truth: Sequence[Path]) -> AnnotatedFilms[AnnotatedFilm]:
    """DICOM films with the truth in the files ``truth``.

    Raises:
        InputError: there is none; TruthError among them.
    """
    return _checked(match_truth(studies, truth))


def _checked(given: AnnotatedFilms[AnnotatedFilm]) -> AnnotatedFilms[AnnotatedFilm]:
    if given.unusable and not given.films:
        raise _none_left(given.unusable)
    check_films(given.films)
    return given


def scan_films(
    films: Sequence[AnnotatedFilm],
    weights: Path | None,
    threads: int | None,
    progress: Progress,
    *,
    unseen: bool,
) -> Marked:
    """Scan the films with one weight file.

    Args:
        weights: the shipped ones by default.
        unseen: whether patients that the weights were trained on are left out.

    Raises:
        ModelError: the weight file cannot be used.
        InputError: none of the films is left.
    """
    from bcd_model.evaluation.scan_cases import CaseScanner

    info = read_info(weights)
    remarks: list[str] = []
    given = len(films)
    every = films  # the other breast of a film to be measured
    if unseen:
        films, remarks = _unseen(films, film_digests(info.card))
    model = load_scanner(weights, threads=threads).model
    pairs = _Pairs(every, compared=model.second_stage is not None)
    scanner = CaseScanner(model)
    cases, unusable = _each(
        films, lambda film: scanner.scan(film, *pairs.of(film)), progress, given - len(films)
    )
    remarks += [*_warnings(cases), *duplicates((case.pixels.digest, case.film) for case in cases)]
    point = model.operating_point.threshold
    identity = info.identity
    facts = {
        "name": identity.name,
        "version": identity.version,
        "digest": identity.digest,
        "threshold": point,
    }
    source = Source("weights", facts, model.calibration, model.film_calibration, point)
    return Marked(cases, source, of_weights(cases, info.card), unusable, remarks)


def _unseen(
    films: Sequence[AnnotatedFilm], known: frozenset[str] | None
) -> tuple[list[AnnotatedFilm], list[str]]:
    """The films of patients of whom none is among the digests ``known``, and what was left out.

    A film that cannot be read stays among them: the scan says why.
    """
    if known is None:
        raise InputError(
            "the model card of the weights lists no film: which films are unseen is not known",
            "leave --unseen out, or name weights that this version trained",
        )
    seen: set[str] = set()
    for film in films:
        with suppress(FilmError):
            if film_digest(film.read()) in known:
                seen.add(film.patient)
    left = [film for film in films if film.patient not in seen]
    if not left:
        raise InputError("the weights were trained on every patient given", "name other films, or use --run")
    if not seen:
        return left, []
    whose = f"{_films(len(films) - len(left))} of {len(seen)} patient{'s'[: len(seen) != 1]}"
    return left, [f"{whose} left out: the weights were trained on them"]


def marks_of_run(films: Sequence[AnnotatedFilm], folder: Path, progress: Progress) -> Marked:
    """The films with the marks that a training run made out of fold.

    Raises:
        UsageError: there is no such folder.
        InputError: it holds no run of these films; TruthError if its folds part a patient.
    """
    run = read_run(folder)
    check_patients(run, films)
    known = [film for film in films if film.name in run.fold]
    if not known:
        raise InputError("has marks of none of these films", "name the films it was trained on", folder)
    cases, unusable = _each(known, partial(_case_of_run, run), progress, len(films) - len(known))
    given = {film.name for film in films}
    remarks = [
        *_odd(given - run.fold.keys(), "not in the run: left out"),
        *_odd(run.fold.keys() - given, "in the run, but not given"),
        *_warnings(cases),
        *duplicates((case.pixels.digest, case.film) for case in cases),
    ]
    folds = len(set(run.fold.values()))
    if run.folds is None:
        remarks.append(f"the run is not finished: {folds} fold{'s'[: folds != 1]} so far")
    source = Source("run", {"folds": folds, "data_digest": run.data_digest})
    return Marked(cases, source, out_of_fold(cases), unusable, remarks)


class _Pairs:
    """Each film with the other breast, where films are compared, as a scan of its study compares them."""

    def __init__(self, films: Sequence[AnnotatedFilm], *, compared: bool) -> None:
        self._of_patient: dict[str, list[AnnotatedFilm]] = {}
        for film in films if compared else ():
            self._of_patient.setdefault(film.patient, []).append(film)
        # The films of a patient follow each other: each is read, and scanned, but once.
        self._films = lru_cache(maxsize=1)(self._read)

    def of(self, film: AnnotatedFilm) -> tuple[Film, Film | None]:
        """Read a film and the other breast; None if there is none in the same view that can be read.

        Raises:
            FilmError: the film cannot be read.
        """
        if not self._of_patient:
            return film.read(), None
        found = self._films(film.patient)
        own = found[film.name]
        if isinstance(own, FilmError):
            raise own
        films = self._of_patient[film.patient]
        at = other_breasts([each.projection for each in films])[films.index(film)]
        other = None if at is None else found[films[at].name]
        return own, None if isinstance(other, FilmError) else other

    def _read(self, patient: str) -> dict[str, Film | FilmError]:
        found: dict[str, Film | FilmError] = {}
        for film in self._of_patient[patient]:
            try:
                found[film.name] = film.read()
            except FilmError as error:
                found[film.name] = error
        return found


def _case_of_run(run: Run, film: AnnotatedFilm) -> Case:
    pixels = film.read()
    case = Case(film, describe(film, pixels), run.marks[film.name], run.fold[film.name])
    check_film(run, case, pixels.shape)
    return case


def _warnings(cases: Sequence[Case]) -> list[str]:
    """What the readers of the films warn of, one line a warning, not one a film."""
    names: dict[str, list[str]] = {}
    for case in cases:
        for text in case.pixels.warnings:
            names.setdefault(text, []).append(case.film.name)
    return [line for text, of in sorted(names.items()) for line in _odd(of, f"with a warning: {text}")]


def _odd(names: Collection[str], text: str) -> list[str]:
    if not names:
        return []
    shown = ", ".join(sorted(names)[:_NAMED]) + (", ..." if len(names) > _NAMED else "")
    return [f"{_films(len(names))} {text} ({shown})"]


def _films(count: int) -> str:
    return f"{count} film{'s'[: count != 1]}"


def _each(
    films: Sequence[AnnotatedFilm], work: Callable[[AnnotatedFilm], Case], progress: Progress, done: int
) -> tuple[list[Case], list[str]]:
    """The cases of the films that can be read, and why the others cannot.

    Args:
        done: films given that nothing is done with.

    Raises:
        InputError: none can be read; the message has the first reason.
    """
    cases: list[Case] = []
    unusable: list[str] = []
    for index, film in enumerate(films, start=done):
        progress(index, film.name)
        try:
            cases.append(work(film))
        except FilmError as error:  # the other films go on
            unusable.append(f"film {film.name}: left out: {error.reason}")
    if not cases:
        raise _none_left(unusable)
    check_films([case.film for case in cases])
    return cases, unusable


def _none_left(unusable: Sequence[str]) -> InputError:
    which = "the only film" if len(unusable) == 1 else f"none of the {len(unusable)} films"
    can = "cannot" if len(unusable) == 1 else "can"
    return InputError(f"{which} {can} be used: {unusable[0]}", "export the films again")
