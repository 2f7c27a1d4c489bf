"""E-prop beside backpropagation: against a hand-written adjoint, closed limits, and an undisturbed session."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
import torch

from pcmsim.crossbar import Crossbar
from training import spikes
from training.config import RunConfig
from training.honesty import Honesty, answer, compare, prepare
from training.network import LAYERS, ReadNoise, stretches
from training.presets import MIXED
from training.session import Session

pytestmark = pytest.mark.usefixtures("one_thread")

SMALL: dict[str, Any] = {
    **MIXED,
    "network.hidden": 12,
    "network.threshold": 0.08,
    "task.inputs": 8,
    "task.duration": 0.15,
    "task.rate": 150.0,
    "learning.lr_input": 5e-3,
    "learning.lr_recurrent": 5e-3,
}
DIGITAL = {"scheme": "float32", "precision.weight_bits": None, "network.initial_gain": 0.4}


def lively(trials: int = 0, **values: Any) -> Session:
    """A session whose hidden neurons spike and drive each other."""
    session = Session(RunConfig().with_values({**SMALL, **values}))
    for number, array in enumerate(session.arrays):
        if isinstance(array, Crossbar):
            g = array.state.conductance
            g += (1.5 - number % 2) * torch.rand(g.shape, generator=torch.Generator().manual_seed(number))
    list(session.run(trials))
    return session


class Reference:
    """The next trial of a session in float64, every formula written out once more, step by step and neuron by neuron.

    One stretch of the trial after the other has its own weights; gradients are by the weight of any time.
    """

    def __init__(self, session: Session) -> None:
        config = session.config
        network, hidden = config.network, config.network.hidden
        sample = session.sampler.sample(session.trial)
        start = session.device_time + config.device.update_interval - config.task.duration
        noise = ReadNoise.draw((sample.inputs.steps, hidden, 1), session.trial, streams=session.streams)
        cell, self.gamma = session.network.dynamics.cell, network.dampening
        self.alpha, self.threshold = cell.alpha.astype(float), cell.threshold.astype(float)
        self.kappa = session.network.dynamics.out.kappa.astype(float)
        self.nominal = np.exp(-network.dt / network.tau_membrane), np.exp(-network.dt / network.tau_readout)
        self.nominal_threshold = network.threshold
        self.x = spikes.to_raster(sample.inputs, session.sampler.inputs).astype(float)
        self.weights = []
        for first, last, moment in stretches(session.arrays, start, network.dt, 0, sample.inputs.steps):
            reads = [array.moments(moment) for array in session.arrays]
            mean = [read.mean.numpy().astype(float) for read in reads]
            none = [np.zeros_like(values) for values in mean]
            variance = none if reads[0].variance is None else [read.variance.numpy().astype(float) for read in reads]
            self.weights += [(mean, variance)] * (last - first)
        self._forward(noise, sample.target)

    def _forward(self, noise: ReadNoise, target: np.ndarray) -> None:
        v, z, y = np.zeros_like(self.alpha), np.zeros_like(self.alpha), np.zeros_like(self.kappa)
        self.v, self.z, outputs = [], [], []
        for t, ((w_in, w_rec, w_out), (n_in, n_rec, n_out)) in enumerate(self.weights):
            jitter = np.sqrt(self.x[t] @ n_in + z @ n_rec) * noise.hidden[t]
            v = self.alpha * v + self.x[t] @ w_in + z @ w_rec + jitter - self.threshold * z
            z = (v > self.threshold).astype(float)
            y = self.kappa * y + z @ w_out + np.sqrt(z @ n_out) * noise.output[t]
            self.v.append(v), self.z.append(z), outputs.append(y)
        self.error = np.array(outputs) - target
        self.before = np.array([np.zeros_like(z), *self.z[:-1]])

    def _slope(self, t: int, threshold: np.ndarray | float) -> np.ndarray:
        return self.gamma * np.maximum(0.0, 1.0 - np.abs(self.v[t] - threshold) / threshold)

    def through_time(self) -> list[np.ndarray]:
        """The adjoint, backwards: ``dE/dv[t]`` gathers readout, later spikes, later voltage and reset."""
        gradients = [np.zeros_like(w) for w in self.weights[0][0]]
        by_v, by_y = np.zeros_like(self.alpha), np.zeros_like(self.kappa)
        for t in reversed(range(len(self.x))):
            later = self.weights[t + 1][0][1] if t + 1 < len(self.x) else np.zeros_like(gradients[1])
            by_y = self.error[t] + self.kappa * by_y
            by_z = self.weights[t][0][2] @ by_y + later @ by_v - self.threshold * by_v
            by_v = self.alpha * by_v + self._slope(t, self.threshold) * by_z
            outers = zip((self.x[t], self.before[t], self.z[t]), (by_v, by_v, by_y), strict=True)
            gradients = [g + np.outer(before, after) for g, (before, after) in zip(gradients, outers, strict=True)]
        np.fill_diagonal(gradients[1], 0.0)
        return gradients

    def eprop(self, feedback: np.ndarray) -> list[np.ndarray]:
        """Forwards, one eligibility trace per synapse, with the nominal constants."""
        (alpha, kappa), gradients = self.nominal, [np.zeros_like(w) for w in self.weights[0][0]]
        pre = [np.zeros(len(w)) for w in gradients]
        traces = [np.zeros_like(w) for w in gradients[:2]]
        for t in range(len(self.x)):
            signal = self.error[t] @ feedback
            for k, arrived in enumerate((self.x[t], self.before[t])):
                pre[k] = alpha * pre[k] + arrived
                traces[k] = kappa * traces[k] + np.outer(pre[k], self._slope(t, self.nominal_threshold))
                gradients[k] += traces[k] * signal
            pre[2] = kappa * pre[2] + self.z[t]
            gradients[2] += np.outer(pre[2], self.error[t])
        np.fill_diagonal(gradients[1], 0.0)
        return gradients


CORES: dict[str, Any] = {"core.enabled": True, "core.rows": 5}


@pytest.mark.parametrize("bits", [2, 4, None])
def test_on_cores_both_are_asked_about_the_activity_of_the_run(bits: int | None) -> None:
    """Through converters the trial that is asked about is the one that comes; without them it would be another."""
    session = lively(2, **CORES, **{"core.adc_bits": bits, "core.adc_range": 0.5})
    found, steps = compare(session), session.sampler.steps
    record = session.step()
    assert record.hidden.neuron.size > 0
    assert found.loss == pytest.approx(record.loss * steps / 2, rel=1e-4)


def test_exact_converters_leave_the_gradients_as_they_are() -> None:
    exact = {"core.adc_bits": None, "core.mvm_noise": 0.0, "core.gain_spread": 0.0, "core.offset_spread": 0.0}
    quiet = {"device.constants.read_noise": 0.0, "core.calibration": 0}
    plain, cored = (compare(lively(0, **quiet, **more)) for more in ({}, {**CORES, **exact}))
    assert cored.loss == pytest.approx(plain.loss)
    assert cored.cosine == pytest.approx(plain.cosine)
    assert cored.ratio == pytest.approx(plain.ratio)


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float((a * b).sum() / (np.linalg.norm(a) * np.linalg.norm(b)))


REFERENCED: list[dict[str, Any]] = [
    {},
    DIGITAL,
    {"device.update_interval": 0.15},
    {"network.tau_mismatch": 0.2, "network.threshold_mismatch": 0.2},
    {"learning.feedback": "adaptive"},
    {"learning.feedback": "symmetric"},
    {"device.preset": "joshi2020", "device.scale": 10.0},
]


@pytest.mark.parametrize("values", REFERENCED)
def test_both_gradients_are_those_of_an_independent_computation(values: dict[str, Any]) -> None:
    session = lively(2, **values)
    told, reference = compare(session), Reference(session)
    true, mine = reference.through_time(), reference.eprop(session.present_feedback().astype(float))
    mirrored = reference.eprop(session.arrays.output.stored_weights().numpy().T.astype(float))
    assert told.trial == 2
    assert sum(z.sum() for z in reference.z) > 20
    assert told.loss == pytest.approx(0.5 * (reference.error**2).sum(), rel=1e-5)
    for k, layer in enumerate(LAYERS):
        assert told.cosine[layer] == pytest.approx(cosine(mine[k], true[k]), abs=1e-4)
        assert told.symmetric[layer] == pytest.approx(cosine(mirrored[k], true[k]), abs=1e-4)
        assert told.ratio[layer] == pytest.approx(np.linalg.norm(mine[k]) / np.linalg.norm(true[k]), rel=1e-4)
    assert min(abs(told.cosine[layer]) for layer in ("input", "recurrent")) < 0.9999


def test_a_trial_right_after_the_update_is_cut_into_stretches() -> None:
    """What makes the third row above a test of drift within the trial."""
    session = lively(2, **REFERENCED[2])
    assert len(stretches(session.arrays, session.device_time, 1e-3, 0, 150)) > 2


@pytest.mark.parametrize("values", [{}, DIGITAL, {"network.threshold": 0.03}, {"learning.feedback": "symmetric"}])
def test_output_weights_get_the_true_gradient(values: dict[str, Any]) -> None:
    """No error passes through anything on its way to them; with or without recurrent weights."""
    session = lively(1, **values)
    told = [compare(session)]
    for tensor in session.arrays.recurrent.tensors().values():
        tensor.zero_()
    told.append(compare(session))
    for one in told:
        assert one.cosine["output"] == pytest.approx(1.0, abs=1e-5)
        assert one.ratio["output"] == pytest.approx(1.0, abs=1e-5)


def feed_forward(feedback: float) -> Session:
    """No recurrent weights, and a pseudo-derivative so low that the reset carries no gradient."""
    session = lively(**DIGITAL, **{"network.dampening": 1e-4})
    session.arrays.recurrent.tensors()["weights"].zero_()
    session.feedback.copy_(feedback * session.arrays.output.stored_weights().T)
    return session


@pytest.mark.parametrize("factor", [1.0, 3.0, -2.0])
def test_without_recurrence_eprop_is_backpropagation(factor: float) -> None:
    """Up to the feedback's factor: its sign turns the gradient round, its size stretches it."""
    told = compare(feed_forward(factor))
    for layer in ("input", "recurrent"):
        assert told.cosine[layer] == pytest.approx(np.sign(factor), abs=1e-5)
        assert told.symmetric[layer] == pytest.approx(1.0, abs=1e-5)
        assert told.ratio[layer] == pytest.approx(abs(factor), rel=1e-3)


def test_symmetric_feedback_is_closer_to_the_truth_than_random() -> None:
    told = [compare(lively(**DIGITAL, seed=seed)) for seed in range(6)]
    for layer in ("input", "recurrent"):
        random, symmetric = (np.mean([one[layer] for one in of]) for of in _cosines(told))
        assert symmetric > 0.5
        assert symmetric > random + 0.3


def _cosines(told: list[Honesty]) -> tuple[list[dict[str, float]], list[dict[str, float]]]:
    return [one.cosine for one in told], [one.symmetric for one in told]


def test_a_gradient_that_is_zero_has_no_direction() -> None:
    """Nothing spikes and no slope lets an error through: 0, not NaN."""
    told = compare(lively(**{"network.threshold": 500.0, "network.dampening": 0.0}))
    nothing = dict.fromkeys(LAYERS, 0.0)
    assert told.cosine == told.symmetric == told.ratio == nothing
    assert told.loss > 0.0


def test_a_gradient_that_overflows_has_no_direction() -> None:
    """Each step multiplies the adjoint by hundreds, although nothing spikes: beyond floating point after 150."""
    session = lively(**DIGITAL, **{"network.threshold": 50.0, "network.dampening": 10.0})
    session.arrays.recurrent.tensors()["weights"].fill_(1e4)
    session.arrays.input.tensors()["weights"].fill_(0.05)
    told = compare(session)
    assert told.cosine == told.symmetric == told.ratio == dict.fromkeys(LAYERS, 0.0)
    assert told.loss > 0.0


@pytest.mark.parametrize(
    "values", [{}, DIGITAL, {"learning.update_every": 50}, {"learning.feedback": "adaptive"}, {"network.loop": "torch"}]
)
def test_asking_changes_nothing(values: dict[str, Any]) -> None:
    asked, alone = lively(**values), lively(**values)
    for _ in range(3):
        compare(asked)
        mine, theirs = asked.step(), alone.step()
        assert {**mine.scalars(), "seconds": 0} == {**theirs.scalars(), "seconds": 0}
        np.testing.assert_array_equal(mine.voltage, theirs.voltage)
    for (name, tensor), other in zip(asked._tensors().items(), alone._tensors().values(), strict=True):
        assert torch.equal(tensor, other), name


@pytest.mark.parametrize("values", [{}, DIGITAL, {"learning.feedback": "adaptive"}])
def test_the_session_may_go_on_while_another_thread_answers(values: dict[str, Any]) -> None:
    session, heard = lively(1, **values), []
    now, question = compare(session), prepare(session)
    thread = threading.Thread(target=lambda: heard.append(answer(question)))
    list(session.run(2))
    session.configure(session.config.with_values({"network.threshold": 0.02, "learning.feedback": "symmetric"}))
    thread.start()
    list(session.run(5))
    thread.join()
    assert heard == [now]
    assert compare(session) != now


@pytest.mark.parametrize("values", [{}, DIGITAL])
def test_the_trial_is_the_one_that_is_trained_next(values: dict[str, Any]) -> None:
    """Its read noise and drift included: the loss is the record's, as half a sum instead of a mean."""
    session = lively(3, **values)
    told, record = compare(session), session.step()
    assert told.trial == record.trial == 3
    assert told.loss == pytest.approx(0.5 * 150 * record.loss, rel=1e-5)


@pytest.mark.parametrize(
    "values",
    [
        {"learning.rate_strength": 1.0},
        {"learning.gradient_clip": 1e-9},
        {"precision.gradient_bits": 2},
        {"device.read_mode": "device"},
    ],
)
def test_only_the_gradient_of_the_loss_counts(values: dict[str, Any]) -> None:
    """Neither regularisation nor clip, bits or noise per device are part of the comparison."""
    session, changed = lively(), lively(**values)
    assert compare(session) == compare(changed)
