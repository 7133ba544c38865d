from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from bcd_model.errors import ModelError
from bcd_model.evaluation import Calibration
from bcd_model.model import load_model, save_model
from bcd_model.networks import ScanningBCDCNN, initialise
from bcd_model.weights import METADATA_KEY, SHIPPED, read_info
from bcd_model.words import OperatingPoint

POINT = OperatingPoint(0.3, 0.4, 0.5, 1.0, "a test")


def _saved(path: Path) -> ScanningBCDCNN:
    network = ScanningBCDCNN(8)
    initialise(network, 0)
    save_model(
        path, network, name="toy", version="1", steps_mm=(0.3, 0.6), operating_point=POINT,
        calibration=Calibration(2, -1), half=False,
    )  # fmt: skip
    return network.eval()


def test_a_saved_model_comes_back(tmp_path: Path) -> None:
    network = _saved(tmp_path / "w.safetensors")
    model = load_model(tmp_path / "w.safetensors")
    stored, loaded = network.state_dict(), model.network.state_dict()
    assert stored.keys() == loaded.keys()
    assert all(torch.equal(loaded[name], value) for name, value in stored.items())
    image = torch.ones(1, 1, 60, 60)
    torch.testing.assert_close(model.network(image), network(image))
    assert model.operating_point == POINT
    assert model.prevalence == read_info(tmp_path / "w.safetensors").prevalence == 0.4
    assert model.calibration == Calibration(2, -1)
    assert model.steps_mm == (0.3, 0.6)
    assert model.identity.digest == hashlib.sha256((tmp_path / "w.safetensors").read_bytes()).hexdigest()


def test_saving_again_gives_the_same_bytes(tmp_path: Path) -> None:
    _saved(tmp_path / "a.safetensors")
    _saved(tmp_path / "b.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no weights",
        b"\xff" * 64,
        b"\x02\0\0\0\0\0\0\0{}",
        b"\x02\0\0\0\0\0\0\0[]",
        b"\0\0\x01\0\0\0\0\0" + b"[" * 65536,
    ],
)
def test_what_is_no_weight_file_is_refused_by_name(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "w.safetensors").write_bytes(content)
    with pytest.raises(ModelError, match=r"w\.safetensors is not a BCD weight file; name a file made by"):
        load_model(tmp_path / "w.safetensors")


def test_a_missing_weight_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"w\.safetensors cannot be read"):
        load_model(tmp_path / "w.safetensors")


def test_weights_of_another_network_are_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    _saved(path)
    metadata = read_info(path).metadata
    save_file({"x": torch.zeros(1)}, path, metadata={METADATA_KEY: json.dumps(metadata)})
    with pytest.raises(ModelError, match=r"w\.safetensors holds no weights of this version's network"):
        load_model(path)


@pytest.mark.parametrize("prevalence", [None, 0, 1, -0.2, 37, float("nan"), "0.4", True, "missing"])
def test_weights_that_state_no_prevalence_are_refused_by_name(prevalence: object, tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    _saved(path)
    metadata = read_info(path).metadata | {"prevalence": prevalence}
    if prevalence == "missing":
        del metadata["prevalence"]
    save_file({"x": torch.zeros(1)}, path, metadata={METADATA_KEY: json.dumps(metadata)})
    with pytest.raises(ModelError, match=r"w\.safetensors is not a BCD weight file; name a file made by"):
        read_info(path)


def test_weights_that_are_no_numbers_are_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    shipped = read_info()
    tensors = load_file(shipped.path)
    content = {METADATA_KEY: json.dumps(shipped.metadata)}
    save_file(tensors, path, metadata=content)
    load_model(path)
    # The head across and those of clusters may be missing; without the others every film would be normal.
    names = "second_look.weight", "second_look.bias"
    missing = {name: _without(tensors[name], (1, 2)) for name in names}
    save_file({**tensors, **missing}, path, metadata=content)
    load_model(path)
    for name, at in (
        ("second_look.weight", (0, 1, 7)),
        ("second_look.bias", (0, 0)),
        ("second_look.weight", (1, 1, 7)),
        ("second_look.weight", (0, 2, 7)),
        ("second_look.bias", (1, 2)),
        ("second_look.usual", ()),
        ("dense.bias", (3,)),
    ):
        save_file({**tensors, name: _without(tensors[name], at)}, path, metadata=content)
        with pytest.raises(ModelError, match=r"w\.safetensors holds no weights of this version's network"):
            load_model(path)


@pytest.mark.parametrize(
    "wrong",
    [
        {"calibration": {"slope": float("nan"), "intercept": 0.0}},
        {"film_calibration": {"slope": 1.0, "intercept": float("inf")}},
        {"heat_calibration": {"slope": "1", "intercept": 0.0}},
        {"steps_mm": []},
        {"steps_mm": [float("nan")]},
        {"steps_mm": [0.3, 0.0]},
        {"steps_mm": 0.3},
    ],
)
def test_scales_and_calibrations_that_are_none_are_refused_by_name(
    wrong: dict[str, object], tmp_path: Path
) -> None:
    path = tmp_path / "w.safetensors"
    _saved(path)
    metadata = read_info(path).metadata | wrong
    save_file(load_file(path), path, metadata={METADATA_KEY: json.dumps(metadata)})
    with pytest.raises(ModelError, match=r"w\.safetensors holds no weights of this version's network"):
        load_model(path)


@pytest.mark.parametrize("threshold", [float("nan"), 7, -0.1, "0.3", None, True])
def test_an_operating_point_that_is_no_probability_is_refused_by_name(
    threshold: object, tmp_path: Path
) -> None:
    path = tmp_path / "w.safetensors"
    _saved(path)
    metadata = read_info(path).metadata
    metadata["operating_point"]["threshold"] = threshold
    save_file(load_file(path), path, metadata={METADATA_KEY: json.dumps(metadata)})
    with pytest.raises(ModelError, match=r"w\.safetensors is not a BCD weight file; name a file made by"):
        read_info(path)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("name", 5),
        ("version", None),
        ("card", "words"),
        ("sensitivity", "much"),
        ("sensitivity", -1),
        ("sensitivity", 3.0),
        ("sensitivity", True),
        ("false_marks_per_film", 10**400),
        ("name", "two\nlines"),
        ("false_marks_per_film", float("nan")),
        ("basis", [1]),
    ],
)
def test_weights_that_say_nonsense_of_themselves_are_refused_by_name(
    key: str, value: object, tmp_path: Path
) -> None:
    path = tmp_path / "w.safetensors"
    _saved(path)
    metadata = read_info(path).metadata
    (metadata if key in ("name", "version", "card") else metadata["operating_point"])[key] = value
    save_file(load_file(path), path, metadata={METADATA_KEY: json.dumps(metadata)})
    with pytest.raises(ModelError, match=r"w\.safetensors is not a BCD weight file; name a file made by"):
        read_info(path)


def _without(tensor: torch.Tensor, at: tuple[int, ...]) -> torch.Tensor:
    """The tensor with no number at one place."""
    found = tensor.clone()
    found[at] = torch.nan
    return found


def test_a_truncated_weight_file_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    _saved(path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ModelError, match=r"w\.safetensors"):
        load_model(path)


def test_the_shipped_weights_say_what_they_are() -> None:
    info = read_info()
    assert info.card["command"].startswith("bcd-admin train")
    assert {"digest", "name", "licence"} <= info.card["data"].keys()
    assert info.card["cross_validated"]["protocol"].startswith("out of fold, by patient")
    assert SHIPPED.stat().st_size < 25_000_000
    assert load_model().identity == info.identity


def test_the_words_and_the_facts_of_the_weights_come_without_torch() -> None:
    code = (
        "import sys, bcd_model, bcd_model.weights, bcd_model.words; bcd_model.weights.read_info();"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
