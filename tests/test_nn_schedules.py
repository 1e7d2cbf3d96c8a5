"""fastact.nn.schedules: rates against PyTorch's schedulers and the formulas."""

import json

import numpy as np
import pytest

from fastact import nn

SCHEDULES = {
    "exponential": nn.schedules.ExponentialDecay(0.1, 1, 0.9),
    "exponential of 7 steps": nn.schedules.ExponentialDecay(0.1, 7, 0.5),
    "step": nn.schedules.StepDecay(0.1, 6, 0.3),
    "inverse time": nn.schedules.InverseTimeDecay(0.1, 5, 0.7),
    "cosine": nn.schedules.CosineDecay(0.1, 20, 0.01),
    "warmup": nn.schedules.Warmup(0.1, 8),
    "warmup and cosine": nn.schedules.Warmup(nn.schedules.CosineDecay(0.1, 12), 8),
}
FORMULAS = {
    "exponential": lambda t: 0.1 * 0.9**t,
    "exponential of 7 steps": lambda t: 0.1 * 2 ** (-t / 7),
    "step": lambda t: 0.1 * 0.3 ** (t // 6),
    "inverse time": lambda t: 0.1 / (1 + 0.7 * t / 5),
    "cosine": lambda t: 0.01 + 0.09 * (1 + np.cos(np.pi * min(t, 20) / 20)) / 2,
    "warmup": lambda t: 0.1 * min(t + 1, 8) / 8,
    "warmup and cosine": lambda t: 0.1 * (t + 1) / 8 if t < 8 else 0.05 * (1 + np.cos(np.pi * min(t - 8, 12) / 12)),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_formula(name):
    got = [SCHEDULES[name](step) for step in range(41)]
    np.testing.assert_allclose(got, [FORMULAS[name](step) for step in range(41)], rtol=1e-13, atol=1e-17)
    assert all(type(rate) is float for rate in got)


@pytest.mark.parametrize("name", ["exponential", "step", "cosine", "warmup", "warmup and cosine"])
def test_pytorch_has_the_same_rates(name):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], 0.1)
    schedulers = torch.optim.lr_scheduler

    def warmup():
        return schedulers.LinearLR(optimizer, 1 / 8, total_iters=7)

    theirs = {
        "exponential": lambda: schedulers.ExponentialLR(optimizer, 0.9),
        "step": lambda: schedulers.StepLR(optimizer, 6, 0.3),
        "cosine": lambda: schedulers.CosineAnnealingLR(optimizer, 20, 0.01),
        "warmup": warmup,
        "warmup and cosine": lambda: schedulers.SequentialLR(
            optimizer, [warmup(), schedulers.CosineAnnealingLR(optimizer, 12)], [8]
        ),
    }[name]()
    for step in range(20):
        assert SCHEDULES[name](step) == pytest.approx(theirs.get_last_lr()[0], rel=1e-12, abs=1e-16)
        optimizer.step()
        theirs.step()


@pytest.mark.parametrize("name", SCHEDULES)
def test_config_makes_an_equal_schedule(name):
    config = SCHEDULES[name].config()
    again = nn.schedules.from_config(json.loads(json.dumps(config)))
    assert again.config() == config and repr(again) == repr(SCHEDULES[name])
    assert [again(step) for step in range(30)] == [SCHEDULES[name](step) for step in range(30)]


@pytest.mark.parametrize("name", SCHEDULES)
def test_repr_makes_an_equal_schedule(name):
    again = eval(repr(SCHEDULES[name]), vars(nn.schedules))
    assert again.config() == SCHEDULES[name].config()


def rate_after(steps, schedule):
    optimizer = nn.SGD(schedule)
    optimizer.steps = steps
    return optimizer.rate


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: nn.schedules.ExponentialDecay(0, 1, 0.9), ValueError, "learning_rate must be above 0"),
        (lambda: nn.schedules.ExponentialDecay(0.1, 0, 0.9), ValueError, "decay_steps must be at least 1"),
        (lambda: nn.schedules.ExponentialDecay(0.1, 1, -1), ValueError, "decay_rate must be above 0"),
        (lambda: nn.schedules.StepDecay(0.1, 2.5), TypeError, "decay_steps must be an integer"),
        (lambda: nn.schedules.InverseTimeDecay(0.1, 1, "1"), TypeError, "decay_rate must be a number"),
        (lambda: nn.schedules.CosineDecay(0.1, 10, -1), ValueError, "final_rate must be at least 0"),
        (lambda: nn.schedules.Warmup("adam", 10), TypeError, "learning_rate must be a number, got 'adam'"),
        (lambda: nn.schedules.Warmup(lambda step: 0.1, 10).config(), TypeError, "to be saved, got <function"),
        (lambda: nn.schedules.from_config({"name": "cosine"}), ValueError, "name must be one of .*got 'cosine'"),
        (lambda: nn.schedules.from_config({"name": "warmup"}), ValueError, "'warmup' needs 'learning_rate'"),
        (lambda: rate_after(5000, nn.schedules.ExponentialDecay(0.1, 1, 2)), ValueError, r"rate\(5000\) .* got inf"),
        (lambda: rate_after(5000, nn.schedules.StepDecay(0.1, 1, 2)), ValueError, r"rate\(5000\) .* got inf"),
        (lambda: nn.schedules.from_config(0.1), TypeError, "config of the schedule must be a dict, got 0.1"),
    ],
)
def test_wrong_schedules(make, error, words):
    with pytest.raises(error, match=words):
        make()
