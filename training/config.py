"""A run's whole configuration: a tree of frozen dataclasses, as data both ways.

Every field is checked when the tree is built, wherever it comes from: code, a YAML file, the
command line, a checkpoint, a URL, a widget.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, get_type_hints

import yaml

from pcmsim.core import CoreConfig
from pcmsim.energy import CostConfig, as_set
from pcmsim.errors import FieldError
from pcmsim.foundation.documents import read_mapping
from pcmsim.foundation.texts import Text
from pcmsim.mismatch import DeviceMismatch
from pcmsim.model import DeviceModel
from pcmsim.presets import device_model, is_file
from pcmsim.quantity import check, quantities, quantity
from training import codec
from training.neurons import NetworkConfig
from training.precision import PrecisionConfig
from training.schemes import MixedPrecision, RefreshConfig, UpdateScheme
from training.tasks import Pattern, Task

MOST_STEPS = 10**6
"""Time steps of a trial."""


@dataclass(frozen=True)
class LearningConfig:
    """What learns, and how fast.

    Raises
    ------
    FieldError
        If a value lies outside its bounds.
    """

    rule: str = quantity(
        "e-prop",
        choices=("e-prop", "bptt"),
        doc="Learning rule: e-prop, or backpropagation through time with the nominal model's derivatives",
        source="Bellec 2020; Cramer 2022: bptt",
    )
    lr_input: float = quantity(
        2e-5, minimum=0.0, maximum=10.0, doc="Learning rate of the input weights", source="Demirag 2021"
    )
    lr_recurrent: float = quantity(
        5e-5, minimum=0.0, maximum=10.0, doc="Learning rate of the recurrent weights", source="Demirag 2021"
    )
    lr_output: float = quantity(
        2e-5, minimum=0.0, maximum=10.0, doc="Learning rate of the output weights", source="Demirag 2021"
    )
    halving: int = quantity(
        0,
        unit="trials",
        minimum=0,
        maximum=10**9,
        doc="Trials in which all learning rates fall to one half; 0 keeps them",
        source="common practice: exponential decay",
    )
    feedback: str = quantity(
        "random",
        choices=("symmetric", "random", "adaptive"),
        doc="Where the learning signal's weights come from",
        source="Bellec 2020; Demirag 2021: random",
    )
    feedback_gain: float = quantity(
        0.1,
        minimum=0.0,
        maximum=100.0,
        structural=True,
        doc="Random feedback is normal with standard deviation gain * sqrt(2 / hidden)",
        source="Demirag 2021",
    )
    feedback_decay: float = quantity(
        0.0,
        minimum=0.0,
        maximum=1.0,
        doc="Share of adaptive feedback weights that fades at each update",
        source="Bellec 2020: 1e-2 in the TIMIT script",
    )
    rate_strength: float = quantity(
        1e-4,
        unit="1/Hz",
        minimum=0.0,
        maximum=1e4,
        doc="Strength of the firing-rate regularisation",
        source="Demirag 2021",
    )
    rate_target: float = quantity(
        12.0,
        unit="Hz",
        minimum=0.0,
        maximum=1000.0,
        doc="Firing rate that the regularisation aims at",
        source="Demirag 2021",
    )
    rate_trace: str = quantity(
        "filtered",
        choices=("filtered", "unfiltered"),
        doc="Eligibility that the regularisation uses: summed filtered, or averaged unfiltered",
        source="Demirag 2021: filtered; Bellec 2020: unfiltered",
    )
    rate_over: str = quantity(
        "trial",
        choices=("trial", "batch"),
        structural=True,
        doc="Firing rate that the regularisation acts on: that of each trial, or the mean over the batch",
        source="Bellec 2020's evidence script: batch; Demirag 2021: one trial is a batch",
    )
    readout_strength: float = quantity(
        0.0,
        minimum=0.0,
        maximum=1e6,
        doc="Strength of the regularisation of the outputs: half of it times the mean square of their peaks",
        source="Cramer 2022 regularises large outputs; the exact form is ours",
    )
    weight_strength: float = quantity(
        0.0,
        minimum=0.0,
        maximum=1e6,
        doc="Strength of the regularisation of the weights: half of it times the sum of their squares",
        source="Cramer 2022 regularises large weights; the exact form is ours",
    )
    dropout: float = quantity(
        0.0,
        minimum=0.0,
        maximum=0.99,
        doc="Chance that a hidden neuron stays silent in a training trial, drawn anew for each",
        source="Cramer 2022: 0.4 against dead neurons",
    )
    gradient_clip: float = quantity(
        100.0, above=0.0, maximum=1e12, doc="Largest magnitude of a gradient element", source="Demirag 2021"
    )
    eligibility: str = quantity(
        "nominal",
        choices=("nominal", "true"),
        doc="Neuron constants that the eligibility assumes: nominal, or each neuron's own",
        source="Cramer 2022: nominal",
    )
    batch: int = quantity(
        1,
        unit="trials",
        minimum=1,
        maximum=4096,
        structural=True,
        doc="Trials whose gradients are averaged for one update",
        source="Demirag 2021: 1; Bellec 2020: 64 for evidence accumulation",
    )
    update_every: int = quantity(
        0,
        unit="steps",
        minimum=0,
        maximum=10**6,
        doc="0 updates once after each trial; k updates every k steps, with per-synapse traces",
        source="Demirag 2021: after each trial",
    )

    def __post_init__(self) -> None:
        check(self)
        if self.update_every and self.batch > 1:
            raise FieldError("LearningConfig.batch", "1 where weights change inside a trial (update_every)", self.batch)
        whole = self.rule == "bptt" or self.readout_strength > 0.0
        if self.update_every and whole:
            expected = "0 with bptt and with readout_strength, which need the whole trial"
            raise FieldError("LearningConfig.update_every", expected, self.update_every)

    def rates(self, trial: int) -> tuple[float, float, float]:
        """Learning rates of input, recurrent and output weights in a trial: halved every `halving` trials."""
        left = 0.5 ** (trial / self.halving) if self.halving else 1.0
        return self.lr_input * left, self.lr_recurrent * left, self.lr_output * left


@dataclass(frozen=True)
class DeviceConfig:
    """The memory devices, their arrangement and their clock.

    Raises
    ------
    FieldError, UnknownNameError
        If a value lies outside its bounds, or a preset or constant does not exist.
    """

    preset: str = quantity(
        "nandakumar2018",
        structural=True,
        path=is_file,
        doc="Device model, or the path of a JSON or YAML file with constants",
        source="pcmsim.presets",
    )
    constants: Mapping[str, Any] = field(default_factory=dict)
    devices: int = quantity(
        1,
        minimum=1,
        maximum=64,
        structural=True,
        doc="Devices per polarity",
        source="Demirag 2021: 1; Boybat 2018: up to 7",
    )
    scale: float = quantity(
        11.82503,
        unit="µS",
        above=0.0,
        maximum=1e3,
        doc="Conductance that stands for weight 1",
        source="Demirag 2021's published mixed-precision set",
    )
    initial_conductance: float = quantity(
        0.236876,
        unit="µS",
        minimum=0.0,
        maximum=200.0,
        structural=True,
        doc="Mean conductance at the start",
        source="Demirag 2021's published mixed-precision set",
    )
    update_interval: float = quantity(
        38.6,
        unit="s",
        above=0.0,
        maximum=1e8,
        doc="Device time from one update to the next, the trial included",
        source="Demirag 2021",
    )
    read_mode: str = quantity(
        "output",
        choices=("output", "device"),
        doc="Read noise by its closed-form moments at each neuron, or drawn at every device",
        source="both are exact in mean and variance",
    )
    mismatch: DeviceMismatch = field(default_factory=DeviceMismatch)

    def __post_init__(self) -> None:
        check(self)
        model = self.model(None)
        read = {k: getattr(model, k) if isinstance(v, Text) else v for k, v in self.constants.items()}
        object.__setattr__(self, "constants", MappingProxyType(read))

    def __getstate__(self) -> dict[str, Any]:
        """For another process: a view of a mapping cannot travel."""
        return {**self.__dict__, "constants": dict(self.constants)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, constants=MappingProxyType(state["constants"]))

    def model(self, bits: int | None) -> DeviceModel:
        """The device model; `bits` is the precision of the ideal one."""
        return device_model(self.preset, self.constants, bits)


@dataclass(frozen=True)
class RunConfig:
    """Everything that decides a run: the same configuration gives the same run, to the bit.

    Raises
    ------
    FieldError, UnknownNameError
        Naming the field, what is allowed, and what came.

    Examples
    --------
    >>> config = RunConfig.from_dict({"seed": 7, "scheme": "sign"})
    >>> config.scheme
    Sign(threshold=0.9)
    >>> RunConfig.from_dict(config.to_dict()) == config
    True
    """

    seed: int = quantity(
        42, minimum=0, maximum=2**63 - 1, structural=True, doc="Decides every random number", source="Demirag 2021: 42"
    )
    task: Task = field(default_factory=Pattern)
    network: NetworkConfig = field(default_factory=NetworkConfig)
    learning: LearningConfig = field(default_factory=LearningConfig)
    device: DeviceConfig = field(default_factory=DeviceConfig)
    core: CoreConfig = field(default_factory=CoreConfig)
    precision: PrecisionConfig = field(default_factory=PrecisionConfig)
    scheme: UpdateScheme = field(default_factory=MixedPrecision)
    refresh: RefreshConfig = field(default_factory=RefreshConfig)
    costs: CostConfig = field(default_factory=CostConfig)

    def __post_init__(self) -> None:
        check(self)
        if self.device.update_interval < self.task.duration:
            expected = f"at least the trial's duration, {self.task.duration:g} s"
            raise FieldError("DeviceConfig.update_interval", expected, self.device.update_interval)
        if self.task.duration > MOST_STEPS * self.network.dt:
            least = f"at least {self.task.duration / MOST_STEPS:g} s"
            raise FieldError("NetworkConfig.dt", f"{least}, for at most {MOST_STEPS} steps in a trial", self.network.dt)
        if self.core.enabled and self.network.loop != "compiled":
            raise FieldError("NetworkConfig.loop", "compiled where sums pass through cores", self.network.loop)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> RunConfig:
        """Build from nested mappings; fields left out keep their defaults."""
        known = {**data, "costs": as_set(data["costs"])} if isinstance(data, Mapping) and "costs" in data else data
        built: RunConfig = codec.decode(cls, known, "RunConfig")
        return built

    @classmethod
    def from_yaml(cls, path: str | Path) -> RunConfig:
        """Read a YAML or JSON file; raises `FileError` if it cannot be read."""
        return cls.from_dict(read_mapping(path))

    def to_dict(self) -> dict[str, Any]:
        """Nested mappings of plain values; family members carry their ``name``."""
        encoded: dict[str, Any] = codec.encode(self)
        return encoded

    def to_yaml(self) -> str:
        """The configuration as YAML text."""
        return yaml.safe_dump(self.to_dict(), sort_keys=False, allow_unicode=True)

    def with_values(self, values: Mapping[str, Any]) -> RunConfig:
        """A copy with fields replaced by dotted name, such as ``learning.lr_input``, in the order given.

        A scheme or task may be given by name alone, and its fields afterwards.

        Raises
        ------
        UnknownNameError, FieldError
            If a name does not exist or a value is not allowed.
        """
        data, kinds = self.to_dict(), get_type_hints(RunConfig)
        for name, value in values.items():
            codec.place(data, name, codec.whole(kinds.get(name), value))
        return RunConfig.from_dict(data)


def restart_fields(old: RunConfig, new: RunConfig, held: tuple[str, ...] = ()) -> list[str]:
    """Dotted names of the differing settings that need a new run; those that begin like one of `held` do too."""
    changed = [name for name, structural in _differences(old, new, "") if structural or name.startswith(held)]
    return changed + (["scheme"] if old.scheme.digital != new.scheme.digital else [])


def _differences(old: Any, new: Any, path: str) -> Iterator[tuple[str, bool]]:
    if type(old) is not type(new):
        yield path.rstrip("."), isinstance(old, Task)
        return
    about = quantities(old)
    for f in dataclasses.fields(old):
        before, after = getattr(old, f.name), getattr(new, f.name)
        if dataclasses.is_dataclass(before):
            yield from _differences(before, after, f"{path}{f.name}.")
        elif before != after:
            yield f"{path}{f.name}", f.name in about and about[f.name].structural
