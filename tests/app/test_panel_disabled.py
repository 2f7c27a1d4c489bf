"""What a browser sends for a widget that is disabled is left aside."""

from __future__ import annotations

import operator

import panel as pn
import panel_material_ui as pmui
import pytest
from bokeh.document import Document
from bokeh.events import ButtonClick
from panel.reactive import Syncable

from app.patches import panel_disabled
from app.patches.panel_disabled import unless_disabled

SENT = [{"value": "hostile:1"}, {"disabled": False, "value": "hostile:1"}, {"disabled": False}]
WIDGETS = {
    "text": lambda: pmui.TextInput(value="", disabled=True),
    "list": lambda: pmui.Select(options=["", "hostile:1"], value="", disabled=True),
    "plain": lambda: pn.widgets.TextInput(value="", disabled=True),
}


@pytest.mark.parametrize("sent", SENT)
@pytest.mark.parametrize("kind", WIDGETS)
def test_a_disabled_widget_takes_no_value_and_stays_disabled(kind: str, sent: dict[str, object]) -> None:
    widget = WIDGETS[kind]()
    unless_disabled(type(widget)._process_events)(widget, dict(sent))
    assert (widget.value, widget.disabled) == ("", True)


@pytest.mark.parametrize("kind", WIDGETS)
def test_panel_alone_would_take_it(kind: str) -> None:
    """Panel's own way refuses it now: `app.patches.panel_disabled` is no longer needed."""
    widget = WIDGETS[kind]()
    getattr(Syncable._process_events, "__wrapped__", Syncable._process_events)(widget, {"value": "hostile:1"})
    assert widget.value == "hostile:1"


@pytest.mark.parametrize("kind", WIDGETS)
def test_an_enabled_widget_takes_what_it_is_sent(kind: str) -> None:
    widget = WIDGETS[kind]()
    widget.disabled = False
    unless_disabled(type(widget)._process_events)(widget, {"value": "hostile:1"})
    assert widget.value == "hostile:1"


@pytest.mark.parametrize(("disabled", "clicks"), [(True, 0), (False, 1)])
def test_a_disabled_button_is_not_clicked(disabled: bool, clicks: int) -> None:
    button = pn.widgets.Button(name="Stop", disabled=disabled)
    unless_disabled(Syncable._server_event)(button, Document(), ButtonClick(model=None))
    assert button.clicks == clicks


def test_both_ways_are_guarded_where_pages_are_served(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_process_events", "_server_event"):
        monkeypatch.setattr(Syncable, name, getattr(Syncable, name))
    panel_disabled.install()
    button = pn.widgets.Button(name="Stop", disabled=True)
    operator.methodcaller("_server_event", Document(), ButtonClick(model=None))(button)
    assert button.clicks == 0
