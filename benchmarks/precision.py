"""Which precision matters: weights of 2 to 8 bits on the full core beside floating point, and what each part costs.

Run::

    python benchmarks/precision.py core --bits 2 3 4 6 8 --seeds 5 --json benchmarks/measured/precision-core.json
    python benchmarks/precision.py digits-core --trials 8640 --seeds 5

What stands in the JSON file already is not run again: stopped runs and further seeds go on from there.
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


def weights(bits: int, exact: bool) -> dict[str, Change]:
    """Weights of so many bits on the full core, and perhaps on its converters with ideal devices."""
    arms = {f"{bits} bits, full core": values(precision__weight_bits=bits)}
    if exact:
        arms[f"{bits} bits, ideal devices"] = values(precision__weight_bits=bits, device__preset="ideal")
    return arms


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
    parser.add_argument("--ideal", nargs="*", type=int, metavar="BITS", help="those on ideal devices too; without: all")
    parser.add_argument("--parts", nargs="*", choices=list(PARTS), default=list(PARTS), metavar="PART")
    parser.add_argument("--trials", type=count, default=750)
    parser.add_argument("--seeds", type=count, default=5)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of all runs")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    arms: dict[str, Change] = {"floating point, no core": ideal}
    for bits in options.bits:
        arms |= weights(bits, options.ideal is None or bits in options.ideal)
    arms |= {name: PARTS[name] for name in options.parts}
    found = _read(options)
    for seed in range(1, options.seeds + 1):
        base = PRESETS[options.preset].config.with_values({**settings(options.set), "seed": seed})
        for name, change in arms.items():
            if len(found.setdefault(name, [])) < seed:
                found[name].append(score(change(base), options.trials))
                _write(options, found)
    for name, scores in found.items():
        spread = statistics.stdev(scores) if len(scores) > 1 else float("nan")
        print(f"{name:30} {statistics.mean(scores):.4f} +- {spread:.4f}  of {len(scores)}")


def _asked(options: argparse.Namespace) -> dict[str, Any]:
    return {"preset": options.preset, "set": options.set, "trials": options.trials}


def _read(options: argparse.Namespace) -> dict[str, list[float]]:
    """What was measured before: of each arm, the score of every seed from the first on."""
    if options.json is None or not options.json.exists():
        return {}
    known = json.loads(options.json.read_text(encoding="utf-8"))
    asked = _asked(options)
    if {name: known.get(name) for name in asked} != asked:
        raise SystemExit(f"{options.json} holds other runs than these: expected {asked}")
    return dict(known["scores"])


def _write(options: argparse.Namespace, found: dict[str, list[float]]) -> None:
    if options.json is not None:
        result = {"machine": machine(), **_asked(options), "scores": found}
        options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
