"""Settings found by search: one study per scheme, the same number of evaluations for each.

An evaluation trains one choice of settings with a few seeds at once, point by point of the learning
curve, and ends early where the mean curve falls behind. Studies are Optuna's (Akiba et al. 2019,
doi:10.1145/3292500.3330701): they live in a database, go on where they stopped, and take any number
of processes on any number of machines.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import Any

import optuna
import torch
from optuna.samplers import BaseSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState

from pcmsim.errors import PCMLabError
from pcmsim.foundation.tensors import WHOLE
from pcmsim.streams import Streams
from training.files.interval import Interval
from training.files.unfinished import Unfinished
from training.jobs import METRICS, Outcome, Point, Run
from training.search import Search
from training.store import Store

PATIENCE = 0.4
"""Share of the trials before which no curve is compared: the published run leaves its plateau at a third."""

STARTERS = 8
"""Full evaluations before any curve is compared with the median."""

HOPELESS = frozenset({"diverged", "silent"})
"""Two points in a row with such a last trial end an evaluation; lesser outbursts do pass, even in the best runs."""

TRAINED, KEYS, VALUES, ERROR = "trained", "keys", "values", "error"
"""What an evaluation carries: trials trained, keys and metrics of its runs, why there is no run."""


class Sampler(BaseSampler):
    """Tree-structured Parzen estimators whose random numbers follow from the evaluation's place in the study.

    A study that stopped and went on has then tried the same as one that never stopped.
    """

    def __init__(self, seed: int) -> None:
        self._streams = Streams(seed)
        self._of_trial = TPESampler(seed=0)

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """Random numbers of the evaluation that begins."""
        draw = torch.randint(2**31, (1,), generator=self._streams.at("tune", place(study, trial.number)), **WHOLE)
        self._of_trial = TPESampler(seed=int(draw))

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, optuna.distributions.BaseDistribution]:
        """See `optuna.samplers.BaseSampler`."""
        return self._of_trial.infer_relative_search_space(study, trial)

    def sample_relative(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        search_space: dict[str, optuna.distributions.BaseDistribution],
    ) -> dict[str, Any]:
        """See `optuna.samplers.BaseSampler`."""
        return self._of_trial.sample_relative(study, trial, search_space)

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: optuna.distributions.BaseDistribution,
    ) -> Any:
        """See `optuna.samplers.BaseSampler`."""
        return self._of_trial.sample_independent(study, trial, param_name, param_distribution)


def pruner(search: Search) -> optuna.pruners.BasePruner:
    """The median rule: an evaluation ends whose best point so far is worse than half of the finished ones' points.

    Halving rules compare after a few per cent of the trials already; here all schemes stand on the
    plateau of a silent network then, and those that learn late would be lost.
    """
    return optuna.pruners.MedianPruner(
        n_startup_trials=STARTERS, n_warmup_steps=math.ceil(PATIENCE * search.trials), n_min_trials=STARTERS // 2
    )


def place(study: optuna.Study, number: int) -> int:
    """How many evaluations of a study come before one with this number; those that failed do not count."""
    earlier = (trial for trial in study.get_trials(deepcopy=False) if trial.number < number)
    return sum(trial.state is not TrialState.FAIL for trial in earlier)


def evaluate(search: Search, trial: optuna.Trial, store: Store | None, interval: Interval | None = None) -> float:
    """Train what a study tries next; the mean metric over the seeds.

    Parameters
    ----------
    search : Search
        What is tuned.
    trial : optuna.Trial
        The evaluation.
    store : Store or None
        Where its runs are kept, once they are finished, and while they are not.
    interval : Interval, optional
        How often those are that are not.

    Raises
    ------
    optuna.TrialPruned
        If it ends early: behind the median, hopeless, or no run at all.
    """
    unfinished = None if store is None else store.unfinished(interval)
    with contextlib.ExitStack() as stack:
        runs = _begun(search, trial, unfinished)
        for run in runs:
            stack.callback(run.close)
        try:
            _trained(search, trial, runs)
        except optuna.TrialPruned:
            _forgotten(runs, unfinished)
            raise
        finally:
            trial.set_user_attr(TRAINED, sum(run.session.trial for run in runs))
    outcomes = [run.outcome() for run in runs]
    values = [METRICS[search.metric].value(outcome) for outcome in outcomes]
    trial.set_user_attr(VALUES, values)
    _kept(trial, outcomes, store)
    return sum(values) / len(values)


def _begun(search: Search, trial: optuna.Trial, unfinished: Unfinished | None) -> list[Run]:
    values = {name: known.suggested(trial, name) for name, known in search.fields.items()}
    try:
        return [Run(job, unfinished) for job in search.jobs(values)]
    except PCMLabError as error:
        trial.set_user_attr(ERROR, str(error))
        raise optuna.TrialPruned(str(error)) from error


def _forgotten(runs: list[Run], unfinished: Unfinished | None) -> None:
    for run in runs:
        run.close()
        if unfinished is not None:
            unfinished.forget(run.job.key)


def _trained(search: Search, trial: optuna.Trial, runs: list[Run]) -> None:
    column, lost = METRICS[search.metric].on_curve, False
    for place, points in enumerate(_together(runs)):
        if column is None or points[0].trial >= search.trials:
            continue
        trial.report(sum(getattr(point, column) for point in points) / len(points), points[0].trial)
        before, lost = lost, any(run.statuses[place] in HOPELESS for run in runs)
        if (before and lost) or trial.should_prune():
            raise optuna.TrialPruned


def _together(runs: list[Run]) -> Iterator[list[Point]]:
    """Train runs of the same length side by side; the points of their curves, also those that were kept before."""
    place = 0
    while not all(run.over and len(run.curve) == place for run in runs):
        for run in runs:
            while len(run.curve) == place:
                run.step()
        yield [run.curve[place] for run in runs]
        place += 1


def _kept(trial: optuna.Trial, outcomes: list[Outcome], store: Store | None) -> None:
    trial.set_user_attr(KEYS, [outcome.job.key for outcome in outcomes])
    if store is not None:
        for outcome in outcomes:
            store.add(outcome)
