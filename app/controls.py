"""Widgets bound to the settings: each takes its range, unit and tooltip from the library's metadata."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import panel as pn
import panel_material_ui as pmui
from bokeh.models import CustomJSTickFormatter

from app.settings import SETTINGS, Settings, describe
from app.words import Words
from pcmsim.errors import PCMLabError
from pcmsim.foundation.quoting import quoted
from pcmsim.foundation.texts import Text

DEBOUNCE_MS = 5
RESTART, WIDE = "restart", "grid3"

NAMING_TIP = {"components": {"MuiTooltip": {"defaultProps": {"describeChild": False}}}}
"""For buttons without a text: the tooltip names them."""

STYLE = """
:host { --gap: 2px }
.MuiFormLabel-root { font-size: calc(12px * var(--text, 1)) !important;
  line-height: 1.25; display: flex; align-items: center; gap: 4px;
  color: var(--mui-palette-text-secondary); width: 100% }
.MuiFormLabel-root strong { margin-left: auto; color: var(--mui-palette-text-primary); font-weight: 500; order: 3 }
.MuiFormLabel-root svg { margin-left: 0 !important; font-size: calc(12px * var(--text, 1)) !important;
  opacity: .45; order: 2 }
.MuiFormLabel-root svg:hover { opacity: 1 }
.MuiSlider-root { padding: 9px 0 !important; height: 3px }
.MuiSlider-thumb { width: 13px; height: 13px }
.MuiToggleButton-root { font-size: calc(12px * var(--text, 1)) !important;
  line-height: 1.15 !important; padding: 3px 2px !important;
  text-transform: none !important; min-height: 25px; letter-spacing: 0 !important }
:host(.grid3) .MuiToggleButtonGroup-root { display: grid; grid-template-columns: repeat(3, 1fr); gap: 3px }
:host(.grid3) .MuiToggleButton-root { margin: 0; border: 1px solid var(--mui-palette-divider); border-radius: 5px }
.MuiToggleButton-root.Mui-selected { background: var(--mui-palette-primary-main) !important;
  color: var(--mui-palette-primary-contrastText) !important }
.MuiFormControlLabel-label { font-size: calc(12px * var(--text, 1)) !important;
  display: flex; align-items: center; gap: 4px;
  color: var(--mui-palette-text-secondary) }
.MuiFormControlLabel-label svg { margin-left: 0 !important; font-size: calc(12px * var(--text, 1)) !important;
  opacity: .45 }
:host(.restart) .MuiFormLabel-root::after, :host(.restart) .MuiInputLabel-root::after { content: "restart"; order: 2;
  font-size: calc(9px * var(--text, 1));
  line-height: 13px; padding: 0 5px; border-radius: 7px; color: #9a5b00; background: #fff1dc;
  border: 1px solid #f3cf9a; margin-left: 2px }
:host-context(.mui-dark) .MuiFormLabel-root::after { color: #f3c98b; background: #3a2a12; border-color: #6b4d1e }
.MuiInputBase-root { font-size: calc(12px * var(--text, 1)) !important }
.MuiInputBase-input { padding-top: 6px !important; padding-bottom: 6px !important }
"""

METER = """
.words { font-size: calc(12px * var(--text, 1));
  line-height: 1.25; color: var(--run); font-variant-numeric: tabular-nums; min-height: 15px }
"""

PLAIN = "return Math.abs(tick) < 1e-9 ? '0' : String(+tick.toPrecision(3))"
PERCENT = "return (100 * tick).toFixed(0) + ' %'"
FINE_PERCENT = "return +(100 * tick).toFixed(1) + ' %'"
OHM = "return +tick.toPrecision(3) + ' Ω'"
TIMES = "return tick.toFixed(2).replace(/0$/, '') + ' ×'"
POWER = "const v = 10 ** tick; return v < 0.01 ? v.toExponential(1).replace('e-', 'e−') : String(+v.toPrecision(3))"
CELLS = "const v = 10 ** tick; return String(+v.toPrecision(3)) + ' cells'"
POWER_TIMES = "const v = 10 ** tick; return String(+v.toPrecision(2)) + ' ×'"
POWER_SECONDS = """
const s = 10 ** tick
if (s < 60) return String(+s.toPrecision(3)) + ' s'
if (s < 3600) return String(+(s / 60).toPrecision(3)) + ' min'
if (s < 86400) return String(+(s / 3600).toPrecision(3)) + ' h'
return String(+(s / 86400).toPrecision(3)) + ' d'
"""


def responsive(widget: Any) -> Any:
    """Let a widget's changes reach Python after 5 instead of 50 ms."""
    widget._debounce = DEBOUNCE_MS
    return widget


class Picker:
    """A drop-down list that follows what happens elsewhere; only what a person picks is acted on.

    Parameters
    ----------
    widget : panel_material_ui.Select
        The list.
    act : callable
        Gets what was picked.
    """

    def __init__(self, widget: Any, act: Callable[[Any], None]) -> None:
        self._widget, self._act, self._shown = responsive(widget), act, widget.value
        widget.param.watch(self._moved, "value")

    def show(self, value: Any, **look: Any) -> None:
        """Show `value`, and whatever else of the list changes with it."""
        self._shown = value
        self._widget.param.update(value=value, **look)

    def _moved(self, change: Any) -> None:
        """A browser may send what the list does not offer, or no longer: that is nobody's choice."""
        if change.new != self._shown and change.new in self._widget.values:
            self._shown = change.new
            self._act(change.new)


class Controls:
    """All widgets of the sidebar.

    Parameters
    ----------
    settings : Settings
        What they show and change.
    complain : callable
        Gets one sentence for the person when a value cannot be taken.
    """

    def __init__(self, settings: Settings, complain: Callable[[str], None]) -> None:
        self._settings, self._complain = settings, complain
        self.widgets: dict[str, Any] = {}
        self.meters: dict[str, Words] = {}

    def metered(self, name: str, widget: Any) -> list[Any]:
        """A widget with a line below that says what its setting does right now."""
        self.meters[name] = Words(html="", sizing_mode="stretch_width", margin=(0, 0, 3, 0), stylesheets=[METER])
        return [widget, self.meters[name]]

    def show(self, lines: Mapping[str, str]) -> None:
        """Fill the lines of `metered` widgets."""
        for name, meter in self.meters.items():
            if name in lines:
                meter.show(lines[name])

    def slider(self, name: str, label: str, step: float, text: str = PLAIN) -> Any:
        """A slider over the setting's typical range; it grows to a value beyond."""
        whole = isinstance(step, int)
        widget = (pmui.IntSlider if whole else pmui.FloatSlider)(step=step, **_look(name, label, text))
        return self._slide(name, widget, lambda value: value, int if whole else float)

    def log_slider(self, name: str, label: str, text: str = POWER) -> Any:
        """A slider over the logarithm of the setting's typical range, a hundred steps per two decades."""
        least, _ = self._range(name)

        def show(value: float) -> float:
            return math.log10(value if value > 0.0 else least)  # Zero has no place of its own.

        widget = pmui.FloatSlider(step=0.02, **_look(name, label, text))
        return self._slide(name, widget, show, lambda exponent: float(f"{10.0**exponent:.4g}"))

    def choice(self, name: str, label: str, options: dict[str, Any], classes: Sequence[str] = ()) -> Any:
        """A row of buttons; a value that no button has leaves all of them up."""
        look = {**_look(name, label), "css_classes": [*classes, *_classes(name)]}
        labels = {value: text for text, value in options.items()}
        shown = labels.get(self._value(name))
        widget = pmui.RadioButtonGroup(options=list(options), value=shown, size="small", **look)
        return self._bind(name, widget, labels.get, options.__getitem__)

    def select(self, name: str, label: str, options: dict[str, Any]) -> Any:
        """A drop-down list."""
        look = {**_look(name, label), "margin": (9, 0, 3, 0)}
        widget = pmui.Select(options=options, value=self._value(name), size="small", **look)
        return self._bind(name, widget)

    def switch(self, name: str, label: str) -> Any:
        """On or off."""
        widget = pmui.Switch(value=self._value(name), size="small", **_look(name, label))
        return self._bind(name, widget)

    def integer(self, name: str, label: str) -> Any:
        """A whole number, typed."""
        look = {**_look(name, label), "margin": (9, 0, 3, 0)}
        widget = pmui.TextInput(value=str(self._value(name)), size="small", **look)
        return self._bind(name, widget, str, lambda text: _typed(name, text))

    def number(self, name: str, label: str) -> Any:
        """A number, typed in the unit that the page shows."""
        look, unit = {**_look(name, label), "margin": (9, 0, 3, 0)}, SETTINGS[name].scale

        def show(value: float) -> str:
            return f"{value / unit:.6g}"

        widget = pmui.TextInput(value=show(self._value(name)), size="small", **look)
        return self._bind(name, widget, show, lambda text: _typed(name, text) * unit)

    def _value(self, name: str) -> Any:
        return getattr(self._settings, name)

    def _range(self, name: str) -> tuple[float, float]:
        parameter = self._settings.param[name]
        soft = SETTINGS[name].typical if name in SETTINGS else None
        low, high = soft or parameter.bounds
        return low, high

    def _slide(self, name: str, widget: Any, show: Callable[[Any], Any], read: Callable[[Any], Any]) -> Any:
        """Have a slider cover the setting's range, and whatever value it is given."""
        low, high = map(show, self._range(name))
        widget.param.update(start=low, end=high)

        def grow(*_: Any) -> None:
            value = show(self._value(name))
            widget.param.update(start=min(widget.start, value), end=max(widget.end, value))

        grow()
        widget.value = show(self._value(name))
        self._settings.param.watch(grow, name)
        return self._bind(name, widget, show, read)

    def _bind(
        self, name: str, widget: Any, show: Callable[[Any], Any] = lambda v: v, read: Callable[[Any], Any] = lambda v: v
    ) -> Any:
        """Keep a setting and its widget equal; a value that cannot be taken is named, and the widget goes back."""
        structural = name in SETTINGS and SETTINGS[name].about.structural
        event = "value_throttled" if structural and "value_throttled" in widget.param else "value"

        def moved(change: Any) -> None:
            if change.new is None or change.new == show(self._value(name)):
                return
            try:
                setattr(self._settings, name, read(change.new))
            except PCMLabError as error:
                self._complain(str(error))
            except ValueError:
                self._complain(f"{widget.label}: {quoted(change.new)} is not {SETTINGS[name].shown.allowed}.")
            follow()

        def follow(*_: Any) -> None:
            if widget.value != show(self._value(name)):
                widget.value = show(self._value(name))

        widget.param.watch(moved, event)
        self._settings.param.watch(follow, name)
        self.widgets[name] = responsive(widget)
        return widget


def _typed(name: str, text: str) -> Any:
    """The number that a text is for a setting.

    Raises
    ------
    ValueError
        If it is none.
    """
    value = SETTINGS[name].about.read(Text(text))
    if isinstance(value, str):
        raise ValueError(value)
    return value


def _look(name: str, label: str, text: str | None = None) -> dict[str, Any]:
    formatter = {} if text is None else {"format": CustomJSTickFormatter(code=text), "size": "small"}
    return {
        "label": label,
        "description": describe(name),
        "sizing_mode": "stretch_width",
        "margin": (1, 0),
        "css_classes": _classes(name),
        "stylesheets": [STYLE],
        **formatter,
    }


def _classes(name: str) -> list[str]:
    return [RESTART] if name in SETTINGS and SETTINGS[name].about.structural else []


def heading(text: str) -> pn.viewable.Viewable:
    """A section title of the sidebar."""
    return pn.pane.HTML(f"<h2>{text}</h2>", margin=(6, 0, 0, 0), sizing_mode="stretch_width", stylesheets=[HEADING])


def note(text: str) -> pn.viewable.Viewable:
    """A quiet paragraph of the sidebar, `text` as HTML."""
    look = {
        "font-size": "calc(12px * var(--text, 1))",
        "color": "var(--panel-on-secondary-color)",
        "line-height": "1.4",
    }
    return pn.pane.HTML(f"<p>{text}</p>", sizing_mode="stretch_width", margin=(4, 0), styles=look)


HEADING = "h2 { font-size: calc(13px * var(--text, 1)); font-weight: 700; margin: 0 0 1px; letter-spacing: .01em }"
