"""A picture of deployed networks with time, from the table that ``pcmlab deploy --out`` writes.

Run::

    pcmlab run digits --trials 16000 --out digits
    pcmlab deploy digits --chips 10 --out deployment.csv
    python benchmarks/deployment.py deployment.csv assets/deployment-digits.png

The dashed line is the network before it was deployed.
"""

from __future__ import annotations

import curves
import pandas as pd
from bokeh.models import Span
from bokeh.plotting import figure

from app.theme import LIGHT
from training.deploy import TRAINED
from training.deploy_report import told

COLOURS = {"none": LIGHT.minus, "global": LIGHT.run, "column": LIGHT.plus}


def drawn(table: pd.DataFrame) -> figure:
    """One curve per compensation, with whiskers of one standard deviation over the chips."""
    measured = "loss" if table["accuracy"].isna().all() else "accuracy"
    trained = table["compensation"] == TRAINED
    plot = curves.drawn(
        apart(curves.spread(table[~trained], "compensation", "seconds", measured)), "compensation", "seconds", COLOURS,
        x_axis_type="log", x_axis_label="time since programming", y_axis_label=f"{measured} on test samples",
    )  # fmt: skip
    seconds = sorted(table.loc[~trained, "seconds"].unique())
    plot.xaxis.ticker = seconds
    plot.xaxis.major_label_overrides = {time: told(time) for time in seconds}
    for level in table.loc[trained, measured]:
        plot.add_layout(Span(location=level, dimension="width", line_color=LIGHT.text, line_dash="dashed"))
        plot.y_range.start, plot.y_range.end = min(plot.y_range.start, level), max(plot.y_range.end, level)
    return plot


def apart(points: pd.DataFrame) -> pd.DataFrame:
    """The curves a little beside each other, so that their whiskers can be told apart."""
    place = points["compensation"].map({name: number for number, name in enumerate(COLOURS)})
    return points.assign(seconds=points["seconds"] * 1.15 ** (place - 1))


if __name__ == "__main__":
    curves.main(__doc__, drawn)
