"""What cores cost: products with all effects, a full update, and networks over several cores.

Run::

    python benchmarks/core.py --json benchmarks/measured/core.json --plot assets/cores-cost.png
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import curves
import psutil
import torch
from bokeh.plotting import figure
from threadpoolctl import threadpool_limits

from app.theme import LIGHT
from pcmsim.core import Core, CoreConfig
from pcmsim.crossbar import Crossbar
from pcmsim.presets import device_model
from pcmsim.product import Product
from training.benchmark import machine
from training.precision import PrecisionConfig
from training.presets import PRESETS
from training.schemes import MixedPrecision
from training.schemes.base import Asked
from training.session import Session

Row = dict[str, Any]

SIDE, DENSE_RANGE = 256, 21.0
BATCHES = (1, 128)
HIDDEN = (128, 256, 512, 1024)


def timed(case: str, work: Callable[[], object], repeats: int, share: int = 1) -> Row:
    """Median and quartiles of the time that some work takes, over `share` [s]."""
    work()
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        times.append((time.perf_counter() - began) / share)
    low, median, high = statistics.quantiles(times, n=4)
    return {"case": case, "median": median, "low": low, "high": high, "best": min(times), "repeats": repeats}


def array() -> Crossbar:
    """A core full of half-written HERMES cells."""
    generator = torch.Generator().manual_seed(1)
    made = Crossbar(
        (SIDE, SIDE), device_model("hermes"), devices=2, scale=10.35, initial_conductance=5.0, generator=generator
    )
    made.core = Core(CoreConfig(enabled=True, adc_range=DENSE_RANGE), made.shape, 1.0, generator=generator)
    return made


def products(repeats: int) -> list[Row]:
    """One core times vectors: converters, device noise, calibration residue."""
    crossbar = array()
    multiply = Product(crossbar.core, crossbar.moments(100.0))
    rows = []
    for batch, threads in product(BATCHES, sorted({1, psutil.cpu_count() or 1})):
        torch.set_num_threads(threads)
        inputs = torch.rand(batch, SIDE, generator=torch.Generator().manual_seed(2)) * 2.0 - 1.0
        case = f"a vector of a batch of {batch}, {threads} thread{'s'[: threads > 1]}"
        rows.append(timed(case, partial(multiply, inputs, key=3), repeats, batch))
    torch.set_num_threads(1)
    return rows


def update(repeats: int) -> Row:
    """A gradient at every synapse, accumulated, and what is due written: about a tenth of the synapses."""
    crossbar, scheme, generator = array(), MixedPrecision(), torch.Generator().manual_seed(4)
    state = scheme.init(crossbar.view())
    gradient = torch.randn(SIDE, SIDE, generator=generator)

    def work() -> None:
        asked = Asked(gradient, 0.01, crossbar.view(), PrecisionConfig())
        crossbar.apply(scheme.update(asked, state, generator=generator), 100.0, generator=generator)

    return timed("a mixed-precision update of 256 x 256", work, repeats)


def network(hidden: int, trials: int) -> Row:
    """A trial of the pattern task on cores."""
    config = PRESETS["core"].config.with_values({"network.hidden": hidden})
    before = psutil.Process().memory_info().rss
    session = Session(config)
    row = timed(f"a trial of pattern, {hidden} hidden", session.step, trials)
    cores = sum(a.core.tiles[0] * a.core.tiles[1] for a in session.arrays if a.core is not None)
    grown = (psutil.Process().memory_info().rss - before) / 2**20
    return {**row, "hidden": hidden, "cores": cores, "memory_mb": grown}


def drawn(rows: list[Row]) -> figure:
    """Time of a trial and memory against the number of hidden neurons, both axes logarithmic."""
    sizes = [row["hidden"] for row in rows]
    plot = figure(
        width=curves.SIZE[0], height=curves.SIZE[1], toolbar_location=None, x_axis_type="log", y_axis_type="log",
        x_axis_label="hidden neurons (cores)", y_axis_label="ms a trial, MB",
    )  # fmt: skip
    measured = {"ms a trial": [1e3 * row["median"] for row in rows], "MB": [row["memory_mb"] for row in rows]}
    for (name, values), colour in zip(measured.items(), (LIGHT.run, LIGHT.minus), strict=True):
        plot.line(sizes, values, color=colour, line_width=2, legend_label=name)
        plot.scatter(sizes, values, color=colour, size=7)
    plot.xaxis.ticker = sizes
    plot.xaxis.major_label_overrides = {row["hidden"]: f"{row['hidden']} ({row['cores']})" for row in rows}
    plot.legend.location = "top_left"
    return plot


def main() -> None:
    """Measure all; print a line each, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=300)
    parser.add_argument("--trials", type=int, default=8)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path, help="PNG file of cost against size")
    options = parser.parse_args()
    torch.set_num_threads(1)
    threadpool_limits(1, user_api="blas")
    rows = [*products(options.repeats), update(options.repeats)]
    networks = [network(hidden, options.trials) for hidden in HIDDEN]
    rows += networks
    for row in rows:
        extra = f"  {row['cores']} cores, {row['memory_mb']:.0f} MB" if "cores" in row else ""
        low, median, high = (1e3 * row[name] for name in ("low", "median", "high"))
        print(f"{row['case']:45} {median:9.4f} ms  ({low:.4f} to {high:.4f}){extra}")
    if options.plot is not None:
        curves.save(drawn(networks), options.plot)
    if options.json is not None:
        options.json.write_text(json.dumps({"machine": machine(), "rows": rows}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
