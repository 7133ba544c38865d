"""The same three steps in Python: read a study, scan it, write the results."""

from pathlib import Path

from converters.results.result_json import read_result


def test_read_scan_write(studies: Path, weights: Path, tmp_path: Path) -> None:
    from bcd_model.detector.model import load_model
    from bcd_model.detector.scan import Scanner
    from converters.films.studies import find_studies
    from worker.study.publish import publish
    from worker.study.scan import new_job, scan_study

    scanner = Scanner(load_model(weights))
    for study in find_studies([studies]).studies:
        result = scan_study(study, scanner, new_job(study, scanner))
        folder = publish(result, tmp_path)
        written = read_result(folder)
        assert written["study_instance_uid"] == study.study_instance_uid == folder.name
        assert len(written["films"]) == 2
