"""Default values of Bokeh's models, worked out once.

Bokeh 3.9 copies, validates and transforms a default each time that somebody asks for it, works out anew whether
each model needs a default of its own, and looks for a theme's values where there are none by way of an error. A
page of 500 models asks 40 000 times while it is built, which is almost half of the time that it takes.
"""

from __future__ import annotations

from typing import Any

from bokeh.core.has_props import HasProps
from bokeh.core.property.descriptors import PropertyDescriptor

PLAIN = (str, int, float, bool, type(None))
"""Kinds of values that nobody can change: one may stand for all."""

Key = tuple[type[HasProps], str]
"""A class of models and the name of a property."""

_original, _original_unstable = PropertyDescriptor._get_default, PropertyDescriptor.has_unstable_default
_known: dict[Key, Any] = {}
_unstable: dict[Key, bool] = {}


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


def _has_unstable_default(descriptor: PropertyDescriptor[Any], model: HasProps) -> bool:
    """Whether each model has a default of its own; what decides it belongs to the class."""
    key = type(model), descriptor.name
    if key not in _unstable:
        _unstable[key] = _original_unstable(descriptor, model)
    return _unstable[key]


def _themed_values(model: HasProps) -> dict[str, Any] | None:
    """What a theme says of this model."""
    return vars(model).get("__themed_values__")


def install() -> None:
    """Have defaults looked up in this process; once is enough."""
    PropertyDescriptor._get_default = _get_default
    PropertyDescriptor.has_unstable_default = _has_unstable_default
    HasProps.themed_values = _themed_values
