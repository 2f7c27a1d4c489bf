"""A crossbar of differential PCM pairs: the devices' state and everything done to it."""

from __future__ import annotations

import copy
import math

import numpy as np
import numpy.typing as npt
import torch

from pcmsim import mapping
from pcmsim.array import ArrayView, DeviceReads, WeightArray, WeightReads, check_gain
from pcmsim.counter import draw_key, normal
from pcmsim.errors import FieldError
from pcmsim.foundation.bounds import NOT_NEGATIVE, State
from pcmsim.foundation.compiled import njit
from pcmsim.foundation.tensors import SINGLE, WHOLE, usual_numerics
from pcmsim.ledger import Ledger
from pcmsim.mismatch import Spread
from pcmsim.model import DeviceModel, Indices, Noise, Programmable
from pcmsim.plan import Plan, PulsePlan

EVENT_BITS = 16


class Crossbar(WeightArray):
    """Differential pairs of PCM devices behind ``pre`` rows and ``post`` columns.

    Parameters
    ----------
    shape : tuple of int
        ``pre, post``.
    model : DeviceModel
        The devices; may be replaced by one of the same family while the crossbar lives.
    devices : int
        Devices per polarity.
    scale : float
        Conductance that stands for weight 1 [µS].
    initial_conductance : float
        Mean conductance of every device at device time 0 [µS].
    generator : torch.Generator
        Stream of the initial programming.
    spread : Spread
        Fixed device-to-device pattern.
    """

    @usual_numerics()
    def __init__(
        self,
        shape: tuple[int, int],
        model: DeviceModel,
        *,
        devices: int,
        scale: float,
        initial_conductance: float,
        generator: torch.Generator,
        spread: Spread | None = None,
    ) -> None:
        self.shape, self.model, self.devices, self.scale = shape, model, devices, scale
        self.spread = spread or Spread()
        full = (2, devices, *shape)
        noise = _noise(torch.arange(math.prod(full), **WHOLE).view(full), draw_key(generator))
        self.state = model.initial(torch.full(full, initial_conductance, **SINGLE), 0.0, noise)
        self.ledger = Ledger.empty(full)

    @property
    def largest_exponent(self) -> float:
        """See `DeviceModel.largest_exponent`."""
        return self.model.largest_exponent

    @property
    def noisy(self) -> bool:
        """See `DeviceModel.noisy`."""
        return self.model.noisy

    @property
    def full_weight(self) -> float:
        """See `WeightArray.full_weight`."""
        return self.model.g_max / self.scale

    @property
    def reads_per_spike(self) -> int:
        """Devices of a row."""
        return 2 * self.devices * self.shape[1]

    @property
    def total_reads(self) -> int:
        """See `Ledger.total_reads`."""
        return self.ledger.total_reads

    def moments(self, now: float) -> WeightReads:
        """Mean and variance of every effective weight at device time `now` [s]."""
        mean, variance = self.model.read(self.state, self.spread, now).moments()
        kept = None if self.core is None else self.core.kept(mean)
        if kept is not None:
            mean, variance = mean * kept, None if variance is None else variance * kept**2
        reads = WeightReads(
            mapping.weights(mean, self.scale),
            None if variance is None else mapping.weight_variance(variance, self.scale),
            mapping.row_conductance(mean),
        )
        return reads.times(self.factor)

    def device_reads(self, now: float) -> DeviceReads | None:
        """Read distribution of every device at `now` [s], in units of weight."""
        read = self.model.read(self.state, self.spread, now)
        if read.scale is None:
            return None
        unit = 1.0 / (self.scale * self.devices)
        mean = read.moments()[0]
        kept = None if self.core is None else self.core.kept(mean)
        upper = torch.as_tensor(read.upper, **SINGLE) * unit
        return DeviceReads(
            read.location * unit,
            read.scale * unit,
            read.lower * unit,
            upper.broadcast_to(read.location.shape),
            self.factor,
            kept,
            mapping.row_conductance(mean if kept is None else mean * kept),
        )

    def conductance(self, now: float) -> torch.Tensor:
        """Drifted, noise-free conductances at `now` [s]: ``sign, device, pre, post`` [µS]."""
        return self.model.read(self.state, self.spread, now).location

    def stored_weights(self) -> torch.Tensor:
        """Weights of the stored conductances, without drift and read noise."""
        return mapping.weights(self.state.conductance, self.scale)

    def drift_gain(self, since: float, now: float) -> float:
        """Gain of global drift compensation: total conductance at `since` [s] over that at `now` [s].

        A chip measures both with a calibration read of the whole array, averaged until the read noise
        is gone; here they are the noise-free sums over all devices, before reads are clipped. Joshi et
        al., Nat. Commun. 11, 2473 (2020), doi:10.1038/s41467-020-16108-9. 1 if nothing conducts.
        """
        then, present = (float(self.conductance(time).sum(dtype=torch.float64)) for time in (since, now))
        return then / present if present > 0.0 else 1.0

    def column_gains(self, since: float, now: float) -> torch.Tensor:
        """The same for the devices of each column by themselves: ``post``, float32."""
        then, present = (self.conductance(time).sum((0, 1, 2), dtype=torch.float64) for time in (since, now))
        return torch.where(present > 0.0, then / present, 1.0).float()

    def rescaled(self, gain: float | torch.Tensor) -> Crossbar:
        """A view for reading of the same devices, its weights and their read noise multiplied by `gain`.

        Devices and ledger are shared, not copied. The gain, one number or ``post``, acts after the read, so it
        lifts the noise too; on cores it acts after the converters.

        Raises
        ------
        FieldError
            If `gain` is not a finite number > 0.
        """
        check_gain(gain)
        view = copy.copy(self)
        if self.core is not None:
            view.core = self.core.amplified(gain)
        elif isinstance(gain, torch.Tensor):
            view.factor = gain.expand(self.shape) * (1.0 if self.factor is None else self.factor)
        else:
            view.scale = self.scale / gain
        return view

    def view(self) -> ArrayView:
        """What an update scheme may know."""
        return ArrayView(self.shape, self.devices, self.scale, self.model.nominal_step, self.state.conductance)

    def apply(self, plan: Plan, now: float, *, generator: torch.Generator) -> None:
        """RESET, then SET the devices of a plan, at device time `now` [s]."""
        if not isinstance(plan, PulsePlan):
            raise TypeError(f"a crossbar takes a PulsePlan, got {type(plan).__name__}")
        if plan.empty:
            return
        reset_key, set_key = draw_key(generator), draw_key(generator)
        if plan.reset_devices.numel():
            self._reset(plan.reset_devices, now, reset_key)
        if plan.set_devices.numel():
            self._set(plan.set_devices, plan.set_counts, now, set_key)
        self.ledger.count(plan.set_devices, plan.set_counts, plan.reset_devices)

    def write(self, target: torch.Tensor, now: float, *, generator: torch.Generator) -> None:
        """Program every device to a target and verify it, at device time `now` [s].

        A device's programming counts as one SET; where the target is 0, as one RESET.

        Parameters
        ----------
        target : torch.Tensor
            ``sign, device, pre, post`` [µS]; a device cannot be asked for more than it can conduct.
        now : float
            Device time [s].
        generator : torch.Generator
            Stream of the programming's errors.

        Raises
        ------
        FieldError
            If such devices cannot be programmed to a target.
        """
        if not isinstance(self.model, Programmable):
            raise FieldError("model", "one that is programmed to a target, as hermes is", type(self.model).__name__)
        places = torch.arange(target.numel(), **WHOLE).view(target.shape)
        reachable = target.minimum(torch.as_tensor(self.model.g_max * self.spread.g_max, **SINGLE))
        self.state.put(places, self.model.programmed(reachable, now, _noise(places, draw_key(generator)), self.devices))
        on = places[target > 0.0]
        self.ledger.count(on, torch.ones_like(on), places[target <= 0.0])

    def count_reads(self, spikes_per_row: torch.Tensor, conductance: float) -> None:
        """A spike reads each device of its row once."""
        self.ledger.read(spikes_per_row, conductance)

    def youngest_age(self, now: float) -> float:
        """Time since the latest write of any device [s]."""
        return now - float(self.state.written_at.numpy().max()) if self.largest_exponent > 0.0 else math.inf

    def tensors(self) -> dict[str, torch.Tensor]:
        """Device state and event counts."""
        return {**dict(self.state.items()), **vars(self.ledger)}

    def bounds(self, now: float) -> State:
        """See `WeightArray.bounds`: nothing was written after now, and no event counts less than none."""
        counted = dict.fromkeys(vars(self.ledger), NOT_NEGATIVE)
        return {**self.state.bounds(self.model.g_max, now), **counted}

    def _reset(self, devices: torch.Tensor, now: float, key: int) -> None:
        cells = self.state.take(devices)
        self.state.put(devices, self.model.reset(cells, now, _noise(devices, key)))

    def _set(self, devices: torch.Tensor, counts: torch.Tensor, now: float, key: int) -> None:
        cells, spread = self.state.take(devices), self.spread.take(devices)
        self.state.put(devices, self.model.set_pulses(cells, counts, spread, now, _noise(devices, key)))


def _noise(devices: torch.Tensor, key: int) -> Noise:
    """Standard normals addressed by device and event, so that other devices' pulses change nothing."""
    places = devices.numpy().reshape(-1)
    return lambda k: torch.from_numpy(_event_normals(key, places, k).reshape(devices.shape))


@njit(nogil=True)
def _event_normals(key: int, devices: Indices, k: int) -> npt.NDArray[np.float32]:
    """The normal number of each device's k-th event."""
    drawn = np.empty(devices.size, np.float32)
    for i in range(devices.size):
        drawn[i] = normal(key, (devices[i] << EVENT_BITS) + k)
    return drawn
