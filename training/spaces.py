"""Where tuning looks: the fields of each scheme and their ranges, the same number for all.

The ranges hold the published values and reach at least a decade to either side where a field can
make a run fail or stand still. Every scheme may tune seven fields.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import optuna

from pcmsim.errors import FieldError, PCMLabError
from pcmsim.foundation.quoting import quoted
from pcmsim.foundation.texts import Text, number
from pcmsim.registry import Registry


@dataclass(frozen=True)
class Between:
    """Numbers from a lowest to a highest one, both included; whole ones where both ends are.

    Parameters
    ----------
    low, high : float
        The ends.
    log : bool
        Whether ratios count in place of differences.

    Raises
    ------
    FieldError
        If the ends are no such pair.

    Examples
    --------
    >>> Between(3, 8).holds(5), Between(1e-5, 1e-2, log=True).holds(1.0)
    (True, False)
    """

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        if not all(isinstance(end, int | float) and not isinstance(end, bool) for end in (self.low, self.high)):
            raise FieldError("Between", "two numbers", (self.low, self.high))
        if not self.low < self.high:
            raise FieldError("Between.high", f"above low, {self.low:g}", self.high)
        if self.log and self.low <= 0:
            raise FieldError("Between.low", "above 0 where ratios count", self.low)

    @property
    def ends(self) -> tuple[Any, ...]:
        """Values that must be allowed if all are."""
        return self.low, self.high

    def typed(self, read: Callable[[Any], Any]) -> Between:
        """With every end as a field reads it; numbers are numbers already."""
        return self

    def holds(self, value: Any) -> bool:
        """Whether a value lies inside."""
        return isinstance(value, int | float) and self.low <= value <= self.high

    def suggested(self, trial: optuna.Trial, name: str) -> Any:
        """The value that a study tries next."""
        if isinstance(self.low, int) and isinstance(self.high, int):
            return trial.suggest_int(name, self.low, self.high, log=self.log)
        return trial.suggest_float(name, self.low, self.high, log=self.log)

    def __str__(self) -> str:
        return f"{self.low:g}:{self.high:g}{':log' if self.log else ''}"


@dataclass(frozen=True)
class Among:
    """One of a few values without an order.

    Parameters
    ----------
    choices : tuple
        The values.

    Raises
    ------
    FieldError
        If there are fewer than two.
    """

    choices: tuple[Any, ...]

    def __post_init__(self) -> None:
        if len(self.choices) < 2:
            raise FieldError("Among.choices", "two values or more", list(self.choices))

    @property
    def ends(self) -> tuple[Any, ...]:
        """Values that must be allowed if all are."""
        return self.choices

    def typed(self, read: Callable[[Any], Any]) -> Among:
        """With every choice as a field reads it."""
        return Among(tuple(map(read, self.choices)))

    def holds(self, value: Any) -> bool:
        """Whether a value is one of them."""
        return value in self.choices

    def suggested(self, trial: optuna.Trial, name: str) -> Any:
        """The value that a study tries next."""
        return trial.suggest_categorical(name, self.choices)

    def __str__(self) -> str:
        return ",".join(map(str, self.choices))


Range = Between | Among
Space = Mapping[str, Range]


def range_of(text: str) -> Range:
    """A range from text: ``1e-5:1e-2:log``, ``3:8`` or ``a,b,c``.

    Raises
    ------
    PCMLabError
        If the text is none.

    Examples
    --------
    >>> range_of("1e-5:1e-2:log")
    Between(low=1e-05, high=0.01, log=True)
    >>> range_of("synapse,global").choices
    ('synapse', 'global')
    """
    if ":" not in text:
        return Among(tuple(map(Text, text.split(","))))
    low, high, *scale = text.split(":")
    if scale not in ([], ["log"]):
        raise _no_range(text)
    return Between(_number(low, text), _number(high, text), bool(scale))


def _number(part: str, text: str) -> float:
    end = number(part)
    if isinstance(end, str):
        raise _no_range(text)
    return end


def _no_range(text: str) -> PCMLabError:
    return PCMLabError(f"must be LOW:HIGH, LOW:HIGH:log or A,B,C, got {quoted(text)}")


SPACES: Registry[Space] = Registry("update scheme with devices")

RATES: Space = {
    "learning.lr_input": Between(1e-5, 1e-1, log=True),
    "learning.lr_recurrent": Between(1e-5, 1e-1, log=True),
    "learning.lr_output": Between(1e-6, 1e-1, log=True),
}
"""From below the published settings to where a whole pulse follows from a gradient of 1 or less."""

COMMON: Space = {
    "learning.rate_strength": Between(1e-5, 1e-1, log=True),
    "network.threshold": Between(0.03, 1.0, log=True),
    "device.scale": Between(3.0, 300.0, log=True),
}
"""What decides the firing, and what one pulse is worth."""

REFRESH: Space = {"refresh.enabled": Among((False, True))}

for _gathering in ("mixed-precision", "mixed-precision-adam"):
    SPACES.register(_gathering)({**RATES, **COMMON, "precision.weight_bits": Among((None, 3, 4, 5, 6))})
# Only the ratio of learning rate and probability scale counts: the rates alone are tuned.
SPACES.register("stochastic")({**RATES, **COMMON, **REFRESH})
SPACES.register("multi-memristor")({**RATES, **COMMON, **REFRESH})
SPACES.register("update-ready")({**RATES, **COMMON, "scheme.headroom": Between(3.0, 12.0)})
# The learning rates do not matter here; the feedback's gain decides what hidden weights get against output weights.
SPACES.register("sign")(
    {
        "scheme.threshold": Between(1e-2, 1e2, log=True),
        "learning.feedback_gain": Between(1e-2, 3.0, log=True),
        "device.initial_conductance": Between(0.1, 5.0, log=True),
        **COMMON,
        **REFRESH,
    }
)
