"""All figures together: probabilities, operating point, groups, and the files they are written to."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass, replace

import numpy as np
import pytest
from PIL import Image

from bcd_model.detector.calibration import Calibration, fit_calibration
from bcd_model.errors import UsageError
from bcd_model.evaluation.cases import Case
from bcd_model.evaluation.evaluate import Assessment, Source, assess
from bcd_model.evaluation.hits import HitRule
from bcd_model.evaluation.overlap import of_weights, out_of_fold
from bcd_model.evaluation.report import errors_png
from bcd_model.evaluation.report.files import draw_pictures, make_texts
from bcd_model.evaluation.report.markdown import figure_text
from bcd_model.evaluation.scored_films import ScoredFilm
from bcd_model.words import Film, Lesion
from tests.support.made_cases import MadeFilm, case, mark, random_cases
from tests.support.plain_froc import at_threshold, film_auc, froc

RUN = Source("run", {"folds": 3, "data_digest": None})
WEIGHTS = Source(
    "weights",
    {"name": "bcd-scan", "version": "1", "digest": "0" * 64, "threshold": 0.3},
    Calibration(1.0, -1.0),
    Calibration(0.5, 0.2),
    0.3,
)


def of_run(cases: list[Case], rule: HitRule | None = None) -> Assessment:
    return assess(cases, RUN, out_of_fold(cases), rule or HitRule())


def of_model(cases: list[Case], card: dict | None = None) -> Assessment:
    return assess(cases, WEIGHTS, of_weights(cases, card or {}), HitRule())


def rows(files: dict[str, bytes], name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(files[name].decode())))


def logit(p: float) -> float:
    return float(np.log(p / (1 - p)))


def test_the_same_cases_give_the_same_bytes_and_another_seed_other_intervals() -> None:
    cases = random_cases()
    _, one = make_texts(of_run(cases), ["odd"])
    _, two = make_texts(of_run(random_cases()), ["odd"])
    assert one == two
    made = assess(cases, RUN, out_of_fold(cases), HitRule(), seed=1)
    _, other = make_texts(made, ["odd"])
    assert other["results.json"] != one["results.json"]
    assert other["marks.csv"] == one["marks.csv"]


def test_every_file_is_there_and_holds_what_it_says() -> None:
    cases = random_cases()
    content, files = make_texts(of_run(cases), [])
    assert set(files) == {
        *("results.json", "report.md", "marks.csv", "films.csv", "lesions.csv", "froc.csv"),
    }
    assert json.loads(files["results.json"]) == content
    assert len(rows(files, "films.csv")) == len(cases)
    assert len(rows(files, "marks.csv")) == sum(len(each.marks) for each in cases)
    assert len(rows(files, "lesions.csv")) == sum(len(each.film.lesions) for each in cases)
    text = files["report.md"].decode()
    assert "out of fold: every film was marked by a network that had seen no film of its patient" in text
    at_one = content["froc"]["centre"]["sensitivity_at_false_marks_per_film"]["1.0"]
    curve = {r["false_marks_per_film"]: r for r in rows(files, "froc.csv") if r["hit_rule"] == "centre"}
    assert float(curve["1.0"]["sensitivity"]) == pytest.approx(at_one["value"], abs=1e-4)
    assert float(curve["1.0"]["low"]) == pytest.approx(at_one["low"], abs=1e-4)


def test_figures_can_be_counted_again_from_the_csv_files() -> None:
    """Sensitivity and false marks at one a film, from ``marks.csv`` and ``lesions.csv`` alone."""
    content, files = make_texts(of_run(random_cases(30, seed=2)), [])
    films = sum(row["unknown_place"] == "false" for row in rows(files, "films.csv"))
    wrong = sorted(
        (float(r["score"]) for r in rows(files, "marks.csv") if r["verdict"] == "false"), reverse=True
    )
    limit = wrong[films]
    lesions = [row for row in rows(files, "lesions.csv") if row["judged"] == "true"]
    found = [row for row in lesions if row["best_score"] and float(row["best_score"]) > limit]
    said = content["froc"]["centre"]["sensitivity_at_false_marks_per_film"]["1.0"]["value"]
    assert len(found) / len(lesions) == pytest.approx(said, abs=1e-4)
    assert [row for row in lesions if row["found"] == "true"] == found


def test_verdicts_of_marks_by_hand() -> None:
    lesion, other = Lesion((100, 100), 30, "benign", "CIRC"), Lesion((300, 200), 20, "malignant", "SPIC")
    twice = [mark(100, 100, 3.0, 30), mark(110, 100, 2.0), mark(300, 205, 1.5), mark(250, 50, 1.0)]
    cases = [
        case("a", twice, (lesion, other)),
        case("b", [mark(9, 9, 5.0)], unlocated=True),
        case("c", [mark(9, 9, 0.5)]),
    ]
    _, files = make_texts(of_model(cases), [])
    table = rows(files, "marks.csv")
    assert [row["verdict"] for row in table] == ["hit", "again", "hit", "false", "not judged", "false"]
    assert [row["lesion"] for row in table] == ["1", "1", "2", "", "", ""]
    assert table[0]["iou"] == "1.0"
    assert float(table[0]["p_abnormal"]) == pytest.approx(1 / (1 + np.exp(-(3.0 - 1.0))), abs=1e-6)


def test_the_operating_point_of_weights_is_their_threshold() -> None:
    cases = random_cases(seed=4)
    made = of_model(cases)
    score = logit(0.3) + 1.0  # slope 1, intercept -1
    expected = at_threshold([each.scored for each in cases], score)
    assert made.operating_point is not None
    assert [each.value for each in made.operating_point] == pytest.approx(expected)


def test_the_operating_point_and_calibration_of_a_run_come_from_the_other_folds() -> None:
    cases = random_cases(30, seed=5)
    made = of_run(cases)
    found = lesions = wrong = films = 0.0
    logits = []
    for fold in range(3):
        own = [each for each in cases if each.fold == fold]
        others: list[ScoredFilm] = [each.scored for each in cases if each.fold != fold]
        threshold = froc(others).threshold[3]  # one false mark per film
        sensitivity, rate = at_threshold([each.scored for each in own], threshold)
        judged = [each for each in own if not each.film.unlocated]
        number = sum(len(each.film.lesions) for each in judged)
        found, lesions = found + sensitivity * number, lesions + number
        wrong, films = wrong + rate * len(judged), films + len(judged)
        pairs = [
            (m.score, any(HitRule().hits(m, lesion) for lesion in film.lesions))
            for film in others
            if not film.unlocated
            for m in film.marks
        ]
        fitted = fit_calibration(np.array([s for s, _ in pairs]), np.array([t for _, t in pairs]))
        logits += [
            (each.film.name, m.score, fitted.slope * m.score + fitted.intercept)
            for each in own
            for m in each.marks
        ]
    assert made.operating_point is not None
    assert [each.value for each in made.operating_point] == pytest.approx([found / lesions, wrong / films])
    assert made.predictions.marks is not None
    ours = [(each.film.name, m.score) for each in cases for m in each.marks]
    assert {
        (*key, round(float(value), 9)) for key, value in zip(ours, made.predictions.marks, strict=True)
    } == {(name, score, round(value, 9)) for name, score, value in logits}


def test_groups_share_one_threshold_and_add_up() -> None:
    cases = random_cases(40, seed=6)
    made = of_run(cases)
    lesions = int(made.tally.judged_lesion.sum())
    found = round(made.curves[0].at[1.0].value * lesions)
    for by in ("class", "family", "kind", "size"):
        of = [group for group in made.groups if group.by == by]
        assert (sum(g.lesions for g in of), sum(g.found for g in of)) == (lesions, found), by
        assert all(g.sensitivity.value == pytest.approx(g.found / g.lesions) for g in of)
    assert sum(row.films for row in made.densities) == len(cases)
    assert sum(row.found for row in made.densities) == found
    assert [row.tissue for row in made.densities] == ["F", "G", "D"]
    masses = {group.name: group.lesions for group in made.groups if group.by == "kind"}
    families = {group.name: group.lesions for group in made.groups if group.by == "family"}
    assert families["mass"] == masses["CIRC"] + masses["SPIC"] + masses["MISC"]
    assert families["distortion"] == masses["ARCH"]


def test_sizes_are_in_mm_of_the_film() -> None:
    lesion = Lesion((100, 100), 30, "benign", "")
    fine = case("a", [mark(100, 100, 2.0)], (lesion,))
    coarse = case("b", [mark(100, 100, 1.0)], (lesion,))
    coarse = replace(coarse, pixels=replace(coarse.pixels, spacing=0.1))
    made = of_model([fine, coarse, case("c", [])])
    sizes = {group.name: group.lesions for group in made.groups if group.by == "size"}
    assert sizes == {"radius 5 to 10 mm": 1, "radius below 5 mm": 1}  # 6 mm and 3 mm
    assert [group.name for group in made.groups if group.by == "kind"] == ["not stated"]


def test_a_reading_without_tissue_and_normal_films_leaves_figures_out() -> None:
    lesion = Lesion((100, 100), 30, "benign", "")
    content, files = make_texts(of_model([case("a", [mark(100, 100, 2.0)], (lesion,), tissue="")]), [])
    assert content["film_auc"] == {"value": None, "low": None, "high": None}
    assert content["density"][0]["tissue"] == "not stated"
    assert "| film AUC, abnormal against normal | 1 + 0 films | - |" in files["report.md"].decode()


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [(0.5, 2.0, "1.000 (0.500 to 2.000)"), (0.5, None, "1.000 (0.500 to inf)"), (None, None, "1.000 (-)")],
)
def test_a_figure_says_what_it_lacks(low: float | None, high: float | None, text: str) -> None:
    assert figure_text({"value": 1.0, "low": low, "high": high}) == text
    assert figure_text({"value": None, "low": None, "high": None}) == "-"


def test_an_interval_without_end_has_no_bound_in_json_and_is_drawn() -> None:
    lesions = (Lesion((100, 100), 30, "benign", "CIRC"),)
    scores = [
        (-2.0, 0),
        (-1.5, 0),
        (-1.0, 0),
        (0.5, 0),
        (1.0, 0),
        (0.7, 1),
        (1.5, 1),
        (2.0, 1),
        (2.5, 1),
        (3.0, 1),
    ]
    cases = [case(f"f{n}", [mark(100, 100, s)], lesions * on) for n, (s, on) in enumerate(scores)]
    made = of_model(cases)
    content, files = make_texts(made, [])
    for kind in ("marks", "films"):
        slope = content["calibration"][kind]["slope"]
        assert slope["low"] < slope["value"]
        assert slope["high"] is None
    assert " to inf)" in files["report.md"].decode()
    assert draw_pictures(made)["reliability.png"].startswith(b"\x89PNG")


@pytest.mark.parametrize("rule", ["centre", "iou"])
def test_both_rules_are_in_the_report_whichever_is_chosen(rule: str) -> None:
    cases = random_cases(seed=7)
    content, files = make_texts(of_run(cases, HitRule(rule)), [])
    assert set(content["froc"]) == {"centre", "iou"}
    assert next(iter(content["froc"])) == content["settings"]["hit_rule"] == rule
    text = files["report.md"].decode()
    assert "sensitivity (centre)" in text
    assert "sensitivity (iou)" in text
    assert content["froc"]["centre"] == make_texts(of_run(cases), [])[0]["froc"]["centre"]


def test_marks_without_radii_have_no_overlap_and_say_so() -> None:
    cases = [replace(c, marks=tuple(replace(m, radius=None) for m in c.marks)) for c in random_cases(seed=8)]
    content, files = make_texts(of_run(cases), [])
    assert set(content["froc"]) == {"centre"}
    assert "iou: not computed" in files["report.md"].decode()
    with pytest.raises(UsageError, match="needs the radius of every mark"):
        of_run(cases, HitRule("iou"))


@pytest.mark.parametrize("listed", [True, False])
def test_every_text_says_that_seen_films_are_no_measure(listed: bool) -> None:
    cases = random_cases(seed=9)
    card = {"data": {"film_digests": [cases[0].pixels.digest]}} if listed else {}
    made = of_model(cases, card)
    content, files = make_texts(made, [])
    said = (
        "includes films the network was trained on (1 of 24): not a measure"
        if listed
        else "not known whether"
    )
    assert said in files["report.md"].decode()
    assert said in content["overlap"]["text"]
    assert content["measure"] is (False if listed else None)
    for name in ("films.csv", "marks.csv", "lesions.csv"):
        seen = {row["film"] for row in rows(files, name) if row["trained_on"] == "true"}
        assert (
            seen == {cases[0].film.name} & {row["film"] for row in rows(files, name)} if listed else not seen
        )
        assert all(row["trained_on"] == "" for row in rows(files, name)) is not listed
    assert {row["overlap"] for row in rows(files, "froc.csv")} == {"seen" if listed else "not known"}


@pytest.mark.slow
def test_pictures_are_the_same_bytes_and_say_what_they_are_worth() -> None:
    cases = random_cases(4, seed=9)
    made = of_model(cases)
    drawn = draw_pictures(made)
    assert set(drawn) == {"froc.png", "film-roc.png", "reliability.png", "misses.png", "false-marks.png"}
    assert all(data.startswith(b"\x89PNG") for data in drawn.values())
    assert draw_pictures(of_model(cases)) == drawn
    other = draw_pictures(replace(made, overlap=replace(made.overlap, text="another line")))
    assert all(other[name] != drawn[name] for name in drawn)


@dataclass(frozen=True)
class DiscFilm(MadeFilm):
    """A dark film with a bright disc of radius 25 at row 210, column 140."""

    def read(self) -> Film:
        rows, columns = np.indices((400, 300))
        return Film((np.hypot(rows - 210, columns - 140) <= 25).astype(np.float32) * 0.6, (0.2, 0.2))


def extent(chosen: np.ndarray) -> list[int]:
    """First and last row and column of what is chosen."""
    rows, columns = np.nonzero(chosen)
    return [rows.min(), rows.max(), columns.min(), columns.max()]


@pytest.mark.parametrize(("name", "color"), [("misses.png", (0, 255, 0)), ("false-marks.png", (255, 165, 0))])
def test_sheets_draw_lesions_and_marks_around_what_is_there(name: str, color: tuple[int, ...]) -> None:
    """The disc of the film lies just inside the circle that is drawn for it."""
    lesion = Lesion((210, 140), 25, "malignant", "CIRC")
    normal = case("b", [mark(210, 140, 2.0, 25)])
    cases = [case("a", [], (lesion,)), replace(normal, film=DiscFilm("b", "b"))]
    cases[0] = replace(cases[0], film=DiscFilm("a", "a", (lesion,)))
    picture = np.asarray(Image.open(io.BytesIO(draw_pictures(of_model(cases))[name])).convert("RGB"), int)
    circle = np.abs(picture - color).max(axis=2) < 60
    top, bottom, left, right = extent(circle)
    box = picture[top : bottom + 1, left : right + 1]
    disc = box.min(axis=2) > 200
    assert bottom - top > 40
    assert extent(disc) == pytest.approx([0, bottom - top, 0, right - left], abs=4)
    # Beside the circle, in the same crop, the film is dark.
    assert picture[top - 5, left - 5].max() < 50


def test_folds_that_cannot_calibrate_each_other_lose_only_the_probabilities() -> None:
    lesion = Lesion((100, 100), 30, "benign", "CIRC")
    cases = [case("a", [mark(100, 100, 2.0)], (lesion,), fold=0), case("b", [mark(9, 9, 1.0)], fold=1)]
    content, files = make_texts(of_run(cases), [])
    assert content["calibration"]["marks"] is None
    assert content["operating_point"]["sensitivity"]["value"] == 1.0  # it needs no probability
    basis = content["calibration"]["basis"]
    assert "none of marks: " in basis
    assert "none of films: " in basis
    assert content["froc"]["centre"]["sensitivity_at_false_marks_per_film"]["1.0"]["value"] == 1.0
    assert rows(files, "marks.csv")[0]["p_abnormal"] == ""


def test_the_worst_errors_come_first() -> None:
    big, small = Lesion((100, 100), 50, "malignant", "SPIC"), Lesion((300, 200), 10, "benign", "CALC")
    cases = [
        case("a", [mark(300, 200, 0.1)], (big, small)),
        case("b", [mark(9, 9, 3.0), mark(60, 60, 2.0)]),
        case("c", [mark(9, 9, 5.0)], unlocated=True),
        case("d", [mark(90, 90, 4.0)]),
        case("e", [], (small,)),
    ]
    made = of_model(cases)
    # Four judged films leave room for four false marks: only lesions without a mark are missed.
    assert [(case.film.name, lesion) for case, lesion, _ in errors_png.worst_misses(made)] == [
        ("a", big),
        ("e", small),
    ]
    assert [mark.score for _, mark in errors_png.worst_false_marks(made)] == [4.0, 3.0, 2.0]


def test_text_of_a_file_changes_no_table() -> None:
    lesion = Lesion((100, 100), 30, "benign", "a|b\n<script>")
    _, files = make_texts(of_model([case("a", [mark(100, 100, 2.0)], (lesion,)), case("b", [])]), ["<b>|"])
    text = files["report.md"].decode()
    assert "a\\|b &lt;script>" in text
    assert "- &lt;b>\\|" in text


def test_without_a_normal_film_only_the_films_lose_their_probabilities() -> None:
    lesion = Lesion((100, 100), 30, "benign", "CIRC")
    cases = [
        case(f"f{n}", [mark(100, 100, 2.0 + n), mark(9, 9, 1.5 + n)], (lesion,), fold=n % 2) for n in range(6)
    ]
    made = of_run(cases)
    content, files = make_texts(made, [])
    assert content["calibration"]["marks"]["count"] == 12
    assert content["calibration"]["films"] is None
    assert "none of films: " in content["calibration"]["basis"]
    assert content["operating_point"] is not None
    assert rows(files, "marks.csv")[0]["p_abnormal"]


def test_probabilities_of_films_are_their_own_and_cross_fitted() -> None:
    cases = random_cases(30, seed=5)
    made = of_run(cases)
    assert made.predictions.films is not None
    scores = np.array([max(each.score, -6.0) for each in cases])
    abnormal = np.array([each.scored.abnormal for each in cases])
    folds = np.array([each.fold for each in cases])
    for fold in range(3):
        fitted = fit_calibration(scores[folds != fold], abnormal[folds != fold])
        expected = fitted.slope * scores[folds == fold] + fitted.intercept
        assert made.predictions.films[folds == fold] == pytest.approx(expected)
    # Weights bring a calibration of films beside that of marks.
    _, files = make_texts(of_model(cases), [])
    said = [float(row["p_abnormal"]) for row in rows(files, "films.csv")]
    assert said == pytest.approx(list(1 / (1 + np.exp(-(0.5 * scores + 0.2)))), abs=1e-6)


def test_marks_on_films_of_unknown_place_are_not_calibrated_on() -> None:
    cases = random_cases(30, seed=5)
    assert any(each.film.unlocated and each.marks for each in cases)
    made = of_model(cases)
    judged = [each for each in cases if not each.film.unlocated]
    hit = [
        any(HitRule().hits(m, lesion) for lesion in each.film.lesions) for each in judged for m in each.marks
    ]
    assert made.mark_calibration is not None
    assert made.mark_calibration.count == len(hit)
    assert made.mark_calibration.base_rate.value == pytest.approx(np.mean(hit))


def test_intervals_of_both_calibrations_are_over_patients() -> None:
    made = of_model(random_cases(30, seed=5))
    for judged in (made.mark_calibration, made.film_calibration):
        assert judged is not None
        for figure in (judged.base_rate, judged.brier, judged.slope, judged.ece):
            assert figure.low < figure.high


def test_rows_of_density_are_counted_on_their_own_films() -> None:
    cases = random_cases(40, seed=6)
    # A film that has a lesion with a place and an abnormality without one: it counts for the AUC alone.
    index = next(n for n, each in enumerate(cases) if each.film.lesions and each.marks)
    cases[index] = replace(cases[index], film=replace(cases[index].film, unlocated=True))
    made = of_run(cases)
    for row in made.densities:
        films = [each for each in cases if each.film.tissue == row.tissue]
        judged = [each for each in films if not each.film.unlocated]
        lesions = wrong = found = 0
        for each in judged:
            shown = [m for m in each.marks if m.score > made.threshold]
            lesions += len(each.film.lesions)
            found += sum(any(HitRule().hits(m, x) for m in shown) for x in each.film.lesions)
            wrong += sum(not any(HitRule().hits(m, x) for x in each.film.lesions) for m in shown)
        assert (row.films, row.lesions, row.found) == (len(films), lesions, found)
        assert row.sensitivity.value == pytest.approx(found / lesions)
        assert row.false_marks.value == pytest.approx(wrong / len(judged))
        assert row.film_auc.value == pytest.approx(film_auc([each.scored for each in films]))


def test_a_lesion_of_a_film_that_is_not_judged_is_no_miss() -> None:
    lesion = Lesion((100, 100), 30, "benign", "CIRC")
    cases = [
        case("a", [], (lesion,)),
        case("b", [], (lesion,), unlocated=True),
        case("c", [mark(9, 9, 1.0)], (lesion,), unlocated=True),
        case("d", [mark(9, 9, 0.0)]),
    ]
    made = of_model(cases)
    assert [case.film.name for case, _, _ in errors_png.worst_misses(made)] == ["a"]
    assert [case.film.name for case, _ in errors_png.worst_false_marks(made)] == ["d"]


def test_names_are_no_formulas() -> None:
    lesion = Lesion((100, 100), 30, "benign", "@kind")
    cases = [case("=1+1", [mark(100, 100, 2.0)], (lesion,), patient="-p", tissue="+"), case("b", [])]
    made = of_model(cases)
    _, files = make_texts(made, [])
    for name in ("marks.csv", "films.csv", "lesions.csv"):
        row = rows(files, name)[0]
        assert (row["film"], row["patient"]) == ("'=1+1", "'-p")
    assert rows(files, "lesions.csv")[0]["kind"] == "'@kind"
    assert rows(files, "films.csv")[0]["tissue"] == "'+"
    assert rows(files, "films.csv")[1]["score"] == ""
    low = make_texts(of_model([*cases, case("c", [mark(9, 9, -2.5)])]), [])[1]
    assert rows(low, "films.csv")[2]["score"] == "-2.5"  # a number stays one


def test_a_name_that_looks_like_mathematics_is_drawn() -> None:
    lesion = Lesion((100, 100), 30, "benign", "$x^$")
    made = of_model([case("$\\frac{$", [mark(300, 200, 2.0)], (lesion,)), case("b", [mark(9, 9, 3.0)])])
    assert len(draw_pictures(made)) == 5
