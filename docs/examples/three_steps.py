"""Read a study, scan it, write the results: ``python three_steps.py DICOM_FOLDER RESULTS_FOLDER``."""

import sys
from pathlib import Path

from worker.api import find_studies, load_scanner, publish, scan_study

source, results = Path(sys.argv[1]), Path(sys.argv[2])
scanner = load_scanner()
for study in find_studies([source]).studies:
    result = scan_study(study, scanner)
    for film in result.films:
        if film.outcome == "failed":
            print(film.file, "was not scanned:", film.reason)
        elif film.outcome == "excluded":
            print(film.file, "was left out:", film.rule)
        else:
            print(film.file, film.scan.label)
            for finding in filter(result.operating_point.presents, film.scan.findings):
                row, column = finding.center
                abnormal = f"{finding.probability.abnormal:.0%}"
                print(f"  {finding.label} at row {row:.0f}, column {column:.0f}: {abnormal}")
    print("wrote", publish(result, results))
