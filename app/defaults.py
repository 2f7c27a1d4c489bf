"""Default values of Bokeh's models, worked out once.

Bokeh 3.9 copies, validates and transforms a default each time that somebody asks for it. A page of
500 models asks 40 000 times while it is built, which is a third of the time that it takes.
"""

from __future__ import annotations

from typing import Any

from bokeh.core.has_props import HasProps
from bokeh.core.property.descriptors import PropertyDescriptor

PLAIN = (str, int, float, bool, type(None))
"""Kinds of values that nobody can change: one may stand for all."""

_original = PropertyDescriptor._get_default
_known: dict[tuple[type[HasProps], str], Any] = {}


def _get_default(descriptor: PropertyDescriptor[Any], model: HasProps) -> Any:
    """A model's default of one property; what a theme says goes before."""
    themed = model.themed_values()
    if themed is not None and descriptor.name in themed:
        return _original(descriptor, model)
    key = type(model), descriptor.name
    if key in _known:
        return _known[key]
    value = _original(descriptor, model)
    if isinstance(value, PLAIN) and not descriptor.has_unstable_default(model):
        _known[key] = value
    return value


def install() -> None:
    """Have defaults looked up in this process; once is enough."""
    PropertyDescriptor._get_default = _get_default
