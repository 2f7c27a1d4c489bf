"""Resident memory: of the imports, of a session, and its growth over many trials."""

from __future__ import annotations

import argparse
import gc
import importlib
import json
from pathlib import Path

import psutil

MEGABYTE = 1e6


def resident() -> float:
    """Resident memory of this process [MB]."""
    gc.collect()
    return psutil.Process().memory_info().rss / MEGABYTE


def measure(trials: int) -> dict[str, float]:
    """Memory [MB] from a bare interpreter to the end of a long run."""
    figures = {"interpreter": resident()}
    for module in ("numpy", "torch", "numba", "pcmsim.crossbar", "training.session"):
        importlib.import_module(module)
        figures[f"after import {module}"] = resident()
    presets = importlib.import_module("training.presets").PRESETS
    session = importlib.import_module("training.session").Session(presets["mixed-precision"].config)
    for _ in session.run(20):
        pass
    figures["session of 100 neurons, kernels loaded"] = resident()
    second = type(session)(presets["mixed-precision"].config)
    for _ in second.run(20):
        pass
    figures["second session beside it"] = resident()
    for number, _ in enumerate(session.run(trials), start=1):
        if number in (trials // 10, trials // 2, trials):
            figures[f"after {number} trials"] = resident()
    return figures


def main() -> None:
    """Print the figures; write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    figures = measure(options.trials)
    for name, value in figures.items():
        print(f"{name:<45}{value:8.1f} MB")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
