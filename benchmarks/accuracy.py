"""Accuracy of the classification presets over seeds, beside linear classifiers, and what the devices cost.

Settings were chosen on validation samples; the test samples are asked once, after the last epoch. Runs are
written as they come: a later call adds arms and seeds to the same file.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from training.benchmark import count, machine
from training.config import RunConfig
from training.evaluation import evaluate
from training.presets import PRESETS
from training.session import Session
from training.tasks import Sample
from training.tasks.data import DataSampler
from training.twin import ideal, without

Row = dict[str, Any]

TESTED = "test"
NO_HIDDEN_LEARNING = {"learning.lr_input": 0.0, "learning.lr_recurrent": 0.0}
PLAIN_DIGITS = {
    "task.rotation": 0.0,
    "task.shift": 0.0,
    "task.tau_in": 40e-3,
    "task.theta_in": 0.2,
    "learning.dropout": 0.0,
    "learning.halving": 6000,
}
IDEAL_DEVICE = {"device.preset": "ideal"}


@dataclass(frozen=True)
class Arm:
    """One way to meet a task.

    Parameters
    ----------
    preset : str
        Name in `PRESETS`.
    epochs : int
        How long it trains.
    values : mapping
        What differs from the preset, by dotted name.
    change : callable
        What else is done to the configuration.
    """

    preset: str
    epochs: int
    values: Mapping[str, Any] = field(default_factory=dict)
    change: Callable[[RunConfig], RunConfig] = lambda config: config

    def config(self, seed: int) -> RunConfig:
        """The run of a seed."""
        return self.change(PRESETS[self.preset].config.with_values({**self.values, "seed": seed}))


YIN_YANG, DIGITS, PLAIN, DEVICES = 12, 50, 25, 12

ARMS: dict[str, Arm] = {
    "yin-yang bptt": Arm("yin-yang", YIN_YANG, {"learning.rule": "bptt"}),
    "yin-yang e-prop": Arm("yin-yang", YIN_YANG),
    "yin-yang frozen hidden": Arm("yin-yang", YIN_YANG, NO_HIDDEN_LEARNING),
    "digits e-prop": Arm("digits", DIGITS),
    "digits whole half": Arm("digits", DIGITS, {"task.validation": 0.0}),
    "digits plain e-prop": Arm("digits", PLAIN, PLAIN_DIGITS),
    "digits plain bptt": Arm("digits", PLAIN, {**PLAIN_DIGITS, "learning.rule": "bptt"}),
    "digits-pcm": Arm("digits-pcm", DEVICES),
    "digits-pcm ideal 4 bit": Arm("digits-pcm", DEVICES, IDEAL_DEVICE),
    "digits-pcm float32": Arm("digits-pcm", DEVICES, {"precision.weight_range": 10.0}, change=ideal),
    **{
        f"digits-pcm without {name}": Arm("digits-pcm", DEVICES, change=partial(without, name=name))
        for name in ("write-noise", "read-noise", "drift")
    },
}

LINEAR = {"yin-yang linear": "yin-yang", "digits linear": "digits"}
"""Logistic regression on what the spikes encode."""


def train(name: str, seed: int, every: int) -> Row:
    """One run of an arm: every so many epochs the validation samples are asked, at the end the test samples."""
    arm = ARMS[name]
    session = Session(arm.config(seed))
    size = _data(session).parts.train.size
    history, seconds, right = [], [], 0.0
    for epoch in range(1, arm.epochs + 1):
        right, times = _epoch(session, size)
        seconds += times
        if epoch % every == 0 and _data(session).parts.validation.size:
            history.append({"epoch": epoch, "train": right, "validation": evaluate(session, "validation").accuracy})
            print(f"  {name}, seed {seed}: {history[-1]}", flush=True)
    found = evaluate(session, TESTED)
    return {
        "arm": name,
        "seed": seed,
        "epochs": arm.epochs,
        "train": right,
        "test": found.accuracy,
        "hidden_spikes": found.hidden_spikes,
        "sets": session.updates.sets,
        "seconds_per_trial": statistics.median(seconds),
        "history": history,
    }


def linear(name: str, seed: int) -> Row:
    """Logistic regression on the same samples, read as numbers."""
    sampler = _data(Session(PRESETS[LINEAR[name]].config.with_values({"seed": seed})))
    trained = map(sampler.sample, range(sampler.parts.train.size))
    known = [*trained, *sampler.evaluation("validation")]
    model = import_module("sklearn.linear_model").LogisticRegression(max_iter=10**4)
    model.fit(_values(sampler, known), _labels(known))
    train, test = (
        float(model.score(_values(sampler, part), _labels(part))) for part in (known, sampler.evaluation(TESTED))
    )
    return {"arm": name, "seed": seed, "train": train, "test": test}


def summary(rows: Iterable[Row]) -> list[Row]:
    """Mean and standard deviation of the test accuracy by arm."""
    tests: dict[str, list[float]] = {}
    for row in rows:
        tests.setdefault(row["arm"], []).append(row["test"])
    return [
        {
            "arm": arm,
            "seeds": len(found),
            "mean": statistics.mean(found),
            "sd": statistics.stdev(found) if len(found) > 1 else None,
        }
        for arm, found in tests.items()
    ]


def main() -> None:
    """Train all arms over the seeds; print a line each, write JSON after each run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--arms", nargs="+", choices=(*ARMS, *LINEAR), default=[*ARMS, *LINEAR], metavar="ARM")
    parser.add_argument("--first", type=count, default=1, help="first seed (default 1)")
    parser.add_argument("--seeds", type=count, default=5, help="last seed (default 5)")
    parser.add_argument("--every", type=count, default=5, help="epochs between validations (default 5)")
    parser.add_argument("--json", type=Path, help="file to add the figures to")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows: list[Row] = json.loads(options.json.read_text())["runs"] if options.json and options.json.exists() else []
    for seed in range(options.first, options.seeds + 1):
        for arm in options.arms:
            row = linear(arm, seed) if arm in LINEAR else train(arm, seed, options.every)
            rows = [*(old for old in rows if (old["arm"], old["seed"]) != (arm, seed)), row]
            print(f"{arm}, seed {seed}: test {row['test']:.4f}", flush=True)
            _write(options.json, rows)
    for line in summary(rows):
        print(line)


def _epoch(session: Session, size: int) -> tuple[float, list[float]]:
    """Share of right answers while training on each sample once, and the seconds of each trial."""
    met = [(record.label == record.decision, record.seconds) for record in session.run(size)]
    right, seconds = zip(*met, strict=True)
    return float(np.mean(right)), list(seconds)


def _data(session: Session) -> DataSampler:
    if not isinstance(session.sampler, DataSampler):
        raise TypeError(f"expected a task with a fixed set of samples, got {type(session.sampler).__name__}")
    return session.sampler


def _values(sampler: Any, samples: Iterable[Sample]) -> npt.NDArray[np.floating]:
    """What samples are before they become spikes: pixels, or points of the plane."""
    images = [(sample.index, sampler.image(sample)) for sample in samples]
    return np.array([sampler.points[index] if image is None else image.ravel() for index, image in images])


def _labels(samples: Iterable[Sample]) -> list[int]:
    return [sample.label for sample in samples]


def _write(path: Path | None, rows: list[Row]) -> None:
    if path is not None:
        result = {"machine": machine(), "summary": summary(rows), "runs": rows}
        path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
