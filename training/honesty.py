"""How close e-prop's gradient is to the true one, of backpropagation through time.

E-prop drops the paths through recurrent spikes and the reset, and sends errors back through whatever
feedback there is (Bellec et al., Nat. Commun. 11:3625, 2020). Autograd keeps all paths. Both are asked
about one trial, on one and the same activity, for the loss ``1/2 sum (y - y*)^2``. The rate
regularisation, the clipping and the rounding of gradients are left out on either side.

Backpropagation sees the neurons as they are; e-prop assumes the constants that its settings say.
Weights are differentiated at their mean read, the noise of a read counts as given. Where the session
draws noise at every device, the mean and the variance of those reads stand for them. On cores, sums pass through
the converters as they do in the run; derivatives pass straight through, as if the converters were exact.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch

from pcmsim.foundation.tensors import DOUBLE, usual_numerics
from training import eprop, spikes, torch_loop
from training.config import LearningConfig
from training.eprop import Gradients
from training.kernels import RowReads, partial_sums
from training.network import LAYERS, Arrays, Network, ReadNoise, row_reads, stretches
from training.neurons import Dynamics, Floats
from training.objectives import Objective, Sample
from training.session import Session
from training.spikes import Spikes
from training.torch_loop import Receiver, State, TorchReads, last, simulate

Compared = Callable[[torch.Tensor, torch.Tensor], float]


@dataclass(frozen=True)
class Question:
    """All that an answer needs, apart from the session: it may go on meanwhile.

    Parameters
    ----------
    trial : int
        The trial that is asked about.
    start : float
        Device time at its first step [s].
    sample : Sample
        Its input and target.
    objective : Objective
        How the answer is judged.
    arrays : Arrays
        A copy of the weights.
    network : Network
        The neurons.
    exact : Dynamics
        Their constants in double precision.
    noise : ReadNoise
        The trial's read noise, in double precision.
    learning : LearningConfig
        E-prop's settings.
    feedback : numpy.ndarray
        A copy of the present feedback, ``output, hidden``.
    """

    trial: int
    start: float
    sample: Sample
    objective: Objective
    arrays: Arrays
    network: Network
    exact: Dynamics
    noise: ReadNoise
    learning: LearningConfig
    feedback: Floats


@dataclass(frozen=True)
class Honesty:
    """E-prop's gradient of the loss beside that of backpropagation through time, by layer.

    Parameters
    ----------
    trial : int
        The trial that both were asked about.
    cosine : dict of str to float
        Cosine of the angle between e-prop's gradient, with the session's feedback, and the true one.
    symmetric : dict of str to float
        The same with the output weights as feedback.
    ratio : dict of str to float
        Length of e-prop's gradient over that of the true one.
    loss : float
        The trial's loss: half the summed squared error, or the cross-entropy.

    Notes
    -----
    Cosine and ratio are 0 where a gradient is zero, and where backpropagation overflows.
    """

    trial: int
    cosine: dict[str, float]
    symmetric: dict[str, float]
    ratio: dict[str, float]
    loss: float


def compare(session: Session) -> Honesty:
    """E-prop beside backpropagation on the trial that the session would train next; nothing changes.

    Examples
    --------
    >>> from training.config import RunConfig
    >>> session = Session(RunConfig().with_values({"network.hidden": 20, "task.duration": 0.1}))
    >>> round(compare(session).cosine["output"], 6)
    1.0
    """
    return answer(prepare(session))


@usual_numerics()
def prepare(session: Session) -> Question:
    """Copy what an answer needs; quick, and to be called where the session is stepped.

    The weights are those at the start of the trial, also where updates come within it.
    """
    config, sampler = session.config, session.sampler
    silent = session.dropped()
    exact = Network(config.network, sampler.outputs, streams=session.streams, dtype=np.float64).silenced(silent)
    shape = (sampler.steps, config.network.hidden, sampler.outputs)
    return Question(
        trial=session.trial,
        start=session.device_time + config.device.update_interval - config.task.duration,
        sample=sampler.sample(session.trial),
        objective=sampler.objective,
        arrays=copy.deepcopy(session.arrays),
        network=session.network.silenced(silent),
        exact=exact.dynamics,
        noise=ReadNoise.draw(shape, session.trial, streams=session.streams, dtype=np.float64),
        learning=config.learning,
        feedback=session.present_feedback().copy(),
    )


@usual_numerics()
def answer(question: Question) -> Honesty:
    """Compute both gradients and compare them; slow, and free to run in any thread."""
    with torch.enable_grad():
        loss, true, series = _backpropagated(question)
    straight = question.arrays.output.stored_weights().numpy().T
    mine, mirrored = (_eprop(question, series, feedback) for feedback in (question.feedback, straight))
    return Honesty(
        trial=question.trial,
        cosine=_by_layer(_cosine, mine, true),
        symmetric=_by_layer(_cosine, mirrored, true),
        ratio=_by_layer(_ratio, mine, true),
        loss=loss,
    )


def _backpropagated(question: Question) -> tuple[float, Gradients, State]:
    """Loss, its true gradients, and the activity.

    The gradient is taken by a shift that all stretches of the trial share, as an update acts on all.
    """
    shifts = [torch.zeros(array.shape, **DOUBLE, requires_grad=True) for array in question.arrays]
    series = _forward(question, shifts)
    loss = question.objective.total(series.output, question.sample)
    g_in, g_rec, g_out = torch.autograd.grad(loss, shifts)
    return loss.item(), (g_in, g_rec.fill_diagonal_(0.0), g_out), State(*(values.detach() for values in series))


def _forward(question: Question, shifts: list[torch.Tensor]) -> State:
    raster = torch.from_numpy(spikes.to_raster(question.sample.inputs, question.arrays.input.shape[0])).double()
    steps, dt = raster.shape[0], question.network.config.dt
    start, parts = None, []
    for begin, end, moment in stretches(question.arrays, question.start, dt, 0, steps):
        hidden, output = (torch.from_numpy(part) for part in question.noise.between(begin, end))
        reads = _reads(question, moment, shifts)
        part = simulate(question.exact, reads, raster[begin:end], (hidden, output), start=start, first_step=begin)
        start = last(part)
        parts.append(part)
    return State(*(torch.cat(series) for series in zip(*parts, strict=True)))


def _reads(question: Question, moment: float, shifts: list[torch.Tensor]) -> tuple[Receiver, Receiver, Receiver]:
    w_in, w_rec, w_out = (
        _receiver(row_reads(array, moment, "output", key, np.float64), shift)
        for array, key, shift in zip(question.arrays, question.noise.keys, shifts, strict=True)
    )
    return w_in, w_rec, w_out


def _receiver(rows: RowReads, shift: torch.Tensor) -> Receiver:
    reads = TorchReads(rows)
    reads.mean = reads.mean + shift
    return _Converted(rows, reads) if rows.core.gain.size else reads


class _Converted:
    """Rows on cores: what the compiled loop makes of them, with the derivative of sums that are exact."""

    def __init__(self, rows: RowReads, exact: TorchReads) -> None:
        self._rows, self._exact = rows, exact

    def receive(self, spikes: torch.Tensor, time: int) -> tuple[torch.Tensor, torch.Tensor]:
        """See `Receiver.receive`; the noise is in the conversion."""
        exact, _ = self._exact.receive(spikes, time)
        active = spikes.detach().numpy().nonzero()[0].astype(np.int32)
        sums = np.zeros((1, len(self._rows.core.gain), exact.numel()))
        partial_sums(self._rows, Spikes(np.array([0, active.size]), active), time, sums)
        return exact + (torch.from_numpy(sums[0].sum(0)) - exact).detach(), torch.zeros_like(exact)


def _eprop(question: Question, series: State, feedback: Floats) -> Gradients:
    """E-prop's gradients of the loss alone, as a session computes them."""
    network, learning = question.network, replace(question.learning, rate_strength=0.0)
    activity = torch_loop.activity(question.exact, series, network.dtype)
    error = question.objective.error(series.output.numpy(), question.sample)
    driving = eprop.signals(learning, feedback, error, activity, network.config.dt)
    assumed, fan_in = network.assumed(learning.eligibility), question.arrays.input.shape[0]
    return eprop.trial_gradients(assumed, driving, activity, question.sample.inputs, fan_in)


def _by_layer(compared: Compared, mine: Gradients, true: Gradients) -> dict[str, float]:
    return {
        layer: compared(ours.double().flatten(), theirs.flatten())
        for layer, ours, theirs in zip(LAYERS, mine, true, strict=True)
    }


def _cosine(mine: torch.Tensor, true: torch.Tensor) -> float:
    return float(_unit(mine) @ _unit(true))


def _ratio(mine: torch.Tensor, true: torch.Tensor) -> float:
    length = float(true.norm())
    return float(mine.norm()) / length if 0.0 < length < math.inf else 0.0


def _unit(gradient: torch.Tensor) -> torch.Tensor:
    """The gradient at length 1; zero if its length is none or beyond floating point."""
    length = float(gradient.norm())
    return gradient / length if 0.0 < length < math.inf else torch.zeros_like(gradient)
