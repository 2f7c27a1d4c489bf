"""Colours, fonts and sizes of the dashboard, in light and dark: the only place that names them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bokeh.models import Axis, Grid, Legend
from bokeh.plotting import figure
from bokeh.themes import Theme

FONT = "Roboto, Helvetica, Arial, sans-serif"
TEXT_SIZE = "11px"
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
    devices : tuple of str
        Single devices, one colour each.
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
    devices: tuple[str, ...]

    @property
    def diverging(self) -> list[str]:
        """From negative over zero to positive, 255 colours."""
        return [*_blend(self.minus, self.zero, 127), self.zero, *reversed(_blend(self.plus, self.zero, 127))]


LIGHT = Palette(
    text="#26323d", muted="#5d6b79", grid="#e6eaee", line="#d9dfe4", spikes="#26323d", inputs="#7b8794",
    plus="#0072b2", minus="#d55e00", zero="#f4f5f6", run="#00805d", target="#8a949e",
    devices=("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#26323d", "#b8a800"),
)  # fmt: skip
DARK = Palette(
    text="#dfe6ec", muted="#9aa8b5", grid="#2b3640", line="#2e3943", spikes="#dfe6ec", inputs="#8c9aa7",
    plus="#4ba9e4", minus="#f28244", zero="#1d2730", run="#2fc79a", target="#8c99a5",
    devices=("#4ba9e4", "#f0b429", "#2fc79a", "#e59cc5", "#8fd0f5", "#f28244", "#dfe6ec", "#f0e442"),
)  # fmt: skip


def palette(dark: bool) -> Palette:
    """The colours of a mode."""
    return DARK if dark else LIGHT


MUI: dict[str, Any] = {
    mode: {
        "palette": {
            "primary": {"main": colours.plus, "contrastText": "#ffffff" if mode == "light" else "#0d141b"},
            "background": {"default": background, "paper": paper},
            "text": {"primary": colours.text, "secondary": colours.muted},
        },
        "typography": {"fontSize": 12},
        "shape": {"borderRadius": 6},
    }
    for mode, colours, background, paper in (
        ("light", LIGHT, "#f2f4f6", "#ffffff"),
        ("dark", DARK, "#10171e", "#182129"),
    )
}
"""The same colours for the widgets."""

SIDEBAR_WIDTH = 292
BAR = "#16202a"

PAGE: dict[str, Any] = {
    "&.mui-light": {f"--{name}": getattr(LIGHT, name) for name in ("plus", "minus", "run", "target", "line")},
    "&.mui-dark": {f"--{name}": getattr(DARK, name) for name in ("plus", "minus", "run", "target", "line")},
    "& .header": {"backgroundColor": BAR, "backgroundImage": "none", "color": "#ffffff", "boxShadow": "none"},
    "& .header .title": {"fontSize": "17px", "letterSpacing": ".01em"},
    "& .MuiToolbar-root": {"minHeight": "50px !important"},
    "& .main": {"backgroundColor": "background.default"},
    "& .sidebar": {"borderRight": "1px solid", "borderColor": "divider", "backgroundImage": "none"},
}
"""Look of the page's frame."""


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
    for axis in plot.select(Axis):
        axis.update(**_axis(colours))
    for grid in plot.select(Grid):
        if grid.grid_line_color is not None:
            grid.grid_line_color = colours.grid
    for legend in plot.select(Legend):
        legend.update(label_text_color=colours.muted, label_text_font=FONT, label_text_font_size=TEXT_SIZE)


def _axis(colours: Palette) -> dict[str, Any]:
    return {
        "axis_line_color": colours.grid,
        "major_tick_line_color": colours.grid,
        "minor_tick_line_color": None,
        "major_tick_in": 0,
        "major_tick_out": 3,
        "major_label_text_color": colours.muted,
        "major_label_text_font": FONT,
        "major_label_text_font_size": TEXT_SIZE,
        "major_label_standoff": 3,
        "axis_label_text_color": colours.muted,
        "axis_label_text_font": FONT,
        "axis_label_text_font_size": TEXT_SIZE,
        "axis_label_text_font_style": "normal",
        "axis_label_standoff": 4,
    }


def _blend(begin: str, end: str, count: int) -> list[str]:
    """`count` colours from `begin` toward `end`, which is left out."""
    first, last = (tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5)) for colour in (begin, end))
    mixed = (
        tuple(round(a + (b - a) * step / count) for a, b in zip(first, last, strict=True)) for step in range(count)
    )
    return ["#{:02x}{:02x}{:02x}".format(*rgb) for rgb in mixed]
