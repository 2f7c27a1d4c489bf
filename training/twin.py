"""The same run with one non-ideality off, and the same run on ideal weights.

Random numbers are addressed, so a run and its twin meet the same ones: what differs between them is
the effect of that one non-ideality and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pcmsim.quantity import quantities
from pcmsim.registry import Registry
from training.config import RunConfig
from training.neurons import IDEAL_NEURONS
from training.session import Session

Values = Mapping[str, Any]


@dataclass(frozen=True)
class NonIdeality:
    """Something that keeps a run from being ideal, and how to switch it off.

    Parameters
    ----------
    label : str
        What people call it.
    off : callable
        From a configuration to the settings that switch it off.
    """

    label: str
    off: Callable[[RunConfig], Values]


NON_IDEALITIES: Registry[NonIdeality] = Registry("non-ideality")


def _constants(*names: str) -> Callable[[RunConfig], Values]:
    """Switch off the named constants that the device has."""

    def off(config: RunConfig) -> Values:
        known = quantities(config.device.model(None))
        return {f"device.constants.{name}": 0.0 for name in names if name in known}

    return off


def _always(values: Values) -> Callable[[RunConfig], Values]:
    return lambda config: values


_DEVICES = {f"device.mismatch.{name}": 0.0 for name in ("step", "g_max", "drift_exponent", "weight")}
_NEURONS = {f"network.{name}": value for name, value in IDEAL_NEURONS.items()}

for _name, _label, _off in (
    ("write-noise", "Write noise", _constants("write_noise")),
    ("read-noise", "Read noise", _constants("read_noise")),
    ("drift", "Drift", _constants("drift_exponent", "drift_scale")),
    ("device-mismatch", "Device mismatch", _always(_DEVICES)),
    ("neuron-mismatch", "Neuron mismatch", _always(_NEURONS)),
    ("cores", "Cores and converters", _always({"core.enabled": False})),
    ("bits", "Weight rounding", _always({"precision.weight_bits": None})),
):
    NON_IDEALITIES.register(_name)(NonIdeality(_label, _off))


def without(config: RunConfig, name: str) -> RunConfig:
    """The configuration with one non-ideality off.

    Parameters
    ----------
    config : RunConfig
        Any configuration.
    name : str
        Name in `NON_IDEALITIES`.

    Raises
    ------
    UnknownNameError
        If there is no such non-ideality.

    Examples
    --------
    >>> without(RunConfig(), "read-noise").device.model(None).noisy
    False
    """
    return config.with_values(NON_IDEALITIES[name].off(config))


def twin(session: Session, name: str) -> Session:
    """A copy of the run as it stands that goes on without one non-ideality, meeting the same random numbers.

    Raises
    ------
    UnknownNameError
        If there is no such non-ideality.
    """
    return session.fork(without(session.config, name))


def ideal(config: RunConfig) -> RunConfig:
    """The same task, network, seed and learning rates on digital floating-point weights.

    What is set of the devices does not matter to it and is as usual, so that runs that differ in that alone
    have one and the same ideal.
    """
    usual = RunConfig()
    device = replace(usual.device, update_interval=config.device.update_interval)
    digital = config.with_values({"precision.weight_bits": None})
    return replace(
        digital, scheme=config.scheme.ideal, device=device, core=usual.core, refresh=usual.refresh, costs=usual.costs
    )
