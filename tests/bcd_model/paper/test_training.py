from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from bcd_model.detector.network import initialise
from bcd_model.errors import UsageError
from bcd_model.paper import training
from bcd_model.paper.networks import build
from bcd_model.paper.systems import SYSTEMS
from bcd_model.paper.training import BatchOrder, Precision, Setting, environment, predict, train


def _samples(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Bright below, in the middle or above: three classes that are easily told apart."""
    rng = np.random.default_rng(0)
    labels = np.arange(90) % 3
    samples = 0.1 * rng.random((90, size, size))
    for sample, label in zip(samples, labels, strict=True):
        sample[label * size // 3 : (label + 1) * size // 3] += 0.8
    return samples.astype(np.float32), labels


def _setting(name: str, steps: int, precision: Precision = "float32", seed: int = 1) -> Setting:
    system = SYSTEMS[name]
    recipe = system.recipes["all"]
    return Setting(
        system, 3, recipe.learning_rate, steps, seed, precision, "cpu", "digest", falling=recipe.falling
    )


class _KilledError(Exception):
    pass


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "precision"), [("S1", "float32"), ("S1f", "float32"), ("S5", "bfloat16"), ("S3", "float32")]
)
def test_a_run_that_was_killed_goes_on_to_the_same_bytes(
    name: str, precision: Precision, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "CHECKPOINT_EVERY", 2)
    samples, labels = _samples(SYSTEMS[name].size)
    whole, losses = train(_setting(name, 5, precision), samples, labels)

    def kill(done: int, _loss: float) -> None:
        if done == 3:
            raise _KilledError

    checkpoint = tmp_path / "checkpoint.safetensors"
    with pytest.raises(_KilledError):
        train(_setting(name, 5, precision), samples, labels, checkpoint, kill)
    seen: list[int] = []
    resumed, resumed_losses = train(
        _setting(name, 5, precision), samples, labels, checkpoint, lambda done, _: seen.append(done)
    )
    assert seen == [3, 4, 5]
    assert resumed_losses.tobytes() == losses.tobytes()
    for key, value in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[key], value), key
    assert predict(resumed, samples).tobytes() == predict(whole, samples).tobytes()


def test_another_seed_gives_other_weights() -> None:
    samples, labels = _samples(48)
    first, other = (train(_setting("S5", 2, seed=seed), samples, labels)[1] for seed in (1, 2))
    assert not np.array_equal(first, other)


def test_a_falling_rate_goes_to_0_in_a_straight_line_and_the_first_steps_are_those_without() -> None:
    fixed = _setting("S5", 8)
    falling = replace(fixed, falling=0.5)
    rate = fixed.learning_rate
    assert [fixed.rate(step) for step in range(8)] == [rate] * 8
    expected = [rate] * 5 + [rate * part for part in (0.75, 0.5, 0.25)]
    assert [falling.rate(step) for step in range(8)] == pytest.approx(expected)
    samples, labels = _samples(48)
    (_, as_ever), (_, losses) = (train(setting, samples, labels) for setting in (fixed, falling))
    # The sixth step is the first at a lower rate, the seventh loss the first to show it.
    assert losses[:6].tobytes() == as_ever[:6].tobytes()
    assert losses[6] != as_ever[6]


def test_gradient_descent_lets_weights_without_a_gradient_be() -> None:
    # What no gradient reaches stays as it was.
    samples, labels = _samples(48)
    samples[:, :, :10] = 0  # no gradient for the weights of these pixels
    setting = _setting("S5", 3)
    begun = build(setting.system, 3)
    initialise(begun, setting.seed)
    network, _ = train(setting, samples, labels)
    before, after = (each.dense.weight.detach().reshape(-1, 48, 48) for each in (begun, network))
    assert torch.equal(after[:, :, :10], before[:, :, :10])
    assert not torch.equal(after[:, :, 10:], before[:, :, 10:])


def test_a_network_learns_what_is_easy() -> None:
    samples, labels = _samples(48)
    network, losses = train(_setting("S5", 200), samples, labels)
    assert losses[-1] < 0.3 < losses[0]
    assert (predict(network, samples).argmax(axis=1) == labels).all()


@pytest.fixture
def checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """That of S5 after two steps."""
    monkeypatch.setattr(training, "CHECKPOINT_EVERY", 1)
    path = tmp_path / "checkpoint.safetensors"
    train(_setting("S5", 2), *_samples(48), path)
    return path


def test_checkpoints_of_other_settings_and_damaged_ones_are_refused_by_name(checkpoint: Path) -> None:
    samples, labels = _samples(48)
    other = Setting(SYSTEMS["S5"], 3, 0.1, 2, 1, digest="another")
    with pytest.raises(
        UsageError, match=r"checkpoint\.safetensors: the checkpoint belongs to other films or settings"
    ):
        train(other, samples, labels, checkpoint)
    checkpoint.write_bytes(b"no checkpoint")
    with pytest.raises(UsageError, match="is damaged"):
        train(_setting("S5", 2), samples, labels, checkpoint)


def test_a_checkpoint_with_one_weight_changed_is_damaged(checkpoint: Path) -> None:
    samples, labels = _samples(48)
    data = bytearray(checkpoint.read_bytes())
    data[-4000] ^= 1
    checkpoint.write_bytes(data)
    with pytest.raises(UsageError, match="is damaged; remove it"):
        train(_setting("S5", 2), samples, labels, checkpoint)


def test_a_checkpoint_made_with_other_threads_is_refused_by_their_number(checkpoint: Path) -> None:
    samples, labels = _samples(48)
    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    try:
        with pytest.raises(UsageError, match=rf"made elsewhere \(threads {threads}, not {threads + 1}\)"):
            train(_setting("S5", 2), samples, labels, checkpoint)
    finally:
        torch.set_num_threads(threads)


def test_every_round_shows_every_sample_once_in_an_order_of_its_own() -> None:
    order = BatchOrder(samples=7, batch=3, seed=5)
    shown = np.concatenate([order.batch(step) for step in range(14)])
    rounds = shown.reshape(6, 7)
    assert all(sorted(each) == list(range(7)) for each in rounds.tolist())
    assert len({tuple(each) for each in rounds.tolist()}) > 1
    # a batch follows from its step, not from those before it
    assert np.array_equal(BatchOrder(7, 3, 5).batch(9), shown[27:30])


def test_a_batch_may_be_larger_than_all_samples() -> None:
    shown = BatchOrder(samples=4, batch=10, seed=0).batch(1)
    assert np.bincount(shown).sum() == 10
    assert np.bincount(shown).min() >= 2


@pytest.mark.skipif(not Path("/proc/cpuinfo").exists(), reason="no Linux")
def test_the_environment_names_what_bfloat16_is_computed_with(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    told = str(environment("cpu")["instructions"])
    flags = Path("/proc/cpuinfo").read_text().split()
    for flag in ("avx512_bf16", "amx_bf16"):
        assert (flag.upper() in told) == (flag in flags)
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    assert environment("cpu")["instructions"] == f"{told}, ONEDNN_MAX_CPU_ISA=AVX2"
