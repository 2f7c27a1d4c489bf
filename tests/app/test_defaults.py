"""Defaults that are looked up are those that Bokeh works out."""

from __future__ import annotations

import pytest
from bokeh.core.has_props import HasProps
from bokeh.core.property.descriptors import PropertyDescriptor
from bokeh.document import Document
from bokeh.model import Model
from bokeh.models import Range1d
from bokeh.themes import Theme

from app import defaults, theme
from app.views import activity


@pytest.fixture
def looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    for owner, name in ((PropertyDescriptor, "_get_default"), (PropertyDescriptor, "has_unstable_default")):
        monkeypatch.setattr(owner, name, getattr(owner, name))
    monkeypatch.setattr(HasProps, "themed_values", HasProps.themed_values)
    defaults.install()


def models() -> list[Model]:
    """All models of two plots of the page."""
    figures = activity.build(theme.palette(dark=False)).figures.values()
    return [model for plot in figures for model in plot.references()]


@pytest.mark.usefixtures("looked_up")
def test_every_default_of_every_model_is_the_same() -> None:
    compared = 0
    for model in models():
        for name in model.properties() - set(model.properties_with_values(include_defaults=False)):
            descriptor = model.lookup(name)
            if isinstance(descriptor, PropertyDescriptor):
                expected = defaults._original(descriptor, model)
                for _ in range(2):
                    found = defaults._get_default(descriptor, model)
                    assert type(found) is type(expected)
                    if isinstance(expected, defaults.PLAIN):
                        assert found == expected
                        compared += 1
    assert compared > 1000


@pytest.mark.usefixtures("looked_up")
def test_whether_a_model_has_a_default_of_its_own_is_the_same() -> None:
    found = set()
    for model in models():
        for name in sorted(model.properties()):
            descriptor = model.lookup(name)
            if isinstance(descriptor, PropertyDescriptor):
                expected = defaults._original_unstable(descriptor, model)
                assert [descriptor.has_unstable_default(model) for _ in range(2)] == [expected] * 2
                found.add(expected)
    assert found == {True, False}


@pytest.mark.usefixtures("looked_up")
def test_defaults_that_may_change_are_each_models_own() -> None:
    first, second = Range1d(), Range1d()
    first.tags.append("mine")
    assert second.tags == []


@pytest.mark.usefixtures("looked_up")
def test_a_theme_goes_before() -> None:
    assert Range1d(end=2).start == 0
    document = Document()
    document.theme = Theme(json={"attrs": {"Range1d": {"start": -1}}})
    themed = Range1d(end=2)
    document.add_root(themed)
    assert themed.start == -1
    assert Range1d(end=2).start == 0
    document.theme = Theme(json={})
    assert themed.start == 0
