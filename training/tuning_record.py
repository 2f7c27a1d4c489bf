"""What a study came to: its record, and the settings it found as a preset."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from importlib import metadata
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from pcmsim.errors import PCMLabError
from training import codec
from training.config import RunConfig
from training.jobs import versions
from training.search import Search
from training.store import Store
from training.tuned_presets import Record, Tuned
from training.tuning import KEYS, TRAINED, VALUES
from training.tuning_study import DONE

FEW = 10
"""Evaluations in full below which nothing can be said about importance: the best tenth would be none."""


def record(search: Search, study: optuna.Study) -> Record:
    """What a study did, in numbers.

    Raises
    ------
    PCMLabError
        If no evaluation is finished in full.
    """
    within = counted(search, study)
    best, finished, done = best_of(within), full(within), within.get_trials(deepcopy=False)
    return Record(
        study=search.study,
        metric=search.metric,
        trials=search.trials,
        every=search.every,
        judge=search.judge,
        evaluations=len(done),
        finished=len(finished),
        pruned=len(done) - len(finished),
        trained=sum(trial.user_attrs.get(TRAINED, 0) for trial in done),
        best=sum(best.user_attrs[VALUES]) / search.seeds,
        untuned=done[0].value if done[0] in finished and done[0].params.items() >= search.first.items() else None,
        date=datetime.now(UTC).date().isoformat(),
        seeds=tuple(job.config.seed for job in search.jobs({})),
        each=tuple(best.user_attrs[VALUES]),
        fields={name: str(known) for name, known in search.fields.items()},
        importance=importance(within),
        versions={**versions(), "optuna": metadata.version("optuna")},
    )


def counted(search: Search, study: optuna.Study) -> optuna.Study:
    """The part of a study that lies within the budget of a search; others may have gone further."""
    within = optuna.create_study(study_name=study.study_name, direction=study.direction)
    within.add_trials(study.get_trials(deepcopy=False, states=DONE)[: search.evaluations])
    return within


def full(study: optuna.Study) -> list[FrozenTrial]:
    """The evaluations that were finished in full."""
    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))


def best_of(study: optuna.Study) -> FrozenTrial:
    """The best evaluation of those in full.

    Raises
    ------
    PCMLabError
        If there is none.
    """
    try:
        return study.best_trial
    except ValueError as error:
        raise PCMLabError(f"study {study.study_name}: no evaluation was finished in full; allow more") from error


def importance(study: optuna.Study) -> dict[str, float]:
    """How much of the difference between good and other evaluations each field explains; the shares add up to 1.

    PED-ANOVA over the evaluations in full (Watanabe et al. 2023, doi:10.24963/ijcai.2023/488); empty
    where these are fewer than `FEW`.
    """
    if len(full(study)) < FEW:
        return {}
    evaluator = optuna.importance.PedAnovaImportanceEvaluator()
    return dict(optuna.importance.get_param_importances(study, evaluator=evaluator))


def tuned(search: Search, study: optuna.Study) -> Tuned:
    """The settings that a study found, as a preset.

    Raises
    ------
    PCMLabError
        If no evaluation is finished in full.
    """
    found = search.config.with_values(best_of(counted(search, study)).params)
    return Tuned(
        f"{search.config.scheme.summary} Settings found by search.", dict(differences(found)), record(search, study)
    )


def differences(config: RunConfig) -> Iterator[tuple[str, Any]]:
    """What differs from the defaults, by dotted name, in an order in which it can be put together again."""
    return _differing(RunConfig().to_dict(), config.to_dict(), "")


def _differing(default: Any, here: Mapping[str, Any], path: str) -> Iterator[tuple[str, Any]]:
    for name, value in here.items():
        known = default.get(name)
        both = isinstance(value, dict) and isinstance(known, dict) and name != "constants"
        if both and value.get("name") == known.get("name"):
            yield from _differing(known, value, f"{path}{name}.")
        elif value != known:
            yield f"{path}{name}", value


def keep(search: Search, study: optuna.Study, store: Store) -> None:
    """Write down in a run store which of its runs are the study's."""
    jobs = [job for trial in full(study) if KEYS in trial.user_attrs for job in search.jobs(trial.params)]
    about = {"scheme": codec.name_of(search.config.scheme), "fields": {n: str(k) for n, k in search.fields.items()}}
    store.keep_group(search.study, "study", about, jobs)
