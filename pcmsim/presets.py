"""Named device models, one per source; any constant can be overridden by name."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pcmsim.closed_loop import ClosedLoopModel
from pcmsim.errors import UnknownNameError
from pcmsim.foundation.documents import ENDINGS, read_mapping
from pcmsim.hermes import HermesModel
from pcmsim.model import DeviceModel
from pcmsim.pulse import PulseModel
from pcmsim.quantity import quantities
from pcmsim.registry import Registry

DEFAULT_BITS = 4

DEVICES: Registry[Callable[..., DeviceModel]] = Registry("device preset")


@DEVICES.register("nandakumar2018")
def nandakumar2018(bits: int = DEFAULT_BITS, g_max: float = PulseModel.g_max) -> PulseModel:
    """Blind SET pulses as measured on 10 000 devices; the fit covers no device-to-device spread."""
    return PulseModel(g_max=g_max)


@DEVICES.register("ideal")
def ideal(bits: int = DEFAULT_BITS, g_max: float = PulseModel.g_max) -> PulseModel:
    """Noise-free n-bit device: every SET adds exactly ``g_max / 2**bits``; no drift, no read noise.

    The nominal step follows the number of bits, so that what a scheme asks is what a pulse does.
    Only the initial programming keeps its spread: without it all weights would start at zero.
    What is no memory of any kind has no energy model.
    """
    step = PulseModel(g_max=g_max).g_max / 2**bits
    return PulseModel(
        g_max=g_max,
        step_slope=0.0,
        step_offset=step,
        step_history=0.0,
        nominal_step=step,
        write_noise=0.0,
        reset_spread=0.0,
        drift_exponent=0.0,
        read_noise=0.0,
        costs=None,
    )


@DEVICES.register("joshi2020")
def joshi2020(bits: int = DEFAULT_BITS, g_max: float = ClosedLoopModel.g_max) -> ClosedLoopModel:
    """Program-and-verify statistics of a million devices; says nothing about single blind pulses."""
    return ClosedLoopModel(g_max=g_max, nominal_step=ClosedLoopModel(g_max=g_max).g_max / 2**bits)


@DEVICES.register("hermes")
def hermes(bits: int = DEFAULT_BITS, g_max: float = HermesModel.g_max) -> HermesModel:
    """One device of the 14 nm HERMES chip; its blind pulses are those of older devices, clipped to its range."""
    return HermesModel(g_max=g_max)


def device_model(preset: str, overrides: Mapping[str, Any] | None = None, bits: int | None = None) -> DeviceModel:
    """The device model of a preset, with constants overridden by name.

    Parameters
    ----------
    preset : str
        Name in `DEVICES`, or the path of a JSON or YAML file with a ``preset`` and constants.
    overrides : mapping, optional
        Constants by field name.
    bits : int, optional
        Bits of the ideal device; 4 by default.

    Returns
    -------
    DeviceModel

    Raises
    ------
    UnknownNameError
        If the preset or a constant does not exist.
    FieldError
        If a constant lies outside its bounds.
    FileError
        If the file cannot be read.
    """
    if is_file(preset):
        constants = read_mapping(preset)
        preset = str(constants.pop("preset", "nandakumar2018"))
        overrides = {**constants, **(overrides or {})}
    overrides = dict(overrides or {})
    range_first = {"g_max": overrides["g_max"]} if "g_max" in overrides else {}
    model: Any = DEVICES[preset](DEFAULT_BITS if bits is None else bits, **range_first)
    known = list(quantities(model))
    for name in overrides:
        if name not in known:
            raise UnknownNameError(f"constant of device preset {preset}", name, known)
    changed: DeviceModel = dataclasses.replace(model, **overrides)
    return changed


def is_file(preset: str) -> bool:
    """Whether a device preset is the path of a file, and not a name."""
    return Path(preset).suffix in ENDINGS
