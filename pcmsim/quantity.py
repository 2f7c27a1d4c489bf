"""Declare a constant once: default, unit, bounds, meaning, source; validate it everywhere.

From the metadata written here come the checks when a dataclass is built, the tooltips and ranges
of the dashboard's controls, and the tables of constants in the documentation.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

from pcmsim.errors import FieldError
from pcmsim.foundation import confinement
from pcmsim.foundation.texts import READERS, Text, is_nothing


@dataclass(frozen=True)
class Quantity:
    """What is known about one field.

    Parameters
    ----------
    kind : type
        ``float``, ``int``, ``bool`` or ``str``.
    unit : str
        SI-style unit, empty if dimensionless.
    minimum, maximum : float, optional
        Closed bounds.
    above : float, optional
        Open lower bound.
    choices : tuple of str
        Allowed values of a ``str`` field; empty if any text is.
    optional : bool
        Whether ``None`` is allowed.
    doc, source : str
        Meaning, and where the default comes from.
    structural : bool
        Whether a change needs a new run.
    path : callable, optional
        Whether a text names a file or folder, of a ``str`` field that may; see `pcmsim.foundation.confinement`.
    """

    kind: type
    unit: str = ""
    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None
    choices: tuple[str, ...] = ()
    optional: bool = False
    doc: str = ""
    source: str = ""
    structural: bool = False
    path: Callable[[str], bool] | None = None

    @property
    def allowed(self) -> str:
        """What a value must be, in words."""
        words = f"one of {', '.join(self.choices)}" if self.choices else self._range()
        return f"{words} or none" if self.optional else words

    def _range(self) -> str:
        noun = {float: "a finite number", int: "a whole number", bool: "true or false", str: "text"}[self.kind]
        unit = f" {self.unit}" if self.unit else ""
        bounds = [
            f"{word} {bound:g}{unit}"
            for word, bound in ((">", self.above), (">=", self.minimum), ("<=", self.maximum))
            if bound is not None
        ]
        return f"{noun} {' and '.join(bounds)}" if bounds else noun

    def read(self, value: Any) -> Any:
        """What a `Text` means here; anything else as it is, and a text that means nothing as text.

        Examples
        --------
        >>> Quantity(int).read(Text("010")), Quantity(str).read(Text("010"))
        (10, '010')
        >>> Quantity(int, optional=True).read(Text("none")), Quantity(int).read(Text("none"))
        (None, 'none')
        """
        if not isinstance(value, Text):
            return value
        return None if self.optional and is_nothing(value) else READERS[self.kind](value)

    def accepts(self, value: Any) -> bool:
        """Whether `value` may stand in the field."""
        if value is None:
            return self.optional
        if self.kind is bool:
            return isinstance(value, bool)
        if self.kind is str:
            return isinstance(value, str) and (not self.choices or value in self.choices)
        number = Integral if self.kind is int else Real
        return isinstance(value, number) and not isinstance(value, bool) and self._within(value)

    def _within(self, value: Any) -> bool:
        try:
            finite = math.isfinite(value)
        except OverflowError:  # a whole number beyond floating point
            return False
        return (
            finite
            and (self.minimum is None or value >= self.minimum)
            and (self.maximum is None or value <= self.maximum)
            and (self.above is None or value > self.above)
        )


def quantity(default: Any, *, kind: type | None = None, optional: bool = False, **about: Any) -> Any:
    """A dataclass field that knows its unit, bounds and source.

    Parameters
    ----------
    default : object
        Default value; its type is the field's kind unless `kind` is given.
    kind : type, optional
        Needed where the default is ``None``.
    optional : bool
        Whether ``None`` is allowed; it is where it is the default.
    **about
        Fields of `Quantity`.

    Returns
    -------
    dataclasses.Field

    Examples
    --------
    >>> @dataclasses.dataclass(frozen=True)
    ... class Cell:
    ...     g_max: float = quantity(12.0, unit="µS", above=0.0)
    ...     def __post_init__(self):
    ...         check(self)
    >>> Cell(g_max=-1.0)
    Traceback (most recent call last):
        ...
    pcmsim.errors.FieldError: Cell.g_max: must be a finite number > 0 µS, got -1.0
    """
    described = Quantity(kind=kind or type(default), optional=optional or default is None, **about)
    return dataclasses.field(default=default, metadata={"quantity": described})


def measured_factor(doc: str) -> Any:
    """A device model's field for a factor on what the measured device does: 1 leaves it, 0 switches it off."""
    return quantity(1.0, minimum=0.0, maximum=10.0, doc=doc, source="1 is the measured device")


def quantities(owner: Any) -> Mapping[str, Quantity]:
    """The declared quantities of a dataclass or of an instance, by field name."""
    return {f.name: f.metadata["quantity"] for f in dataclasses.fields(owner) if "quantity" in f.metadata}


def check(instance: Any, path: str | None = None) -> None:
    """Validate and normalise every declared quantity of a frozen dataclass instance.

    Parameters
    ----------
    instance : dataclass instance
        Its texts are read, and its numbers converted to plain ``int`` or ``float``.
    path : str, optional
        Name used in the error; the class name by default.

    Raises
    ------
    FieldError
        Naming the field, what is allowed, and what came; also if it names a file that it may not, see
        `pcmsim.foundation.confinement`.
    """
    for name, about in quantities(instance).items():
        value, field = about.read(getattr(instance, name)), f"{path or type(instance).__name__}.{name}"
        if not about.accepts(value):
            raise FieldError(field, about.allowed, value)
        if about.path is not None and about.path(value):
            confinement.check(field, value)
        object.__setattr__(instance, name, None if value is None else about.kind(value))
