from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from bcd_model.detector.calibration import Calibration
from bcd_model.detector.model import load_model, save_model
from bcd_model.detector.network import ScanningBCDCNN, initialise
from bcd_model.errors import ModelError
from bcd_model.weights import METADATA_KEY, SHIPPED, read_info
from bcd_model.words import OperatingPoint

POINT = OperatingPoint(0.3, 0.4, 0.5, 1.0, "a test")


def _saved(path: Path) -> ScanningBCDCNN:
    network = ScanningBCDCNN(8)
    initialise(network, 0)
    network.half().float()  # as it is stored
    save_model(
        path, network, name="toy", version="1", steps_mm=(0.3, 0.6), operating_point=POINT,
        calibration=Calibration(2, -1),
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
    assert read_info(tmp_path / "w.safetensors").operating_point == POINT
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
    with pytest.raises(ModelError, match=r"w\.safetensors: is not a BCD weight file; name a file made by"):
        load_model(tmp_path / "w.safetensors")


def test_a_missing_weight_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"w\.safetensors: the weight file cannot be read"):
        load_model(tmp_path / "w.safetensors")


def test_weights_of_another_network_are_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    _saved(path)
    metadata = read_info(path).metadata
    save_file({"x": torch.zeros(1)}, path, metadata={METADATA_KEY: json.dumps(metadata)})
    with pytest.raises(ModelError, match=r"w\.safetensors: holds no weights of this version's network"):
        load_model(path)


def test_weights_that_are_cut_short_are_called_so(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    whole = read_info().path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match=r"w\.safetensors: is damaged or cut short; copy it again"):
        load_model(path)


NOT_OURS = r"w\.safetensors: is not a BCD weight file of this version: {} .*; name a file made by"


@pytest.mark.parametrize("prevalence", [None, 0, 1, -0.2, 37, float("nan"), "0.4", True, "missing"])
def test_weights_that_state_no_prevalence_are_refused_by_name(prevalence: object, tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    _saved(path)
    metadata = read_info(path).metadata | {"prevalence": prevalence}
    if prevalence == "missing":
        del metadata["prevalence"]
    save_file({"x": torch.zeros(1)}, path, metadata={METADATA_KEY: json.dumps(metadata)})
    with pytest.raises(ModelError, match=NOT_OURS.format("prevalence")):
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
        with pytest.raises(ModelError, match=r"w\.safetensors: holds no weights of this version's network"):
            load_model(path)


@pytest.mark.parametrize(
    "wrong",
    [
        {"calibration": {"slope": float("nan"), "intercept": 0.0}},
        {"film_calibration": {"slope": 1.0, "intercept": float("inf")}},
        {"heat_calibration": {"slope": "1", "intercept": 0.0}},
        {"calibration": {"slope": 0.0, "intercept": 0.0}},
        {"film_calibration": {"slope": -1.0, "intercept": 0.0}},
        {"heat_calibration": {"slope": -1e-300, "intercept": 0.0}},
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
    with pytest.raises(ModelError, match=NOT_OURS.format(rf"{next(iter(wrong))}[^ ]*")):
        read_info(path)


@pytest.mark.parametrize("threshold", [float("nan"), 7, -0.1, "0.3", None, True])
def test_an_operating_point_that_is_no_probability_is_refused_by_name(
    threshold: object, tmp_path: Path
) -> None:
    path = tmp_path / "w.safetensors"
    _saved(path)
    metadata = read_info(path).metadata
    metadata["operating_point"]["threshold"] = threshold
    save_file(load_file(path), path, metadata={METADATA_KEY: json.dumps(metadata)})
    with pytest.raises(ModelError, match=NOT_OURS.format(r"operating_point\.threshold")):
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
    with pytest.raises(ModelError, match=NOT_OURS.format(f"[a-z_.]*{key}:?")):
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
    assert info.shipped
    assert (info.identity.name, info.identity.version) == ("bcd-scan", "0.1.0")
    assert load_model().identity == info.identity


def test_the_words_and_the_facts_of_the_weights_come_without_torch() -> None:
    code = (
        "import sys, bcd_model, bcd_model.weights, bcd_model.words; bcd_model.weights.read_info();"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def _changed(path: Path, change: Callable[[torch.Tensor], torch.Tensor]) -> Path:
    """The shipped weights, changed, under the name that they give themselves."""
    shipped = read_info()
    tensors = {name: change(tensor) for name, tensor in load_file(shipped.path).items()}
    save_file(tensors, path, metadata={METADATA_KEY: json.dumps(shipped.metadata)})
    return path


def _noisy(tensor: torch.Tensor) -> torch.Tensor:
    return tensor + 0.5 * tensor.float().std(correction=0) * torch.randn(tensor.shape, dtype=tensor.dtype)


def test_changed_weights_do_not_pass_for_the_shipped_ones(tmp_path: Path) -> None:
    path = _changed(tmp_path / "w.safetensors", _noisy)
    assert not read_info(path).shipped
    assert load_model(path).identity.name == "bcd-scan (not the shipped weights)"


@pytest.mark.parametrize("part", ["", "second_look.backbone.", "dense."])
def test_weights_that_hold_nothing_are_refused_by_name(tmp_path: Path, part: str) -> None:
    path = tmp_path / "w.safetensors"
    shipped = read_info()
    tensors = load_file(shipped.path)
    for name in tensors:
        if name.startswith(part):
            tensors[name] = torch.zeros_like(tensors[name])
    save_file(tensors, path, metadata={METADATA_KEY: json.dumps(shipped.metadata)})
    with pytest.raises(ModelError, match=r"w\.safetensors: its .* answers alike to every picture; train"):
        load_model(path)


def test_weights_that_overflow_are_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    shipped = read_info()
    tensors = {name: tensor.float() * 1e30 for name, tensor in load_file(shipped.path).items()}
    save_file(tensors, path, metadata={METADATA_KEY: json.dumps(shipped.metadata)})
    with pytest.raises(ModelError, match=r"w\.safetensors: its network answers with what is not a number"):
        load_model(path)


@pytest.mark.parametrize("content", [b"", b"version https://git-lfs.github.com/spec/v1", None])
def test_a_shipped_file_that_has_changed_is_refused_by_name(
    tmp_path: Path, content: bytes | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = tmp_path / "bcd-scan.safetensors"
    if content is None:
        _changed(installed, _noisy)
    else:
        installed.write_bytes(content)
    monkeypatch.setattr("bcd_model.weights.SHIPPED", installed)
    for path in (None, installed):
        for read in (read_info, load_model):
            with pytest.raises(
                ModelError, match=r"bcd-scan\.safetensors: is not the weight file that this soft"
            ):
                read(path)


def test_shipped_weights_that_are_computed_wrongly_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """As by a library that multiplies with half the digits."""
    forward = ScanningBCDCNN.forward
    monkeypatch.setattr(ScanningBCDCNN, "forward", lambda s, x: forward(s, x.bfloat16().float()))
    with pytest.raises(ModelError, match="does not answer as it did when its figures were measured"):
        load_model()


def test_a_model_is_the_one_whose_digest_it_bears_though_the_file_is_replaced(tmp_path: Path) -> None:
    """One of two files is installed again and again; what was loaded shows in the dense layer's bias."""
    contents = []
    for number in (1.0, 2.0):
        network = _saved(tmp_path / "made.safetensors")
        with torch.no_grad():
            network.dense.bias.fill_(number)
        save_model(
            tmp_path / "made.safetensors", network, name="toy", version="1", steps_mm=(0.3,),
            operating_point=POINT,
        )  # fmt: skip
        contents.append((tmp_path / "made.safetensors").read_bytes())
    known = {hashlib.sha256(content).hexdigest(): n for n, content in enumerate(contents, start=1)}
    path, over = tmp_path / "w.safetensors", threading.Event()
    path.write_bytes(contents[0])

    def install() -> None:
        number = 0
        while not over.is_set():
            number += 1
            (tmp_path / "new").write_bytes(contents[number % 2])
            (tmp_path / "new").replace(path)

    writer = threading.Thread(target=install)
    writer.start()
    seen = set()
    try:
        for _ in range(100):
            model = load_model(path)
            number = float(model.network.get_parameter("dense.bias").detach()[0])
            assert known[model.identity.digest] == number
            seen.add(number)
    finally:
        over.set()
        writer.join()
    assert seen == {1.0, 2.0}
