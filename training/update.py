"""From gradients to written weights: the scheme plans, the arrays carry out, a watch may look on."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import numpy as np
import torch

from pcmsim.array import WeightArray
from pcmsim.foundation.bounds import State
from pcmsim.foundation.compiled import njit
from pcmsim.plan import Plan, PulsePlan
from pcmsim.streams import Streams
from training.config import RunConfig
from training.eprop import Gradients
from training.network import LAYERS, Arrays
from training.neurons import Floats
from training.schemes import SchemeState, UpdateScheme, WithRefresh
from training.schemes.base import Asked
from training.watch import LayerWatch, Update

Watch = dict[str, LayerWatch]


def limit(gradient: torch.Tensor, clip: float) -> torch.Tensor:
    """A gradient clipped to `clip` either side, 0 where it is not a number.

    Examples
    --------
    >>> limit(torch.tensor([0.5, -3.0, torch.inf, torch.nan]), 2.0).tolist()
    [0.5, -2.0, 2.0, 0.0]
    """
    limited = _limited(gradient.numpy().reshape(-1), clip)
    return torch.from_numpy(limited.reshape(gradient.shape))


@njit(nogil=True)
def _limited(gradient: Floats, clip: float) -> Floats:
    most, zero = gradient.dtype.type(clip), gradient.dtype.type(0.0)
    limited = np.empty_like(gradient)
    for i in range(gradient.size):
        value = gradient[i]
        limited[i] = zero if np.isnan(value) else min(max(value, -most), most)
    return limited


class Updater:
    """Updates the weights of a run.

    Parameters
    ----------
    arrays : Arrays
        The weights.
    feedback : torch.Tensor
        ``output, hidden``; moves with the output weights where feedback is adaptive.
    config : RunConfig
        Learning rates, scheme, precision.
    streams : Streams
        Source of the schemes' and the devices' randomness.

    Attributes
    ----------
    state : dict of str to SchemeState
        What the scheme remembers of each layer.
    sets, resets : int
        SET pulses and RESETs so far.
    watch : dict of str to LayerWatch, or None
        Looks on, by layer; see `observe`.
    """

    def __init__(self, arrays: Arrays, feedback: torch.Tensor, config: RunConfig, *, streams: Streams) -> None:
        self._arrays, self._feedback, self._streams = arrays, feedback, streams
        self.sets, self.resets = 0, 0
        self.watch: Watch | None = None
        self._adopt(config)
        self.state = self._fresh()

    def configure(self, config: RunConfig) -> None:
        """Follow a changed configuration; a changed scheme starts with nothing remembered."""
        old = self._config
        self._adopt(config)
        if config.scheme != old.scheme or config.refresh != old.refresh:
            self.state = self._fresh()

    def observe(self) -> Watch:
        """Begin to watch what updates ask for and what the devices make of it; the run stays the same."""
        if self.watch is None:
            self.watch = {layer: LayerWatch(array.shape) for layer, array in zip(LAYERS, self._arrays, strict=True)}
        return self.watch

    def apply(self, gradients: Gradients, now: float, trial: int, number: int = 0) -> tuple[int, int]:
        """Have the scheme turn gradients into plans and the arrays carry them out.

        Parameters
        ----------
        gradients : tuple of torch.Tensor
            Of input, recurrent and output weights, ``pre, post`` each.
        now : float
            Device time [s].
        trial, number : int
            Trial, and which update of it.

        Returns
        -------
        tuple of int
            SET pulses and RESETs of this update.
        """
        rates = self._config.learning.rates(trial)
        sets = resets = 0
        for layer, array, gradient, lr in zip(LAYERS, self._arrays, gradients, rates, strict=True):
            asked = self._asked(layer, array, gradient, lr)
            plan = self._plan(layer, asked, (trial, number))
            with self._watching(layer, array, plan, asked, (now, trial)):
                array.apply(plan, now, generator=self._streams.at(f"write/{layer}", trial, number))
            if isinstance(plan, PulsePlan):
                sets, resets = sets + plan.sets, resets + plan.resets
        self.sets, self.resets = self.sets + sets, self.resets + resets
        return sets, resets

    def bounds(self, array: WeightArray) -> State:
        """What the state of an array's layer may hold."""
        return self._scheme.bounds(array.view())

    def _adopt(self, config: RunConfig) -> None:
        self._config = config
        self._scheme: UpdateScheme = config.scheme
        if config.refresh.enabled and not config.scheme.digital:
            self._scheme = WithRefresh(config.scheme, config.refresh)

    def _fresh(self) -> dict[str, SchemeState]:
        return {layer: self._scheme.init(array.view()) for layer, array in zip(LAYERS, self._arrays, strict=True)}

    def _asked(self, layer: str, array: WeightArray, gradient: torch.Tensor, lr: float) -> Asked:
        """The optimiser's step of the gradient, clipped and rounded to its precision; adaptive feedback goes along."""
        clip, strength = self._config.learning.gradient_clip, self._config.learning.weight_strength
        if strength > 0.0:
            gradient = gradient + strength * array.stored_weights()
            if layer == "recurrent":
                gradient.fill_diagonal_(0.0)  # a pair that was RESET is not quite 0, and no neuron drives itself
        limited = self._config.precision.round_gradient(limit(gradient, clip))
        step = self._scheme.step(Asked(limited, lr, array.view(), self._config.precision), self.state[layer])
        adapts = layer == "output" and self._config.learning.feedback == "adaptive"
        return self._adapt_feedback(array, step) if adapts else step

    def _plan(self, layer: str, asked: Asked, at: tuple[int, int]) -> Plan:
        return self._scheme.plan(asked, self.state[layer], generator=self._streams.at(f"scheme/{layer}", *at))

    def _adapt_feedback(self, array: WeightArray, step: Asked) -> Asked:
        """Move the feedback by the step of the output weights; both fade, outside the optimiser.

        ``B <- B - lr g^T - decay B`` and ``W <- W - lr g - decay W``, with the optimiser's g and lr (Bellec et al.
        2020, Methods). A learning rate of 0 holds both.
        """
        if step.lr <= 0.0:
            return step
        decay = self._config.learning.feedback_decay
        self._feedback.sub_(step.lr * step.gradient.T + decay * self._feedback)
        return replace(step, gradient=step.gradient + decay * array.stored_weights() / step.lr)

    def _watching(
        self, layer: str, array: WeightArray, plan: Plan, asked: Asked, at: tuple[float, int]
    ) -> contextlib.AbstractContextManager[None]:
        """Around the writing."""
        if self.watch is None:
            return contextlib.nullcontext()
        return self.watch[layer].writing(array, Update(asked.gradient * -asked.lr, plan, *at))
