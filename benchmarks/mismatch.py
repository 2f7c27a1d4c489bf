"""A picture of what mismatch costs, from the table that ``pcmlab mismatch --out`` writes.

Run::

    pcmlab mismatch yin-yang --trials 20000 --levels 0.15,0.3,0.5 --parameters all --out mismatch.csv
    python benchmarks/mismatch.py mismatch.csv assets/mismatch-yin-yang.png
"""

from __future__ import annotations

import curves
import pandas as pd
from bokeh.plotting import figure

from app.theme import LIGHT

COLOURS = {"in-the-loop": LIGHT.run, "true-eligibility": LIGHT.plus, "transferred": LIGHT.minus}


def spread(table: pd.DataFrame) -> pd.DataFrame:
    """Mean and standard deviation over seeds and chips, by arm and level; the ideal chip begins every curve."""
    ideal = table[table["arm"] == "ideal"]
    arms = [arm for arm in table["arm"].unique() if arm != "ideal"]
    parts = [pd.concat([ideal, table[table["arm"] == arm]]).assign(arm=arm) for arm in arms]
    return curves.spread(pd.concat(parts), "arm", "level", "accuracy")


def drawn(table: pd.DataFrame) -> figure:
    """One curve per arm, with whiskers of one standard deviation."""
    return curves.drawn(
        spread(table), "arm", "level", COLOURS,
        x_axis_label="mismatch (standard deviation, share)", y_axis_label="accuracy on test samples",
    )  # fmt: skip


if __name__ == "__main__":
    curves.main(__doc__, drawn)
