"""The study of a search: a database that any number of processes work at, none of which may be missed."""

from __future__ import annotations

import contextlib
import os
import platform
import time
import warnings
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import optuna
from optuna.exceptions import ExperimentalWarning, OptunaError, UpdateFinishedTrialError
from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import event
from sqlalchemy.engine import URL, Engine, make_url
from sqlalchemy.exc import SQLAlchemyError

from pcmsim.errors import PCMLabError
from training.files.interval import Interval
from training.jobs import METRICS
from training.search import Search
from training.store import Store
from training.support.locks import among_others
from training.tuning import Sampler, evaluate, place, pruner
from training.writing import keeping, replacing

DONE = (TrialState.COMPLETE, TrialState.PRUNED)
"""States that count toward the budget; what failed or was killed does not."""

HEARTBEAT, GRACE = 5, 30
"""A worker gives a sign of life this often [s]; without one for so long its evaluation is somebody else's [s]."""

WORKER, FIXED = "worker", "fixed_params"
"""Where an evaluation says whose it is, and Optuna what was fixed beforehand."""


class SurplusError(Exception):
    """An evaluation beyond the budget, drawn by two workers at the same time."""


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
        if all(trial.state is TrialState.FAIL for trial in study.get_trials(deepcopy=False)):
            study.enqueue_trial(dict(search.first))
    return study


def sqlite(path: Path) -> str:
    """The URL of an SQLite file; a name may hold what means something in URLs."""
    return URL.create("sqlite", database=str(path.resolve())).render_as_string()


def _storage(url: str) -> RDBStorage:
    sqlite = url.startswith("sqlite")
    if sqlite:
        _make(make_url(url).database or "")
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


def _make(database: str) -> None:
    """Have Optuna make a new file beside its place.

    One whose making was broken off may lack an index, which is not made later, and would take two studies of one name.
    """
    path = Path(database)
    if database in ("", ":memory:") or database.startswith("file:") or path.exists() or not path.parent.is_dir():
        return
    with replacing(path, move=keeping) as made:
        RDBStorage(sqlite(made)).engine.dispose()


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


@contextlib.contextmanager
def at_work(study: optuna.Study, url: str) -> Iterator[None]:
    """Work at a study; who is alone with its database does first what processes were at that were killed.

    Of a database on another machine nobody knows who works there: evaluations of the dead are known by their silence.
    """
    file = _file(url)
    if file is None:
        yield
        return
    with among_others(file) as entering:
        with entering as alone:
            if alone:
                hand_back(study, lambda _: True)
        yield


def _file(url: str) -> Path | None:
    """Where a database of this machine is."""
    parts = make_url(url)
    local = parts.get_backend_name() == "sqlite" and parts.database not in (None, "", ":memory:")
    return Path(str(parts.database)) if local else None


def finished(study: optuna.Study) -> int:
    """How many evaluations count toward the budget."""
    return len(study.get_trials(deepcopy=False, states=DONE))


def work(
    search: Search,
    study: optuna.Study,
    store: Store | None = None,
    name: str | None = None,
    interval: Interval | None = None,
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
    name : str, optional
        Of who works, kept with each evaluation; by default machine and process.
    interval : Interval, optional
        How often runs that are under way are kept in the store.

    Yields
    ------
    int
        Evaluations of the study that are finished, after each of one's own.
    """
    own = name or f"{platform.node()}:{os.getpid()}"

    def objective(trial: optuna.Trial) -> float:
        trial.set_user_attr(WORKER, own)
        if place(study, trial.number) >= search.evaluations:
            raise SurplusError
        try:
            return evaluate(search, trial, store, interval)
        except (optuna.TrialPruned, UpdateFinishedTrialError):
            raise
        except BaseException:
            _again(study, study.get_trials(deepcopy=False)[trial.number])
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
    hand_back(study, _stillborn)
    return len(study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)))


def _stillborn(trial: FrozenTrial) -> bool:
    """Whether its worker died before it gave its name, and a first sign of life."""
    begun = trial.datetime_start
    return WORKER not in trial.user_attrs and begun is not None and datetime.now() - begun > timedelta(seconds=GRACE)


def hand_back(study: optuna.Study, lost: Callable[[FrozenTrial], bool]) -> None:
    """Have somebody else do the evaluations under way whose workers are no more."""
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        if lost(trial) and _failed(study, trial):
            _again(study, trial)


def _failed(study: optuna.Study, trial: FrozenTrial) -> bool:
    """End an evaluation as failed; whether nobody else has ended it meanwhile."""
    try:
        study.tell(trial.number, state=TrialState.FAIL)
    except (ValueError, UpdateFinishedTrialError):  # Optuna's errors for one that has ended
        return False
    return True


def _again(study: optuna.Study, trial: FrozenTrial) -> None:
    """Whoever goes on begins with the same settings; they wait already if who gave them back was killed meanwhile."""
    wanted = {**trial.system_attrs.get(FIXED, {}), **trial.params}
    waiting = study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
    if wanted not in [other.system_attrs.get(FIXED) for other in waiting]:
        study.enqueue_trial(wanted)
