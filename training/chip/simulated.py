"""A chip in this process: the simulated weight arrays and their cores, behind the calls of the protocol."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import torch

from pcmsim.array import WeightArray
from pcmsim.errors import FieldError
from pcmsim.plan import Plan, PulsePlan
from pcmsim.streams import Streams
from training import kernels, memory
from training.chip import checks
from training.chip.base import DETERMINISTIC, TIMELESS, Chip, ChipInfo, LayerInfo, LayerRead
from training.config import RunConfig
from training.network import LAYERS, row_reads
from training.neurons import Floats
from training.spikes import Spikes


class SimulatedChip(Chip):
    """The chip that a configuration describes, at device time 0.

    Parameters
    ----------
    config : RunConfig
        Devices, cores, shapes and seed; a run of the same configuration gets the numbers of the compiled loop.
    cores : int
        Cores that it has.

    Raises
    ------
    FieldError
        If the configuration has no cores, or needs more than there are.
    """

    def __init__(self, config: RunConfig, cores: int = 64) -> None:
        if not config.core.enabled:
            raise FieldError("CoreConfig.enabled", "true for a chip, whose sums pass through converters", False)
        streams = Streams(config.seed)
        arrays = memory.build(config, config.task.sampler(config.network.dt, streams=streams), streams=streams)
        memory.configure(arrays, config, streams=streams)
        self._arrays: dict[str, WeightArray] = dict(zip(LAYERS, arrays, strict=True))
        self._read_mode, self._clock = config.device.read_mode, 0.0
        self._reads: dict[str, tuple[float, kernels.RowReads]] = {}
        self._info = ChipInfo(
            layers={name: _layer_info(array) for name, array in self._arrays.items()},
            capabilities=(DETERMINISTIC, TIMELESS),
            name="simulated",
            kind="weights" if config.scheme.digital else "pulses",
            core_rows=config.core.rows,
            core_columns=config.core.columns,
            cores=cores,
        )
        needed = sum(math.prod(array.core.tiles) for array in arrays if array.core)
        if needed > cores:
            raise FieldError(
                "cores", f"at most the chip's {cores} of {config.core.rows} x {config.core.columns}", needed
            )

    def info(self) -> ChipInfo:
        """See `Chip.info`."""
        return self._info

    def program(self, layer: str, plan: Plan, now: float, key: int, number: int) -> int:
        """See `Chip.program`."""
        checks.plan(self._info, layer, plan)
        checks.moment("now", now)
        checks.whole("key", key)
        if checks.whole("number", number, 1, self._info.number + 1) <= self._info.number:
            return self._info.number
        checks.later(now, self._clock)
        self._arrays[layer].apply(plan, now, generator=torch.Generator("cpu").manual_seed(key))
        self._reads.pop(layer, None)
        self._clock = now
        self._note(layer, plan, now, number)
        return number

    def mvm(self, layer: str, rows: Spikes, first: int, now: float, key: int) -> Floats:
        """See `Chip.mvm`."""
        checks.rows(self._info, layer, rows, first)
        reads = self._present(layer, checks.moment("now", now))._replace(key=checks.whole("key", key))
        sums = np.zeros((rows.steps, reads.core.gain.shape[0], self._info.layers[layer].columns))
        kernels.partial_sums(reads, rows, first, sums)
        return sums

    def read(self, layer: str, now: float) -> LayerRead:
        """See `Chip.read`."""
        checks.layer(self._info, layer)
        array = self._arrays[layer]
        shown, mean = memory.layer_snapshot(array, checks.moment("now", now)), array.moments(now).mean
        conductance = array.view().conductance
        stored = conductance if conductance.numel() else array.stored_weights()
        return LayerRead(
            mean.numpy().copy(), shown.variance, stored.numpy().copy(),
            shown.conductance, shown.age, shown.sets, shown.resets,
        )  # fmt: skip

    def clock(self) -> float:
        """See `Chip.clock`."""
        return self._clock

    def wait(self, until: float) -> float:
        """See `Chip.wait`: simulated time passes at once."""
        self._clock = max(self._clock, checks.moment("until", until))
        return self._clock

    def _present(self, layer: str, now: float) -> kernels.RowReads:
        """How an array reads at `now` [s]; worked out once for all calls of that time."""
        if layer not in self._reads or self._reads[layer][0] != now:
            self._reads[layer] = now, row_reads(self._arrays[layer], now, self._read_mode, 0, np.float32)
        return self._reads[layer][1]

    def _note(self, layer: str, plan: Plan, now: float, number: int) -> None:
        wrote = isinstance(plan, PulsePlan) and not plan.empty
        changed = {layer: replace(self._info.layers[layer], written_at=now)} if wrote else {}
        self._info = replace(self._info, layers={**self._info.layers, **changed}, number=number)


def _layer_info(array: WeightArray) -> LayerInfo:
    view = array.view()
    return LayerInfo(
        *array.shape, view.devices, view.scale, view.step, array.full_weight, array.largest_exponent, array.random
    )
