"""What pictures of studies share: means with whiskers over cases, painted in Chromium."""

from __future__ import annotations

import argparse
import base64
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import bare_browser
import pandas as pd
from bokeh.embed import file_html
from bokeh.models import Whisker
from bokeh.plotting import ColumnDataSource, figure
from bokeh.resources import INLINE

SIZE = (900, 480)


def spread(table: pd.DataFrame, by: str, x: str, y: str) -> pd.DataFrame:
    """Mean and standard deviation of the column `y`, by curve and place."""
    found = table.groupby([by, x])[y].agg(["mean", "std", "count"]).reset_index()
    alone = found["std"].fillna(0.0)
    return found.assign(low=found["mean"] - alone, high=found["mean"] + alone)


def drawn(points: pd.DataFrame, by: str, x: str, colours: Mapping[str, str], **about: Any) -> figure:
    """One curve per value of the column `by`, with whiskers of one standard deviation; `about` goes to the figure."""
    low, high = points["low"].min(), points["high"].max()
    margin = 0.05 * (high - low) or 0.05
    about = {"y_range": (low - margin, high + margin), **about}
    plot = figure(width=SIZE[0], height=SIZE[1], toolbar_location=None, **about)
    for name, part in points.groupby(by):
        source, colour = ColumnDataSource(part), colours[str(name)]
        plot.line(x, "mean", source=source, color=colour, line_width=2, legend_label=str(name))
        plot.scatter(x, "mean", source=source, color=colour, size=7)
        plot.add_layout(Whisker(source=source, base=x, lower="low", upper="high", line_color=colour))
    plot.legend.location = "bottom_left"
    return plot


def save(plot: figure, path: Path) -> None:
    """Paint a plot in Chromium and keep the picture."""
    bare_browser.SIZE = SIZE
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder, "plot.html")
        page.write_text(file_html(plot, INLINE, path.stem))
        with bare_browser.browsed(page.as_uri()) as tab:
            tab.wait("window.Bokeh?.documents?.[0]?.is_idle")
            picture = tab.call("Page.captureScreenshot", format="png")["data"]
    path.write_bytes(base64.b64decode(picture))


def main(about: str | None, draw: Callable[[pd.DataFrame], figure]) -> None:
    """Read a table, draw it, save the picture."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path, help="CSV table of results")
    parser.add_argument("picture", type=Path, help="PNG file to write")
    options = parser.parse_args()
    save(draw(pd.read_csv(options.table)), options.picture)
