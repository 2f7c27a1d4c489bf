"""Zooming: a drag draws a box, a double click goes back; the run leaves a zoomed range alone.

The wheel scrolls the page, and so does not zoom. Where a range belongs is kept in its own reset
position (`app.views.base.move`), so that the browser can go back to it without asking.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from bokeh.events import DoubleTap, RangesUpdate, Reset, Tap
from bokeh.models import BoxZoomTool, CustomJS, Range1d
from bokeh.plotting import figure

from app.views.base import View, held, move, span_of


def zoomable(view: View) -> None:
    """Let a person zoom every figure of a view; called once, when all its figures are there.

    Parameters
    ----------
    view : View
        The view.
    """
    for plot in view.figures.values():
        box = BoxZoomTool(dimensions="auto")
        box.overlay.update(fill_alpha=0.12, line_width=1, line_dash="solid")
        plot.add_tools(box)
        view.colours += [(box.overlay, name, lambda colours: colours.muted) for name in ("fill_color", "line_color")]
        plot.js_on_event(DoubleTap, CustomJS(code="cb_obj.origin.reset.emit()"))
        plot.on_event(RangesUpdate, partial(_zoomed, view, plot))
        plot.on_event(Reset, partial(_reset, view, plot))
        for axis_range in _ranges(plot):
            move(axis_range, span_of(axis_range))


def pickable(view: View, plot: figure, picked: Callable[[float, float], tuple[int, ...] | None]) -> None:
    """Report a click on a figure to whoever has asked (`View.on_pick`).

    Parameters
    ----------
    view : View
        The view.
    plot : figure
        Its figure.
    picked : callable
        What lies at a place, in the units of the axes; None where nothing does.
    """

    def tapped(event: Tap) -> None:
        if view.picks is None or event.x is None or event.y is None:
            return
        found = picked(event.x, event.y)
        if found is not None:
            view.picks(*found)

    plot.on_event(Tap, tapped)


def _zoomed(view: View, plot: figure, _: RangesUpdate) -> None:
    """Say once more where the person went: a move of ours may have crossed theirs on the way."""
    for axis_range in filter(held, _ranges(plot)):
        for name in ("start", "end"):
            value = getattr(axis_range, name)
            axis_range.trigger(name, value, value)
    view.settle()


def _reset(view: View, plot: figure, _: Reset) -> None:
    for axis_range in _ranges(plot):
        start, end = span_of(axis_range)
        axis_range.update(start=start, end=end)
    view.settle()


def _ranges(plot: figure) -> list[Range1d]:
    return [plot.x_range, plot.y_range]
