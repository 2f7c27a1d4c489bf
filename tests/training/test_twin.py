"""A twin differs from its run in one non-ideality and in nothing else."""

from __future__ import annotations

import pytest
import torch

from pcmsim.errors import RestartRequiredError, UnknownNameError
from training.config import RunConfig
from training.schemes import SCHEMES
from training.session import Session
from training.twin import NON_IDEALITIES, ideal, twin, without

CONFIG = RunConfig().with_values({
    "network.hidden": 20, "task": {"name": "pattern", "inputs": 10, "duration": 0.1}, "device.mismatch.step": 0.2,
    "device.mismatch.g_max": 0.1, "network.tau_mismatch": 0.2, "learning.lr_output": 0.02,
    "core.enabled": True,
})  # fmt: skip

OFF = {
    "write-noise": lambda config: config.device.model(None).write_noise == 0.0,
    "read-noise": lambda config: not config.device.model(None).noisy,
    "drift": lambda config: config.device.model(None).largest_exponent == 0.0,
    "device-mismatch": lambda config: config.device.mismatch.step == config.device.mismatch.g_max == 0.0,
    "neuron-mismatch": lambda config: config.network.nominal == config.network,
    "cores": lambda config: not config.core.enabled,
    "bits": lambda config: config.precision.weight_bits is None,
}


def test_every_non_ideality_is_tested() -> None:
    assert set(OFF) == set(NON_IDEALITIES)


@pytest.mark.parametrize("device", ["nandakumar2018", "joshi2020"])
@pytest.mark.parametrize("name", NON_IDEALITIES)
def test_without_switches_off_one_thing(name: str, device: str) -> None:
    config = CONFIG.with_values({"device.preset": device})
    changed = without(config, name)
    assert OFF[name](changed)
    assert not OFF[name](config)
    assert [other for other in OFF if other != name and OFF[other](changed)] == []


@pytest.mark.parametrize("name", NON_IDEALITIES)
def test_a_twin_of_a_run_that_lacks_the_non_ideality_is_the_run(name: str) -> None:
    session = Session(without(CONFIG, name))
    session.step()
    mate = twin(session, name)
    for _ in range(3):
        assert session.step().loss == mate.step().loss


@pytest.mark.parametrize("name", NON_IDEALITIES)
def test_a_twin_begins_with_the_runs_state_and_leaves_it_alone(name: str) -> None:
    session, alone = Session(CONFIG), Session(CONFIG)
    for _ in range(3):
        session.step(), alone.step()
    mate = twin(session, name)
    for key, tensor in session._tensors().items():
        assert key.endswith("/core/histogram") or torch.equal(tensor, mate._tensors()[key]), key  # of other converters
    differs = [mate.step().loss != session.step().loss for _ in range(8)]
    assert any(differs)
    for _ in range(8):
        alone.step()
    for key, tensor in alone._tensors().items():
        assert torch.equal(tensor, session._tensors()[key]), key


def test_a_fork_goes_on_as_its_original() -> None:
    session = Session(CONFIG)
    session.step()
    copy = session.fork()
    assert [session.step().loss for _ in range(3)] == [copy.step().loss for _ in range(3)]
    assert (copy.trial, copy.device_time, copy.updates.sets) == (
        session.trial,
        session.device_time,
        session.updates.sets,
    )


def test_a_fork_cannot_change_the_shape_of_the_run() -> None:
    with pytest.raises(RestartRequiredError, match=r"network.hidden: changes only with a new run"):
        Session(CONFIG).fork(CONFIG.with_values({"network.hidden": 21}))


def test_an_unknown_non_ideality_is_named() -> None:
    with pytest.raises(UnknownNameError, match="unknown non-ideality 'gravity'"):
        without(CONFIG, "gravity")


@pytest.mark.parametrize(("scheme", "kind"), [("sign", "float32"), ("adam", "adam"), ("mixed-precision-adam", "adam")])
def test_the_ideal_learns_by_the_same_steps(scheme: str, kind: str) -> None:
    assert isinstance(ideal(CONFIG.with_values({"scheme": scheme})).scheme, SCHEMES[kind])


def test_ideal_weights_are_digital_and_unrounded() -> None:
    config = ideal(CONFIG)
    assert config.scheme.digital
    assert not config.core.enabled
    assert config.precision.weight_bits is None
    assert (config.learning, config.network, config.task) == (CONFIG.learning, CONFIG.network, CONFIG.task)
