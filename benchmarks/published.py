"""Whole runs of the pattern task at published settings, over seeds: error, pulses, wall time."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from training.benchmark import machine
from training.presets import PRESETS
from training.session import Session

RUNS = ("float32", "ideal-4bit", "mixed-precision")
EPOCHS, SAMPLES, LAST = 250, 3, 10


def train(preset: str, seed: int) -> dict[str, Any]:
    """One published run: 250 epochs of 3 samples."""
    session = Session(PRESETS[preset].config.with_values({"seed": seed}))
    began = time.perf_counter()
    records = [(record.loss, record.baseline) for record in session.run(EPOCHS * SAMPLES)]
    seconds = time.perf_counter() - began
    epochs, baseline = (np.reshape(column, (EPOCHS, SAMPLES)).mean(1) for column in zip(*records, strict=True))
    return {
        "preset": preset,
        "seed": seed,
        "baseline": baseline.mean(),
        **{f"epoch {n}": epochs[n - 1] for n in (10, 50, 100)},
        "end": epochs[-LAST:].mean(),
        "best": epochs.min(),
        "sets": session.updates.sets,
        "seconds": seconds,
    }


def main() -> None:
    """Run all presets over the seeds; print a line each, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    Session(PRESETS["mixed-precision"].config).step()
    rows = []
    for preset in RUNS:
        for seed in range(1, options.seeds + 1):
            rows.append(train(preset, seed))
            cells = (f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in rows[-1].items())
            print("  ".join(cells), flush=True)
    if options.json:
        options.json.write_text(json.dumps({"machine": machine(), "runs": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
