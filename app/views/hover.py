"""What the pointer is on, in numbers and units: tooltips, and how the browser writes their values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bokeh.models import CustomJSHover, GlyphRenderer, HoverTool
from bokeh.plotting import figure

from app.theme import tooltip
from app.views.base import View
from app.views.status import DAY, HOUR, MINUTE, YEAR

DURATION = f"""
const words = (seconds) => {{
  if (seconds < {MINUTE}) return `${{Number(seconds.toPrecision(3))}} s`
  const units = [
    ["min", {MINUTE}, "s", 1, {HOUR}], ["h", {HOUR}, "min", {MINUTE}, {DAY}], ["d", {DAY}, "h", {HOUR}, {YEAR}]
  ]
  for (const [name, size, small, smaller, end] of units) {{
    const rest = Math.floor(seconds % size / smaller)
    if (seconds < end) return `${{Math.floor(seconds / size)}} ${{name}} ${{rest}} ${{small}}`
  }}
  return `${{(seconds / {YEAR}).toFixed(1)}} years`
}}
"""
"""`app.views.status.duration` for the browser: defines ``words``."""


def hover(
    view: View,
    plot: figure,
    renderers: Sequence[GlyphRenderer],
    rows: Sequence[tuple[str, str]],
    formats: Mapping[str, Any],
    mode: str = "vline",
) -> None:
    """Show values beside the pointer.

    Parameters
    ----------
    view : View
        The view that paints the box.
    plot : figure
        One of its figures.
    renderers : sequence of GlyphRenderer
        What can be pointed at.
    rows : sequence of tuple of str
        As for `app.theme.tooltip`.
    formats : mapping
        How values are written, by Bokeh's name: ``printf``, ``numeral`` or a `CustomJSHover`.
    mode : str
        ``mouse``: what lies below the pointer; ``vline``: what lies above or below it, too.
    """
    tool = HoverTool(
        renderers=list(renderers), formatters=dict(formats), mode=mode, show_arrow=False, limit=1,
        point_policy="follow_mouse", line_policy="nearest", attachment="horizontal",
    )  # fmt: skip
    plot.add_tools(tool)
    view.colours.append((tool, "tooltips", lambda colours: tooltip(rows, colours)))


def in_words() -> CustomJSHover:
    """Writes seconds as a duration, as in the status strip."""
    return CustomJSHover(code=f"{DURATION}return words(value)")
