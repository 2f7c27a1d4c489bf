"""Draw accuracy against the bits of the weights, from what `precision.py` has measured.

Run::

    python benchmarks/widths.py benchmarks/measured/precision-*-core.json assets/precision.png
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import curves
import pandas as pd
from bokeh.plotting import figure

from app.theme import LIGHT

Row = dict[str, Any]

ARM = re.compile(r"(?P<bits>\d+) bits, (?P<where>full core|ideal devices)")
FLOATING = "floating point, no core"
COLOURS = LIGHT.devices
FEWEST = 2
"""Seeds below which an arm is left out: without a spread a point says little."""


def rows(path: Path) -> Iterator[Row]:
    """A row per run: the curve it belongs to, the bits of its weights (None: floating point), its accuracy."""
    measured = json.loads(path.read_text(encoding="utf-8"))
    task = measured["preset"].removesuffix("-core")
    for arm, scores in measured["scores"].items():
        told = ARM.fullmatch(arm)
        if len(scores) >= FEWEST and (told or arm == FLOATING):
            where = told["where"] if told else "full core"
            bits = int(told["bits"]) if told else None
            yield from ({"curve": f"{task}, {where}", "bits": bits, "accuracy": score} for score in scores)


def drawn(table: pd.DataFrame) -> figure:
    """A curve per task and kind of device; floating point stands at the right end."""
    widths = sorted(table["bits"].dropna().unique())
    places = {bits: place for place, bits in enumerate(widths)}
    table = table.assign(place=table["bits"].map(places).fillna(len(widths)))
    points = curves.spread(table, "curve", "place", "accuracy")
    colours = dict(zip(sorted(table["curve"].unique()), COLOURS, strict=False))
    plot = curves.drawn(points, "curve", "place", colours, x_axis_label="bits of a weight", y_axis_label="accuracy")
    plot.xaxis.ticker = [*places.values(), len(widths)]
    plot.xaxis.major_label_overrides = {
        **{place: f"{bits:g}" for bits, place in places.items()},
        len(widths): "floating point",
    }
    plot.legend.location = "bottom_right"
    return plot


def main() -> None:
    """Read what was measured, draw it, save the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("measured", type=Path, nargs="+", help="JSON files of precision.py")
    parser.add_argument("picture", type=Path, help="PNG file to write")
    options = parser.parse_args()
    table = pd.DataFrame([row for path in options.measured for row in rows(path)])
    curves.save(drawn(table), options.picture)


if __name__ == "__main__":
    main()
