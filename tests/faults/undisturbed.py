"""The comparison of what was published under faults with what a run without queue or faults gives."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.faults.bench import Numbers, model_settings
from tests.faults.outcome import Outcome
from tests.faults.sites import Site
from tests.faults.watcher import digests_of


def compare_with_undisturbed(
    outcomes: Sequence[Outcome], folder: Path, numbers: Numbers, most: int | None = None
) -> None:
    """Scan the studies of all rows once more without queue or faults; other bytes count as doubled.

    Args:
        numbers: those of the rows, for the model that they were scanned with.
        most: how many of each results folder, evenly spread; None is all.

    ``bcd-admin scan`` takes the time of the first submission from the ``result.json`` that stands in its
    results folder, as dates and UIDs follow from it. It gets nothing else of the published results.
    """
    published = {
        study.uid: (outcome, root / study.uid, study)
        for outcome in outcomes
        for root, studies in outcome.roots.items()
        for study in (studies if most is None else studies[:: max(1, len(studies) // most)])
    }
    if not published:
        return
    for uid, (_, result, _) in published.items():
        (folder / uid).mkdir(parents=True)
        shutil.copy(result / "result.json", folder / uid)
    place = folder.with_name(folder.name + "-site")
    place.mkdir()
    with Site(place, model_settings(numbers, place)) as site:
        films = [study.folder for _, _, study in published.values()]
        answer = site.admin("scan", *films, "--out", folder, "--json", seconds=1800)
    if answer.code != 0:
        print(answer.err, file=sys.stderr)
    for uid, (outcome, result, _) in published.items():
        expected, found = digests_of(folder / uid), digests_of(result)
        if answer.code != 0 or len(expected) < 2:
            outcome.problems.append(f"{uid}: the undisturbed run ended with {answer.code}")
        elif found != expected:
            other = sorted(n for n in found.keys() | expected.keys() if found.get(n) != expected.get(n))
            outcome.doubled.append(f"{uid}: other bytes than an undisturbed run gives: {', '.join(other)}")
