"""Settings found by search: one study per scheme, the same number of evaluations for each.

An evaluation trains one choice of settings with a few seeds at once, point by point of the learning
curve, and ends early where the mean curve falls behind. Studies are Optuna's (Akiba et al. 2019,
doi:10.1145/3292500.3330701): they live in a database, go on where they stopped, and take any number
of processes on any number of machines.
"""

from __future__ import annotations

import contextlib
import math
import time
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import optuna
import torch
from optuna.exceptions import ExperimentalWarning, OptunaError, UpdateFinishedTrialError
from optuna.samplers import BaseSampler, TPESampler
from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import event
from sqlalchemy.engine import Engine, make_url
from sqlalchemy.exc import SQLAlchemyError

from pcmsim.errors import PCMLabError
from pcmsim.streams import Streams
from training.jobs import METRICS, Outcome, Point, Run
from training.search import Search
from training.store import Store

PATIENCE = 0.4
"""Share of the trials before which no curve is compared: the published run leaves its plateau at a third."""

STARTERS = 8
"""Full evaluations before any curve is compared with the median."""

HOPELESS = frozenset({"diverged", "silent"})
"""Two points in a row with such a last trial end an evaluation; lesser outbursts do pass, even in the best runs."""

DONE = (TrialState.COMPLETE, TrialState.PRUNED)
"""States that count toward the budget; what failed or was killed does not."""

HEARTBEAT, GRACE = 5, 30
"""A worker gives a sign of life this often [s]; without one for so long its evaluation is somebody else's [s]."""

TRAINED, KEYS, VALUES, ERROR = "trained", "keys", "values", "error"


class SurplusError(Exception):
    """An evaluation beyond the budget, drawn by two workers at the same time."""


class Sampler(BaseSampler):
    """Tree-structured Parzen estimators whose random numbers follow from the evaluation's place in the study.

    A study that stopped and went on has then tried the same as one that never stopped.
    """

    def __init__(self, seed: int) -> None:
        self._streams = Streams(seed)
        self._of_trial = TPESampler(seed=0)

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """Random numbers of the evaluation that begins."""
        draw = torch.randint(2**31, (1,), generator=self._streams.at("tune", place(study, trial.number)))
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


def evaluate(search: Search, trial: optuna.Trial, store: Store | None) -> float:
    """Train what a study tries next; the mean metric over the seeds.

    Raises
    ------
    optuna.TrialPruned
        If it ends early: behind the median, hopeless, or no run at all.
    """
    runs = _begun(search, trial)
    try:
        _trained(search, trial, runs)
    finally:
        trial.set_user_attr(TRAINED, sum(run.session.trial for run in runs))
    outcomes = [run.outcome() for run in runs]
    values = [METRICS[search.metric].value(outcome) for outcome in outcomes]
    trial.set_user_attr(VALUES, values)
    _kept(trial, outcomes, store)
    return sum(values) / len(values)


def _begun(search: Search, trial: optuna.Trial) -> list[Run]:
    values = {name: known.suggested(trial, name) for name, known in search.fields.items()}
    try:
        return [Run(job) for job in search.jobs(values)]
    except PCMLabError as error:
        trial.set_user_attr(ERROR, str(error))
        raise optuna.TrialPruned(str(error)) from error


def _trained(search: Search, trial: optuna.Trial, runs: list[Run]) -> None:
    column, lost = METRICS[search.metric].on_curve, False
    for points in _together(runs):
        if column is None or runs[0].over:
            continue
        trial.report(sum(getattr(point, column) for point in points) / len(points), points[0].trial)
        before, lost = lost, any(run.record is not None and run.record.status in HOPELESS for run in runs)
        if (before and lost) or trial.should_prune():
            raise optuna.TrialPruned


def _together(runs: list[Run]) -> Iterator[list[Point]]:
    """Train runs of the same length side by side; the points of their curves, as they come."""
    while not runs[0].over:
        for run in runs:
            known = len(run.curve)
            while len(run.curve) == known:
                run.step()
        yield [run.curve[-1] for run in runs]


def _kept(trial: optuna.Trial, outcomes: list[Outcome], store: Store | None) -> None:
    trial.set_user_attr(KEYS, [outcome.job.key for outcome in outcomes])
    if store is not None:
        for outcome in outcomes:
            store.add(outcome)


def opened(search: Search, url: str) -> optuna.Study:
    """The study of a search in a database; a new one first tries the settings as they are.

    Parameters
    ----------
    search : Search
        What is tuned.
    url : str
        Of a database that SQLAlchemy knows, such as ``sqlite:///studies.db``.

    Raises
    ------
    PCMLabError
        If the database cannot be opened.
    """
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    with _experimental(), _reachable(url):
        study = optuna.create_study(
            study_name=search.study,
            storage=_storage(url),
            sampler=Sampler(search.seed),
            pruner=pruner(search),
            direction=StudyDirection[METRICS[search.metric].direction.upper()],
            load_if_exists=True,
        )
        if not study.get_trials(deepcopy=False):
            study.enqueue_trial(dict(search.first))
    return study


def _storage(url: str) -> RDBStorage:
    sqlite = url.startswith("sqlite")
    storage = RDBStorage(
        url,
        {"connect_args": {"timeout": 100}} if sqlite else {},
        heartbeat_interval=HEARTBEAT,
        grace_period=GRACE,
        heartbeat_stale_trial_callback=RetryHeartbeatStaleTrialCallback(),
    )
    if sqlite:
        _one_at_a_time(storage.engine)
    return storage


def _one_at_a_time(engine: Engine) -> None:
    """Have every transaction lock the file before it reads.

    SQLite does not lock what it reads for an update: two processes would be given the same evaluation
    (Optuna's documentation, frequently asked questions, SQLite3).
    """
    engine.dispose()  # connections that were made before
    event.listen(engine, "connect", lambda connection, _: setattr(connection, "isolation_level", None))
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))


@contextlib.contextmanager
def _reachable(url: str) -> Iterator[None]:
    """Whatever goes wrong with a database, in one line, without its password."""
    try:
        yield
    except (SQLAlchemyError, OptunaError, ImportError, ValueError, OSError) as error:
        raise PCMLabError(f"storage {shown(url)}: cannot be opened ({_first_line(error)})") from error


def _first_line(error: Exception) -> str:
    cause = getattr(error, "orig", None) or error
    return (str(cause).splitlines() or [type(error).__name__])[0]


def shown(url: str) -> str:
    """A database's URL without its password."""
    try:
        return make_url(url).render_as_string(hide_password=True)
    except SQLAlchemyError:
        return repr(url)


@contextlib.contextmanager
def _experimental() -> Iterator[None]:
    """Heartbeats have been experimental in Optuna since 2.9."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        yield


def finished(study: optuna.Study) -> int:
    """How many evaluations count toward the budget."""
    return len(study.get_trials(deepcopy=False, states=DONE))


def work(
    search: Search, study: optuna.Study, store: Store | None = None, marks: Mapping[str, str] | None = None
) -> Iterator[int]:
    """Evaluate until the budget is spent, beside any number of others who do.

    Parameters
    ----------
    search : Search
        What is tuned.
    study : optuna.Study
        Its study, from `opened`.
    store : Store, optional
        Where the runs of evaluations in full are kept.
    marks : mapping, optional
        Attributes for the evaluations that are done here.

    Yields
    ------
    int
        Evaluations of the study that are finished, after each of one's own.
    """

    def objective(trial: optuna.Trial) -> float:
        for name, mark in (marks or {}).items():
            trial.set_user_attr(name, mark)
        if place(study, trial.number) >= search.evaluations:
            raise SurplusError
        try:
            return evaluate(search, trial, store)
        except (optuna.TrialPruned, UpdateFinishedTrialError):
            raise
        except BaseException:
            study.enqueue_trial(trial.params)  # whoever goes on begins with it
            raise

    while (number := finished(study)) < search.evaluations:
        if number + _under_way(study) < search.evaluations:
            with _experimental(), contextlib.suppress(UpdateFinishedTrialError):  # taken over: we seemed dead
                study.optimize(objective, n_trials=1, catch=(SurplusError,))
            yield finished(study)
        else:
            time.sleep(0.2)  # others are at the last ones, and may die


def _under_way(study: optuna.Study) -> int:
    """Evaluations that others are at; those whose worker has died are taken over."""
    with _experimental():
        optuna.storages.fail_stale_trials(study)
    return len(study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)))
