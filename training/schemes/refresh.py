"""Refresh of saturated pairs, as a wrapper around any update scheme."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from pcmsim import mapping
from pcmsim.array import ArrayView
from pcmsim.foundation.bounds import State
from pcmsim.plan import Plan, PulsePlan
from pcmsim.quantity import check, quantity
from training.schemes.base import Asked, SchemeState, UpdateScheme, deal, polarity_devices, selection, whole


@dataclass(frozen=True)
class RefreshConfig:
    """When a differential pair is RESET and its difference rewritten.

    Raises
    ------
    FieldError
        If a value lies outside its bounds.
    """

    enabled: bool = quantity(
        False, doc="Refresh saturated pairs at each update", source="off in Demirag 2021's trainer"
    )
    saturation: float = quantity(
        9.0,
        unit="µS",
        above=0.0,
        maximum=200.0,
        doc="A side above this counts as saturated",
        source="Demirag 2021's code: 9 (6 with mixed precision)",
    )
    difference: float = quantity(
        2.25,
        unit="µS",
        above=0.0,
        maximum=200.0,
        doc="Only pairs with a smaller difference are refreshed",
        source="Demirag 2021's code: 2.25, 4.5 (multi-memristor), 1.5 (mixed precision)",
    )

    def __post_init__(self) -> None:
        check(self)


class WithRefresh(UpdateScheme):
    """A scheme whose saturated pairs are RESET and rewritten open-loop before its own pulses.

    Parameters
    ----------
    scheme : UpdateScheme
        The scheme that decides the updates.
    config : RefreshConfig
        When a pair is refreshed.
    """

    def __init__(self, scheme: UpdateScheme, config: RefreshConfig) -> None:
        self.scheme, self.config = scheme, config

    @property
    def ideal(self) -> UpdateScheme:
        """See `UpdateScheme.ideal`: digital weights are never saturated."""
        return self.scheme.ideal

    def init(self, view: ArrayView) -> SchemeState:
        """The scheme's own state and the counters of the next device to rewrite."""
        return {**self.scheme.init(view), **{f"refresh_{k}": v for k, v in selection(view).items()}}

    def bounds(self, view: ArrayView) -> State:
        """See `UpdateScheme.bounds`: the scheme's own, and those of the counters."""
        own = self.scheme.bounds(view)
        return {**own, "refresh_selection": own["selection"]}

    def step(self, asked: Asked, state: SchemeState) -> Asked:
        """See `UpdateScheme.step`: the scheme's own."""
        return self.scheme.step(asked, state)

    def plan(self, asked: Asked, state: SchemeState, *, generator: torch.Generator) -> Plan:
        """See `UpdateScheme.plan`."""
        plan = self.scheme.plan(asked, state, generator=generator)
        if not isinstance(plan, PulsePlan):
            return plan
        view = asked.view
        sides = mapping.over_devices(view.conductance).reshape(2, -1) / view.devices
        difference = sides[0] - sides[1]
        saturated = (sides.amax(0) > self.config.saturation) & (difference.abs() < self.config.difference)
        pairs = saturated.nonzero().squeeze(1)
        return plan if pairs.numel() == 0 else self._rewritten(plan, pairs, difference[pairs], view, state)

    def _rewritten(
        self, plan: PulsePlan, pairs: torch.Tensor, difference: torch.Tensor, view: ArrayView, state: SchemeState
    ) -> PulsePlan:
        pulses = whole(difference * (view.devices / view.step))
        own = {"selection": state["refresh_selection"]} if view.devices > 1 else {}
        rewrite = deal(pairs, pulses, view, own)
        both = [polarity_devices(pairs, torch.full_like(pairs, side), view) for side in (0, 1)]
        resets = torch.unique(torch.cat([plan.reset_devices, *both]))
        devices, place = torch.unique(torch.cat([rewrite.set_devices, plan.set_devices]), return_inverse=True)
        counts = torch.zeros_like(devices).index_add_(0, place, torch.cat([rewrite.set_counts, plan.set_counts]))
        return PulsePlan.build(devices, counts, resets)
