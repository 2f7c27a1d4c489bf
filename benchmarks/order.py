"""Which update scheme copes best with the devices: each at the settings tuned for it, on the same seeds.

Trains `pattern` on full phase-change memory with every scheme that writes to devices, ranks them by the mean loss
of the last 30 trials, and says whether the published order held. Writes the table and its picture; run again with
the same store, it trains only what is missing::

    python benchmarks/order.py --seeds 10 --store pcmlab-runs
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import curves
import numpy as np
from bokeh.models import CustomJSTickFormatter, Label, Span
from bokeh.plotting import figure

from app.lanes import OWN
from app.theme import LIGHT
from training import race_command, tuned_presets
from training.benchmark import count
from training.race import Race, Reports, entrants, values
from training.racing import Racing
from training.ranking import Difference, Standing, differences, rank
from training.store import Store, folder

METRIC, TRIALS, EVERY = "loss", 750, 30
BEST, WORSE = "mixed-precision", ("sign", "stochastic", "multi-memristor")
CLAIM = (
    "Demirag et al. 2021 (arXiv:2108.01804): accumulating gradients digitally before programming (mixed precision) "
    f"trains on phase-change memory where {', '.join(WORSE)} updates struggle."
)
SIZE = (900, 420)


def budgets(lanes: Sequence[str]) -> dict[str, dict[str, Any]]:
    """What the search for each lane's settings cost; nothing where they were not tuned."""
    records = {name: tuned.record for name, tuned in tuned_presets.shipped()}
    found = {lane: records.get(f"pattern-{lane}") for lane in lanes}
    return {
        lane: {
            "evaluations": 0 if record is None else record.evaluations,
            "tuning_trials": 0 if record is None else record.trained,
        }
        for lane, record in found.items()
    }


def table(standings: Sequence[Standing], reports: Reports) -> list[dict[str, Any]]:
    """The ranking with each lane's budget, pulses and the loss of a silent network, best first."""
    cost = budgets([one.lane for one in standings])
    return [{**asdict(one), **_events(one.lane, reports), **cost[one.lane]} for one in standings]


def _events(lane: str, reports: Reports) -> dict[str, float]:
    outcomes = [r.outcome for e, r in reports.items() if e.lane == lane and r.outcome is not None]
    return {
        "baseline": float(np.mean([one.baseline for one in outcomes])) if outcomes else float("nan"),
        "sets": float(np.mean([one.curve[-1].sets for one in outcomes])) if outcomes else float("nan"),
        "resets": float(np.mean([one.curve[-1].resets for one in outcomes])) if outcomes else float("nan"),
    }


def verdict(pairs: Sequence[Difference]) -> Iterator[str]:
    """Whether the claim held, scheme by scheme."""
    yield CLAIM
    for pair in pairs:
        if {pair.first, pair.second} & set(WORSE) and BEST in (pair.first, pair.second):
            held = ("held" if pair.first == BEST else "reversed") if pair.sure else "not decided"
            yield (
                f"{held}: {pair.first} has {-pair.mean:.4f} less than {pair.second} "
                f"({-pair.high:.4f} to {-pair.low:.4f}, {pair.number} seeds, p = {pair.p:.3g})"
            )


def drawn(rows: Sequence[Mapping[str, Any]], found: Mapping[str, Mapping[int, float]]) -> figure:
    """A row per lane, its place before its name: the mean with its interval, and below a dot per seed."""
    names = {row["lane"]: f"{row['place']}.  {row['lane']}" for row in rows}
    colour = {lane: LIGHT.lanes[OWN[lane]] for lane in names}
    plot = figure(
        width=SIZE[0], height=SIZE[1], toolbar_location=None, x_axis_type="log", y_range=list(names.values())[::-1],
        x_axis_label="squared error, mean of the last 30 trials, log (bar: 95 % interval of the mean; dots: seeds)",
    )  # fmt: skip
    for row in rows:
        lane, shade = row["lane"], colour[row["lane"]]
        plot.segment([row["low"]], [names[lane]], [row["high"]], [names[lane]], line_width=5, color=shade, alpha=0.45)
        plot.scatter([row["mean"]], [names[lane]], size=12, color=shade)
        seeds = list(found[lane].values())
        plot.scatter(seeds, [(names[lane], -0.22)] * len(seeds), size=6, color=shade, alpha=0.6)
    silent = Span(location=rows[0]["baseline"], dimension="height", line_dash="dashed", line_color=LIGHT.target)
    plot.add_layout(silent)
    plot.add_layout(
        Label(x=rows[0]["baseline"], y=2, y_units="screen", x_offset=4, text="silent network",
              text_font_size="12px", text_color=LIGHT.muted)
    )  # fmt: skip
    plot.xaxis.formatter = CustomJSTickFormatter(code="return String(+tick.toPrecision(2))")
    plot.xaxis.ticker.mantissas, plot.xaxis.ticker.min_interval = [1, 2, 5], 0.0
    plot.ygrid.grid_line_color = None
    return plot


def main() -> None:
    """Race, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=count, default=10)
    parser.add_argument("--trials", type=count, default=TRIALS)
    parser.add_argument("--workers", type=count, default=2)
    parser.add_argument("--store", type=Path, default=folder())
    parser.add_argument("--table", type=Path, default=Path("assets/schemes-pattern.csv"))
    parser.add_argument("--picture", type=Path, default=Path("assets/schemes-pattern.png"))
    options = parser.parse_args()
    race = Race(entrants(), tuple(range(1, options.seeds + 1)), options.trials, EVERY, metric=METRIC)
    store = Store(options.store)
    racing = Racing(race, workers=options.workers, store=store)
    racing.keep(store, "schemes-pattern")
    race_command.follow(racing, quiet=False)
    found = values(race, racing.latest, finished=True)
    rows = table(rank(found, METRIC), racing.latest)
    with options.table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    curves.SIZE = SIZE
    curves.save(drawn(rows, found), options.picture)
    print("\n".join([*race_command.lines(race, rank(found, METRIC), racing.latest), *told(rows)]))
    print("\n".join(verdict(differences(found, METRIC))))


def told(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Budget and pulses of each lane."""
    for row in rows:
        tuned = (
            f"{row['evaluations']} evaluations, {row['tuning_trials']} trials" if row["evaluations"] else "not tuned"
        )
        yield f"{row['lane']}: {row['sets']:.0f} SETs, {row['resets']:.0f} RESETs a run; tuning: {tuned}"


if __name__ == "__main__":
    main()
