"""Trained weights onto differential pairs: targets, one programming of every device, what went wrong.

A positive weight stands on its G+ devices, a negative one on its G- devices, the others at 0. Weights beyond
the range saturate. Joshi et al., Nat. Commun. 11, 2473 (2020), doi:10.1038/s41467-020-16108-9.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from pcmsim.crossbar import Crossbar
from pcmsim.digital import quantise
from pcmsim.errors import FieldError
from pcmsim.quantity import Quantity

WEIGHT_BITS = Quantity(int, minimum=2, maximum=8, optional=True, doc="Bits of a target weight and its sign")
ROUNDING = 1e-6
"""Share by which a weight may exceed the full scale without counting as saturated."""


@dataclass(frozen=True)
class Programming:
    """How well an array was programmed.

    Parameters
    ----------
    target : torch.Tensor
        Weights that were asked for, rounded and within the range: ``pre, post``.
    error : float
        Root mean square of what was written less what was asked for, as a share of the full scale.
    saturated : int
        Weights beyond the range.
    """

    target: torch.Tensor
    error: float
    saturated: int


def program(
    array: Crossbar, weights: torch.Tensor, now: float, *, bits: int | None = None, generator: torch.Generator
) -> Programming:
    """Program an array to trained weights.

    Parameters
    ----------
    array : Crossbar
        Every device of it is written, and counted in its ledger.
    weights : torch.Tensor
        ``pre, post``; those beyond ``array.full_weight`` saturate.
    now : float
        Device time [s].
    bits : int, optional
        2 to 8: targets are rounded to the nearest of ``2**bits`` steps from end to end of the range.
    generator : torch.Generator
        Stream of the programming's errors.

    Returns
    -------
    Programming

    Raises
    ------
    FieldError
        If the weights have another shape or are not finite, the bits lie outside 2 to 8, or such devices
        cannot be programmed to a target; nothing has changed then.

    Examples
    --------
    >>> from pcmsim.closed_loop import ClosedLoopModel
    >>> exact = ClosedLoopModel(write_noise=0.0)
    >>> array = Crossbar(
    ...     (2, 2), exact, devices=2, scale=12.5, initial_conductance=0.0, generator=torch.Generator()
    ... )
    >>> done = program(array, torch.tensor([[0.5, -1.0], [2.0, 3.0]]), 0.0, generator=torch.Generator())
    >>> array.stored_weights().tolist(), done.saturated
    ([[0.5, -1.0], [2.0, 2.0]], 1)
    """
    _check(array, weights, bits)
    full = array.full_weight
    target = quantise(weights.float(), bits, full).clamp(-full, full)
    conductance = (torch.stack([target, -target]) * array.scale).clamp(min=0.0)
    array.write(conductance[:, None].repeat(1, array.devices, 1, 1), now, generator=generator)
    error = (array.stored_weights() - target).double().square().mean().sqrt() / full
    return Programming(target, float(error), int((weights.abs() > full * (1.0 + ROUNDING)).sum()))


def _check(array: Crossbar, weights: torch.Tensor, bits: int | None) -> None:
    if not WEIGHT_BITS.accepts(bits):
        raise FieldError("bits", WEIGHT_BITS.allowed, bits)
    if weights.shape != array.shape:
        raise FieldError("weights", f"a tensor of shape {array.shape}", tuple(weights.shape))
    if not bool(weights.isfinite().all()):
        raise FieldError("weights", "finite numbers", "others")
