"""Colours, fonts and sizes of the dashboard, in light and dark: the only place that names them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from bokeh.plotting import figure
from bokeh.themes import Theme

from app.oklab import ramp

FONT = "Roboto, Helvetica, Arial, sans-serif"
SMALL_TEXT, LARGE_TEXT = 12, 17
"""Height of the plots' text [px], and for projection."""

OWN = Theme(json={"attrs": {name: {} for name in ("Axis", "Grid", "Legend", "Title", "Plot", "ColorBar")}})
"""Document theme that changes nothing: it tells the page to leave these models' looks to `Palette`."""


@dataclass(frozen=True)
class Palette:
    """The colours of one mode; a colour has one meaning everywhere.

    Parameters
    ----------
    text, muted, grid, line : str
        Labels, quiet labels, grid lines, outlines of cards.
    spikes, inputs : str
        Hidden spikes, and spikes that come from outside.
    plus, minus, zero : str
        G+ and positive weights, G- and negative weights, and nothing.
    run, target : str
        What this run does, and what it should do.
    twin : str
        The run's twin.
    full : str
        The most of a quantity that has no sign.
    surface : str
        What plots lie on.
    ghosts : tuple of str
        Pinned runs, one colour each.
    devices : tuple of str
        Single devices, one colour each.
    text_size : str
        Height of labels, a CSS length in px.
    """

    text: str
    muted: str
    grid: str
    line: str
    spikes: str
    inputs: str
    plus: str
    minus: str
    zero: str
    run: str
    target: str
    twin: str
    full: str
    surface: str
    ghosts: tuple[str, ...]
    devices: tuple[str, ...]
    text_size: str = f"{SMALL_TEXT}px"

    @property
    def pixels(self) -> float:
        """Height of labels [px]."""
        return float(self.text_size.removesuffix("px"))

    @property
    def lanes(self) -> tuple[str, ...]:
        """Lanes of a race, one colour each: eight that can be told apart."""
        return (self.plus, self.minus, self.run, self.twin, *self.ghosts)

    @property
    def diverging(self) -> list[str]:
        """From negative over zero to positive, 255 colours."""
        return [*ramp(self.minus, self.zero, 128)[:-1], *ramp(self.zero, self.plus, 128)]

    @property
    def rising(self) -> list[str]:
        """From nothing to the most of a quantity without sign, 255 colours."""
        return ramp(self.zero, self.full, 255)

    @property
    def rising_plus(self) -> list[str]:
        """As `rising`, for what belongs to G+."""
        return ramp(self.zero, self.plus, 255)

    @property
    def rising_minus(self) -> list[str]:
        """As `rising`, for what belongs to G-."""
        return ramp(self.zero, self.minus, 255)


LIGHT = Palette(
    text="#26323d", muted="#5d6b79", grid="#e6eaee", line="#d9dfe4", spikes="#26323d", inputs="#7b8794",
    plus="#0072b2", minus="#d55e00", zero="#f4f5f6", run="#00805d", target="#8a949e",
    twin="#4b2fa3", full="#2d1b4e", surface="#ffffff", ghosts=("#9c1f6e", "#6b4f00", "#46899c", "#3f1d10"),
    devices=("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#26323d", "#b8a800"),
)  # fmt: skip
DARK = Palette(
    text="#dfe6ec", muted="#9aa8b5", grid="#2b3640", line="#2e3943", spikes="#dfe6ec", inputs="#8c9aa7",
    plus="#4ba9e4", minus="#f28244", zero="#1d2730", run="#2fc79a", target="#8c99a5",
    twin="#906ddc", full="#fff3c4", surface="#182129", ghosts=("#d05cac", "#f8bd22", "#90e4f8", "#a8827c"),
    devices=("#4ba9e4", "#f0b429", "#2fc79a", "#e59cc5", "#8fd0f5", "#f28244", "#dfe6ec", "#f0e442"),
)  # fmt: skip


def palette(dark: bool, large: bool = False) -> Palette:
    """The colours of a mode, with text for a desk or, `large`, for projection.

    Examples
    --------
    >>> palette(dark=False).text_size, palette(dark=True, large=True).text_size
    ('12px', '17px')
    """
    colours = DARK if dark else LIGHT
    return replace(colours, text_size=f"{LARGE_TEXT}px") if large else colours


MUI: dict[str, Any] = {
    mode: {
        "palette": {
            "primary": {"main": colours.plus, "contrastText": "#ffffff" if mode == "light" else "#0d141b"},
            "background": {"default": background, "paper": paper},
            "text": {"primary": colours.text, "secondary": colours.muted},
        },
        "typography": {"fontSize": 12},
        "shape": {"borderRadius": 6},
        # A tooltip's text as a title: as a label, it would name elements that have no role.
        "components": {"MuiTooltip": {"defaultProps": {"describeChild": True}}},
    }
    for mode, colours, background, paper in (
        ("light", LIGHT, "#f2f4f6", LIGHT.surface),
        ("dark", DARK, "#10171e", DARK.surface),
    )
}
"""The same colours for the widgets."""

SIDEBAR_WIDTH = 292
BAR = "#16202a"


READABLE = {LIGHT.minus: "#b85000", DARK.twin: "#a184e6"}
"""Shades of colours in which lines are clear, but words too faint."""


def variables(colours: Palette) -> dict[str, str]:
    """CSS variables of the colours of text outside the plots; pinned runs are ``--ghost0``, lanes ``--lane0``."""
    shown = {f"--{name}": getattr(colours, name) for name in ("plus", "minus", "run", "target", "twin", "line")}
    shown |= {f"--ghost{place}": colour for place, colour in enumerate(colours.ghosts)}
    shown |= {f"--lane{place}": colour for place, colour in enumerate(colours.lanes)}
    return {name: READABLE.get(colour, colour) for name, colour in shown.items()}


PAGE: dict[str, Any] = {
    "&.mui-light": variables(LIGHT),
    "&.mui-dark": variables(DARK),
    "& .header": {"backgroundColor": BAR, "backgroundImage": "none", "color": "#ffffff", "boxShadow": "none"},
    "& .header .title": {"fontSize": "17px", "letterSpacing": ".01em"},
    "& .MuiToolbar-root": {"minHeight": "50px !important"},
    "& .MuiLinearProgress-root": {"display": "none"},
    "& .main": {"backgroundColor": "background.default"},
    "& .sidebar": {"borderRight": "1px solid", "borderColor": "divider", "backgroundImage": "none"},
}
"""Look of the page's frame."""

LARGE = ":host { --text: 1.2 }"
"""For projection: text outside the plots takes its size from this."""


def rgba(colour: str) -> np.uint32:
    """A colour ``#rrggbb`` as an opaque pixel of Bokeh's ``ImageRGBA``; zero is a clear one.

    Examples
    --------
    >>> hex(rgba("#0072b2"))
    '0xffb27200'
    """
    return np.uint32(int.from_bytes(bytes.fromhex(colour.removeprefix("#") + "ff"), "little"))


def blank_figure(**options: Any) -> figure:
    """A figure without toolbar, frame and background, painted on a plain canvas.

    Parameters
    ----------
    **options
        Arguments of `bokeh.plotting.figure`.

    Returns
    -------
    bokeh.plotting.figure
    """
    settings: dict[str, Any] = {
        "toolbar_location": None,
        "tools": "",
        "output_backend": "canvas",
        "sizing_mode": "stretch_both",
        "min_width": 60,
        "min_height": 30,
        "background_fill_color": None,
        "border_fill_color": None,
        "outline_line_color": None,
        "min_border": 4,
    }
    return figure(**{**settings, **options})


def restyle(plot: figure, colours: Palette) -> None:
    """Give a figure's axes, grids and legends the colours of a mode.

    Parameters
    ----------
    plot : bokeh.plotting.figure
        The figure.
    colours : Palette
        The mode's colours.
    """
    for axis in plot.axis:
        axis.update(**_axis(colours))
    for grid in plot.grid:
        if grid.grid_line_color is not None:
            grid.grid_line_color = colours.grid
    for legend in plot.legend:
        legend.update(label_text_color=colours.muted, label_text_font=FONT, label_text_font_size=colours.text_size)


def tooltip(rows: Sequence[tuple[str, str]], colours: Palette) -> str:
    """Template of a tooltip: one line per value.

    Parameters
    ----------
    rows : sequence of tuple of str
        What a value is, and Bokeh's name and format of it, such as ``@loss{%.3g}``.
    colours : Palette
        The mode's colours; the box around the template is Bokeh's, always light, and so is covered.
    """
    lines = "".join(f'<span style="opacity:.72">{label}</span><span>{value}</span>' for label, value in rows)
    look = (
        f"margin:-5px; padding:5px 9px; background:{colours.surface}; color:{colours.text}; "
        f"box-shadow:0 0 0 1px {colours.line}; font:{colours.text_size}/1.35 {FONT}; font-variant-numeric:tabular-nums"
    )
    return f'<div style="display:grid; grid-template-columns:auto auto; gap:1px 10px; {look}">{lines}</div>'


def _axis(colours: Palette) -> dict[str, Any]:
    return {
        "axis_line_color": colours.grid,
        "major_tick_line_color": colours.grid,
        "minor_tick_line_color": None,
        "major_tick_in": 0,
        "major_tick_out": 3,
        "major_label_text_color": colours.muted,
        "major_label_text_font": FONT,
        "major_label_text_font_size": colours.text_size,
        "major_label_standoff": 3,
        "axis_label_text_color": colours.muted,
        "axis_label_text_font": FONT,
        "axis_label_text_font_size": colours.text_size,
        "axis_label_text_font_style": "normal",
        "axis_label_standoff": 4,
    }
