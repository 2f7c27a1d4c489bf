"""A picture of what mismatch costs, from the table that ``pcmlab mismatch --out`` writes.

Run::

    pcmlab mismatch yin-yang --trials 20000 --levels 0.15,0.3,0.5 --parameters all --out mismatch.csv
    python benchmarks/mismatch.py mismatch.csv assets/mismatch-yin-yang.png
"""

from __future__ import annotations

import argparse
import base64
import tempfile
from pathlib import Path

import bare_browser
import pandas as pd
from bokeh.embed import file_html
from bokeh.models import Whisker
from bokeh.plotting import ColumnDataSource, figure
from bokeh.resources import INLINE

from app.theme import LIGHT

SIZE = (900, 480)
COLOURS = {"in-the-loop": LIGHT.run, "true-eligibility": LIGHT.plus, "transferred": LIGHT.minus}


def spread(table: pd.DataFrame) -> pd.DataFrame:
    """Mean and standard deviation over seeds and chips, by arm and level; the ideal chip begins every curve."""
    ideal = table[table["arm"] == "ideal"]
    arms = [arm for arm in table["arm"].unique() if arm != "ideal"]
    parts = [pd.concat([ideal, table[table["arm"] == arm]]).assign(arm=arm) for arm in arms]
    found = pd.concat(parts).groupby(["arm", "level"])["accuracy"].agg(["mean", "std", "count"]).reset_index()
    return found.assign(low=found["mean"] - found["std"], high=found["mean"] + found["std"])


def drawn(table: pd.DataFrame) -> figure:
    """One curve per arm, with whiskers of one standard deviation."""
    plot = figure(
        width=SIZE[0], height=SIZE[1], toolbar_location=None, x_axis_label="mismatch (standard deviation, share)",
        y_axis_label="accuracy on test samples",
    )  # fmt: skip
    for arm, part in spread(table).groupby("arm"):
        source, colour = ColumnDataSource(part), COLOURS[str(arm)]
        plot.line("level", "mean", source=source, color=colour, line_width=2, legend_label=str(arm))
        plot.scatter("level", "mean", source=source, color=colour, size=7)
        plot.add_layout(Whisker(source=source, base="level", lower="low", upper="high", line_color=colour))
    plot.legend.location = "bottom_left"
    return plot


def save(plot: figure, path: Path) -> None:
    """Paint a plot in Chromium and keep the picture."""
    bare_browser.SIZE = SIZE
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder, "plot.html")
        page.write_text(file_html(plot, INLINE, "mismatch"))
        with bare_browser.browsed(page.as_uri()) as tab:
            tab.wait("window.Bokeh?.documents?.[0]?.is_idle")
            picture = tab.call("Page.captureScreenshot", format="png")["data"]
    path.write_bytes(base64.b64decode(picture))


def main() -> None:
    """Read, draw, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path, help="CSV table of results")
    parser.add_argument("picture", type=Path, help="PNG file to write")
    options = parser.parse_args()
    save(drawn(pd.read_csv(options.table)), options.picture)


if __name__ == "__main__":
    main()
