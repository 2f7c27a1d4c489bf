"""Accuracy against spikes, and what dead neurons cost: how little activity a classifier needs.

Run::

    python benchmarks/sparsity.py digits --trials 9000 --seeds 3 --json benchmarks/measured/sparsity.json

Firing-rate regularisation of growing strength toward silence thins the spikes (Cramer et al., PNAS 119,
e2109194119, 2022, report less than one spike per hidden neuron and input). Dead neurons are met by networks
trained with and without dropout.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

import torch

from training.benchmark import count, machine
from training.config import RunConfig
from training.evaluation import Evaluation, evaluate
from training.network import Network
from training.presets import PRESETS
from training.session import Session

Row = dict[str, Any]

STRENGTHS = (0.0, 0.01, 0.1, 0.3, 1.0, 3.0)
"""Of the regularisation toward 0 Hz [1/Hz]."""

DROPOUTS, DEAD = (0.0, 0.4), 0.15


def trained(config: RunConfig, trials: int) -> Session:
    """A session after its trials."""
    session = Session(config)
    for _ in session.run(trials):
        pass
    return session


def sparse(base: RunConfig, trials: int) -> list[Row]:
    """Test accuracy, spikes, latency and energy at each strength."""
    rows = []
    for strength in STRENGTHS:
        config = base.with_values({"learning.rate_strength": strength, "learning.rate_target": 0.0})
        found = evaluate(trained(config, trials))
        rows.append({"arm": f"rate strength {strength:g}", **told(found)})
    return rows


def damaged(base: RunConfig, trials: int) -> list[Row]:
    """Test accuracy on a chip without dead neurons, then on one where `DEAD` of them never spike."""
    rows = []
    for dropout in DROPOUTS:
        session = trained(base.with_values({"learning.dropout": dropout}), trials)
        rows.append({"arm": f"dropout {dropout:g}, all alive", **told(evaluate(session))})
        hurt = session.config.with_values({"network.dead": DEAD}).network
        session.network = Network(hurt, session.sampler.outputs, streams=session.streams)
        rows.append({"arm": f"dropout {dropout:g}, {DEAD:.0%} dead", **told(evaluate(session))})
    return rows


def told(found: Evaluation) -> Row:
    """What is kept of an evaluation."""
    return {
        "accuracy": found.accuracy,
        "spikes_per_hidden": found.hidden_spikes,
        "latency_ms": 1e3 * found.latency,
        "energy_nj": None if found.energy is None else 1e9 * found.energy,
    }


def main() -> None:
    """Train all arms over the seeds; print means and spreads, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("preset", choices=list(PRESETS))
    parser.add_argument("--trials", type=count, default=9000)
    parser.add_argument("--seeds", type=count, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    found: dict[str, list[Row]] = {}
    for seed in range(1, options.seeds + 1):
        base = PRESETS[options.preset].config.with_values({"seed": seed})
        for row in [*sparse(base, options.trials), *damaged(base, options.trials)]:
            found.setdefault(row.pop("arm"), []).append(row)
    for name, rows in found.items():
        right = [row["accuracy"] for row in rows]
        spread = statistics.stdev(right) if len(right) > 1 else float("nan")
        spikes, late = (statistics.mean(row[key] for row in rows) for key in ("spikes_per_hidden", "latency_ms"))
        print(f"{name:28} {statistics.mean(right):.4f} +- {spread:.4f}  {spikes:6.3f} spikes  {late:5.1f} ms")
    if options.json is not None:
        result = {"machine": machine(), "preset": options.preset, "trials": options.trials, "arms": found}
        options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
