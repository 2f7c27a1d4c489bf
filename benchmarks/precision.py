"""Which precision matters: weights of 2 to 8 bits on the full core beside floating point, and what each part costs.

Run::

    python benchmarks/precision.py core --bits 2 3 4 6 8 --seeds 5 --json benchmarks/measured/precision-core.json
    python benchmarks/precision.py digits-core --trials 8640 --seeds 5
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from training.benchmark import count, machine
from training.config import RunConfig
from training.evaluation import evaluate
from training.loading import settings
from training.presets import PRESETS
from training.session import Session
from training.twin import ideal, without

Change = Callable[[RunConfig], RunConfig]

COUNTED = 30
"""Trials at the end over which a regression's error is averaged."""

EXACT = {"adc_bits": None, "mvm_noise": 0.0, "gain_spread": 0.0, "offset_spread": 0.0, "dac_bits": None}


def values(**changed: Any) -> Change:
    """Settings by dotted name, dots written as double underscores."""
    return lambda config: config.with_values({name.replace("__", "."): value for name, value in changed.items()})


def removed(name: str) -> Change:
    """One non-ideality off."""
    return lambda config: without(config, name)


def weights(bits: int) -> dict[str, Change]:
    """Weights of so many bits on the full core, and on its converters with ideal devices."""
    return {
        f"{bits} bits, full core": values(precision__weight_bits=bits),
        f"{bits} bits, ideal devices": values(precision__weight_bits=bits, device__preset="ideal"),
    }


PARTS: dict[str, Change] = {
    "4 bits without cores": removed("cores"),
    "4 bits, exact converters": values(**{f"core__{name}": value for name, value in EXACT.items()}),
    "4 bits, 4-bit ADC": values(core__adc_bits=4),
    "4 bits, 6-bit ADC": values(core__adc_bits=6),
    "4 bits, not calibrated": values(core__calibration=0),
    "4 bits without write noise": removed("write-noise"),
    "4 bits without read noise": removed("read-noise"),
    "4 bits without drift": removed("drift"),
}


def score(config: RunConfig, trials: int) -> float:
    """Test accuracy of a classifier, else the mean loss of the last trials."""
    session = Session(config)
    losses = [record.loss for record in session.run(trials)]
    return evaluate(session).accuracy if session.sampler.classes else float(np.mean(losses[-COUNTED:]))


def main() -> None:
    """Train all arms over the seeds; print a line each, write JSON after each run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("preset", choices=list(PRESETS))
    parser.add_argument("--bits", nargs="*", type=int, default=[2, 3, 4, 6, 8])
    parser.add_argument("--parts", nargs="*", choices=list(PARTS), default=list(PARTS), metavar="PART")
    parser.add_argument("--trials", type=count, default=750)
    parser.add_argument("--seeds", type=count, default=5)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of all runs")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    arms: dict[str, Change] = {"floating point, no core": ideal}
    for bits in options.bits:
        arms |= weights(bits)
    arms |= {name: PARTS[name] for name in options.parts}
    found: dict[str, list[float]] = {}
    for seed in range(1, options.seeds + 1):
        base = PRESETS[options.preset].config.with_values({**settings(options.set), "seed": seed})
        for name, change in arms.items():
            found.setdefault(name, []).append(score(change(base), options.trials))
            _write(options, found)
    for name, scores in found.items():
        spread = statistics.stdev(scores) if len(scores) > 1 else float("nan")
        print(f"{name:30} {statistics.mean(scores):.4f} +- {spread:.4f}  of {len(scores)}")


def _write(options: argparse.Namespace, found: dict[str, list[float]]) -> None:
    if options.json is not None:
        asked = {"preset": options.preset, "set": options.set, "trials": options.trials}
        result = {"machine": machine(), **asked, "scores": found}
        options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
