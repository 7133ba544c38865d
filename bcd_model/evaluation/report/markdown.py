"""``report.md``: the figures of an assessment for people, from the content of ``results.json``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from bcd_model.evaluation.report.text import escaped, table
from bcd_model.evaluation.statistics import Interval

_HEADINGS = {
    "class": "Class",
    "family": "Family of lesions",
    "kind": "Kind (the collection's code)",
    "size": "Size",
}


def report_text(content: dict[str, Any], pictures: Sequence[str]) -> str:
    """Return the text of ``report.md``.

    Args:
        content: from ``tables.results``.
        pictures: names of the files beside it.
    """
    data, settings = content["data"], content["settings"]
    chosen = settings["hit_rule"]
    lines = [
        "# What the scan is worth on these films",
        "",
        f"> {content['disclaimer']}",
        "",
        f"**{content['overlap']['text']}.**",
        "",
        f"{data['films']} films of {data['patients']} patients: {data['films_abnormal']} abnormal, of these "
        f"{data['films_with_unknown_place']} with an abnormality of unknown place (they count for the film "
        f"AUC and not for the FROC); {data['lesions']} lesions. In brackets 95 % intervals from "
        f"{settings['draws_of_patients']:,} draws of patients, seed {settings['seed']}; n is small in most "
        "groups, and where all or none were found the interval has no width: look at n.",
        "",
        f"Marks: {_source(content['source'])}. Hit rule, unless another is named: "
        f"{settings['hit_rule_text']}.",
        "",
        *(f"- {escaped(text)}" for text in content["remarks"]),
        *([""] if content["remarks"] else []),
        *_froc(content, chosen),
        *_films(content),
        *_groups(content),
        *_density(content),
        *_calibration(content),
        "## Pictures",
        "",
        *(f"![{name}]({name})" for name in pictures),
        "",
        "The sheets of misses and false marks show parts of the films: share them only where the films' "
        "licence allows it.",
    ]
    return "\n".join(lines) + "\n"


def _source(source: dict[str, Any]) -> str:
    if source["kind"] == "run":
        return f"out-of-fold marks of a training run of {source['folds']} folds"
    return f"scanned with {source['name']} {source['version']} (SHA-256 {source['digest'][:12]})"


def _froc(content: dict[str, Any], chosen: str) -> list[str]:
    curves = content["froc"]
    others = [name for name in curves if name != chosen]
    head = ["false marks per film", *(f"sensitivity ({name})" for name in (chosen, *others))]
    rows = []
    for rate in curves[chosen]["sensitivity_at_false_marks_per_film"]:
        shown = (
            figure_text(curves[name]["sensitivity_at_false_marks_per_film"][rate])
            for name in (chosen, *others)
        )
        rows.append([f"{float(rate):g}", *shown])
    rules = [f"- {name}: {curve['hit_rule']}" for name, curve in curves.items()]
    if not others:
        rules.append(
            "- iou: not computed, the marks were kept without their radius; train again with this version"
        )
    return ["## FROC", "", table(head, rows), "", *rules, ""]


def _films(content: dict[str, Any]) -> list[str]:
    data, chosen = content["data"], content["settings"]["hit_rule"]
    curve, point = content["froc"][chosen], content["operating_point"]
    marked, abnormal = curve["lesions_marked"], data["films_abnormal"]
    films, lesions = f"{abnormal} + {data['films'] - abnormal}", f"{marked['malignant']} + {marked['benign']}"
    figures = [
        ("film AUC, abnormal against normal", f"{films} films", content["film_auc"]),
        (
            "AUC of malignant against benign, among lesions that were marked",
            f"{lesions} lesions",
            curve["malignant_against_benign_auc"],
        ),
    ]
    basis = []
    if point is not None:
        at = "at the operating point"
        figures += [
            (f"sensitivity {at}", f"{data['lesions']} lesions", point["sensitivity"]),
            (f"false marks per film {at}", f"{data['films_for_froc']} films", point["false_marks_per_film"]),
        ]
        basis = [f"Operating point: {point['basis']}.", ""]
    rows = [(name, count, figure_text(figure)) for name, count, figure in figures]
    return ["## Films and classes", "", table(["figure", "n", "value"], rows), "", *basis]


def _groups(content: dict[str, Any]) -> list[str]:
    rate = content["groups_at_false_marks_per_film"]
    lines = [f"## Who is found, at {rate:g} false mark per film over all films", ""]
    for by, heading in _HEADINGS.items():
        rows = [
            [group["name"], group["lesions"], group["found"], figure_text(group["sensitivity"])]
            for group in content["groups"]
            if group["by"] == by
        ]
        lines += [table([heading, "lesions", "found", "sensitivity"], rows), ""]
    return lines


def _density(content: dict[str, Any]) -> list[str]:
    counts, figures = ("tissue", "films", "lesions", "found"), ("sensitivity", "false_marks", "film_auc")
    rows = [
        [*(row[key] for key in counts), *(figure_text(row[key]) for key in figures)]
        for row in content["density"]
    ]
    head = ["tissue", "films", "lesions", "found", "sensitivity", "false marks per film", "film AUC"]
    return [
        "Background tissue (MIAS: F fatty, G fatty-glandular, D dense-glandular)",
        "",
        table(head, rows),
        "",
    ]


def _calibration(content: dict[str, Any]) -> list[str]:
    calibration = content["calibration"]
    lines = ["## Calibration", "", f"Probabilities: {calibration['basis']}.", ""]
    kinds = [(kind, calibration[kind]) for kind in ("marks", "films") if calibration[kind] is not None]
    if not kinds:
        return [*lines, "Nothing to judge: all true, all false, or no probabilities.", ""]
    names = (
        ("base_rate", "share that is true"),
        ("mean_probability", "mean probability"),
        ("brier", "Brier score"),
        ("base_rate_brier", "Brier score of the base rate"),
        ("skill", "Brier skill, above 0 is better than the base rate"),
        ("slope", "slope of the logistic recalibration, 1 is right"),
        ("intercept", "its intercept, 0 is right"),
        ("ece", "ECE over the bins below"),
    )
    head = ["figure", *(f"{kind} (n = {value['count']})" for kind, value in kinds)]
    lines += [table(head, [[text, *(figure_text(v[key]) for _, v in kinds)] for key, text in names]), ""]
    for kind, value in kinds:
        rows = [
            [f"{b['low']:g} to {b['high']:g}", b["count"], f"{b['probability']:.4f}", figure_text(b["true"])]
            for b in value["bins"]
        ]
        lines += [table([f"bin of P(abnormal), {kind}", "n", "mean P", "share that is true"], rows), ""]
    return lines


def figure_text(figure: dict[str, float | None]) -> str:
    """A figure of ``results.json``, with its interval; ``-`` for what there is not."""
    value, low, high = (figure[key] for key in ("value", "low", "high"))
    open_ends = (math.nan, math.nan) if low is None and high is None else (-math.inf, math.inf)
    ends = (open_end if end is None else end for end, open_end in zip((low, high), open_ends, strict=True))
    return str(Interval(math.nan if value is None else value, *ends))
