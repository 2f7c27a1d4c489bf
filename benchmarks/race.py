"""The Race page with five schemes: how long a race takes, and how many frames per second the browser paints of it.

Run on a machine that does nothing else::

    python benchmarks/race.py --seeds 3 --trials 750 --json race.json
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from bare_browser import Tab, browsed
from streaming import served

FRAMES = "window.Bokeh?.documents?.[0]?.get_model_by_name('{}')?.data.{}[0]"
PAINTED, DONE, OVER = (
    FRAMES.format(*place) for place in (("painted", "frame"), ("frames", "trial"), ("frames", "over"))
)
TARGETS = {"seconds": ("<=", 90.0), "painted_per_s": (">=", 10.0)}


def followed(tab: Tab, longest: float) -> dict[str, Any]:
    """A race from its first trial to its last, looked at every second."""
    tab.wait(f"({DONE} ?? 0) > 0", timeout=120.0)
    began, marks = time.perf_counter(), list[tuple[float, int]]()
    while not tab.evaluate(f"Boolean({OVER})") and time.perf_counter() - began < longest:
        marks.append((time.perf_counter(), tab.evaluate(PAINTED)))
        time.sleep(1.0)
    seconds = time.perf_counter() - began
    each = [(n - m) / (t - s) for (s, m), (t, n) in itertools.pairwise(marks)]
    return {
        "seconds": seconds,
        "trials": tab.evaluate(DONE),
        "painted_per_s": statistics.mean(each),
        "painted_p10_per_s": sorted(each)[len(each) // 10],
        "painted_all_per_s": each,
        "errors": tab.complaints,
    }


def measure(seeds: int, trials: int, longest: float) -> dict[str, Any]:
    """A race on a server and a browser of its own."""
    os.environ["PCMLAB_STORE"] = tempfile.mkdtemp()
    with served() as url, browsed(f"{url}race?autoplay=1&seeds={seeds}&trials={trials}") as tab:
        return followed(tab, longest)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--trials", type=int, default=750)
    parser.add_argument("--longest", type=float, default=420.0, help="seconds after which the race is left")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    figures = measure(options.seeds, options.trials, options.longest)
    for name, value in figures.items():
        sign, target = TARGETS.get(name, ("", None))
        if not isinstance(value, list):
            print(f"{name:<20}{value:>10.4g}  {'' if target is None else f'{sign} {target:g}'}")
    print(f"complaints of the browser: {len(figures['errors'])}; load before: {load:.1f}")
    if options.json:
        about = {"cores": os.cpu_count(), "load_before": load, "python": platform.python_version()}
        options.json.write_text(json.dumps({**figures, **about}, indent=2) + "\n")


if __name__ == "__main__":
    main()
