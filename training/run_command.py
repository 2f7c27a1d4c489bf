"""``pcmlab run`` and ``pcmlab resume``: train one run, keep it from time to time, say what it came to."""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from pcmsim.errors import FileError
from pcmsim.foundation.paths import expanded
from training import benchmark, loading, results, runs_command
from training.chip import command as chip_command
from training.chip.base import Chip, ChipError, ChipWrittenError
from training.config import RunConfig
from training.evaluation import evaluate
from training.files import interval
from training.interrupts import undisturbed
from training.jobs import NONE, Job, Run
from training.records import TrialRecord
from training.results import RunFolder
from training.session import Session
from training.studies import INTERRUPTED

RECENT = 30
TRIALS = 750
LAST = ("rate", "total_sets", "total_resets", "total_reads", "device_time", "status", "message")


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """Options of ``pcmlab run``, apart from the configuration."""
    parser.add_argument("--trials", type=benchmark.count, default=TRIALS, help=f"trials to train (default {TRIALS})")
    _add_options(parser)
    parser.add_argument(
        "--overwrite-chip", action="store_true", help="begin on the weights that another run has left on the chip"
    )
    parser.add_argument("--store", metavar="FOLDER", help="keep the finished run there (default PCMLAB_STORE, if set)")


def add_resume_options(parser: argparse.ArgumentParser) -> None:
    """Options of ``pcmlab resume``."""
    parser.add_argument("checkpoint", help="checkpoint file, or the folder of a run")
    further = parser.add_mutually_exclusive_group()
    further.add_argument(
        "--trials", type=benchmark.count, default=TRIALS, help=f"further trials to train (default {TRIALS})"
    )
    parser.add_argument(
        "--accept-changed-files",
        action="store_true",
        help="go on although a data or device file holds something else than the run has read",
    )
    further.add_argument("--until", type=benchmark.count, metavar="N", help="train until N trials are done in all")
    _add_options(parser)


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out", metavar="FOLDER", help="write config.yaml, trials.csv and checkpoint.safetensors there"
    )
    interval.add_options(parser)
    parser.add_argument(
        "--evaluate-every",
        type=benchmark.count,
        metavar="N",
        help="ask about the validation part every N trials, about the test part at the end; written to evaluations.csv",
    )
    chip_command.add_run_options(parser)
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def run(options: argparse.Namespace, config: RunConfig) -> int:
    """``pcmlab run``: the exit code."""
    chip = chip_command.connected(options)
    store = runs_command.keeping(options.store, chip)
    with _folder(options.out, options) as folder:
        if store is None:
            held = folder.journaled(chip) if folder is not None and chip is not None else chip
            session = _begun(config, held, options.overwrite_chip)
            if folder is not None:
                folder.begin(session)
            return _Training(session, folder, options).end(session.run(options.trials))
        job = Job(config, options.trials, judge="test" if options.evaluate_every else NONE)
        with contextlib.closing(Run(job, None if folder else store.unfinished(interval.asked(options)))) as whole:
            if folder is not None:
                folder.begin(whole.session)
            training = _Training(whole.session, folder, options)
            return training.end(whole.records(), keep=lambda: store.add(whole.outcome()))


def _begun(config: RunConfig, chip: Chip | None, overwrite: bool) -> Session:
    try:
        return Session(config, chip, overwrite_chip=overwrite)
    except ChipWrittenError as error:
        expected = "or that it is written on all the same (--overwrite-chip); its own run goes on with pcmlab resume"
        raise ChipError(f"{error}, {expected}") from error


def resume(options: argparse.Namespace) -> int:
    """``pcmlab resume``: the exit code."""
    path = expanded(options.checkpoint)
    if not path.exists():
        raise FileError(path, "does not exist; expected a checkpoint written by pcmlab")
    chip = chip_command.connected(options)
    with _folder(options.out or (path if path.is_dir() else None), options) as folder:
        if folder is not None and chip is not None:
            chip = folder.journaled(chip, loading.progress(path).trial)
        session = loading.trained(path, chip, accept_changed_files=options.accept_changed_files)
        training = _Training(session, folder, options)
        if folder is not None:
            training.take_up(folder)
        further = options.trials if options.until is None else max(0, options.until - session.trial)
        return training.end(session.run(further), further)


def _folder(
    path: str | Path | None, options: argparse.Namespace
) -> contextlib.AbstractContextManager[RunFolder | None]:
    """Where the run is kept, if anywhere, and nobody else writes meanwhile."""
    return contextlib.nullcontext() if path is None else RunFolder(path, interval.asked(options))


class _Training:
    """A run that trains, is asked about samples on the way, and is kept.

    Parameters
    ----------
    session : Session
        The run.
    folder : RunFolder or None
        Where it is kept.
    options : argparse.Namespace
        Of the command.
    """

    def __init__(self, session: Session, folder: RunFolder | None, options: argparse.Namespace) -> None:
        self._session, self._folder, self._options = session, folder, options
        self._trials, self._judged = list[dict[str, Any]](), list[dict[str, Any]]()
        self._asked = set[tuple[int, str]]()
        for remark in session.sampler.remarks:
            print(f"pcmlab: {remark}", file=sys.stderr)
        if options.evaluate_every:
            session.sampler.evaluation("validation")  # what is missing is said before training

    def take_up(self, folder: RunFolder) -> None:
        """Go on with what a folder holds."""
        for _ in folder.take_up(self._session):
            pass
        self._asked = {(int(row["trial"]), row["part"]) for row in folder.judged_before(self._session.trial)}

    def end(
        self, records: Iterator[TrialRecord], trials: int | None = None, keep: Callable[[], None] = lambda: None
    ) -> int:
        """Train, keep what has come to its end, then tell: that may fail; the exit code."""
        done = self._kept(lambda: self._follow(records, self._options.trials if trials is None else trials))
        if self._options.evaluate_every and done:
            done = self._kept(lambda: self._ask("test"))
        if done:
            keep()
        if self._trials:
            facts = _facts(self._session, self._trials, self._judged)
            print(json.dumps(facts) if self._options.json else _sentence(facts, min(len(self._trials), RECENT)))
        return 0 if done else INTERRUPTED

    def _kept(self, work: Callable[[], None]) -> bool:
        """Do some work, and keep what was done, whatever ended it; whether it came to its own end."""
        try:
            work()
        except KeyboardInterrupt:
            self._keep()
            return False
        except Exception:
            self._keep()
            raise
        self._keep()
        return True

    def _keep(self) -> None:
        """All that is whole: of a run that broke off inside a trial, the lines of the trials before."""
        if self._folder is not None:
            self._folder.keep(self._session) if self._session.whole else self._folder.keep_lines()

    def _follow(self, records: Iterator[TrialRecord], trials: int) -> None:
        self._ask_on_the_way()
        hidden = self._options.quiet or not sys.stderr.isatty()
        with tqdm(total=trials, unit="trial", disable=hidden, file=sys.stderr) as bar:
            for record in self._noted(records):
                self._ask_on_the_way()
                if self._folder is not None and self._folder.due(self._session.trial):
                    self._folder.keep(self._session)
                bar.update()
                bar.set_postfix(
                    loss=f"{record.loss:.4f}", rate=f"{record.rate:.1f} Hz", status=record.status, refresh=False
                )

    def _noted(self, records: Iterator[TrialRecord]) -> Iterator[TrialRecord]:
        """The records, each when it is taken down: an interruption leaves no trial without a line."""
        while True:
            with undisturbed():
                record = next(records, None)
                if record is None:
                    return
                self._trials.append(record.scalars())
                if self._folder is not None:
                    self._folder.note(record)
            yield record

    def _ask_on_the_way(self) -> None:
        every, trial = self._options.evaluate_every, self._session.trial
        if every and trial and trial % every == 0:
            self._ask("validation")

    def _ask(self, part: str) -> None:
        """Ask about the samples of a part, unless that was done before the run was taken up."""
        if (self._session.trial, part) in self._asked:
            return
        row = results.judged(self._session.trial, evaluate(self._session, part))
        self._asked.add((self._session.trial, part))
        self._judged.append(row)
        if self._folder is not None:
            self._folder.judge(row)


def _facts(session: Session, trials: list[dict[str, Any]], judged: list[dict[str, Any]]) -> dict[str, Any]:
    recent = trials[-RECENT:]
    right = [trial["decision"] == trial["label"] for trial in recent]
    tested = {name: value for name, value in (judged[-1] if judged else {}).items() if not _undefined(value)}
    return {
        "trials": session.trial,
        "loss": float(np.mean([trial["loss"] for trial in recent])),
        "best_loss": min(trial["loss"] for trial in trials),
        "baseline": float(np.mean([trial["baseline"] for trial in recent])),
        **({"accuracy": float(np.mean(right))} if session.sampler.classes else {}),
        **({"test": tested} if tested.get("part") == "test" else {}),
        **{name: trials[-1][name] for name in LAST},
        "wall_seconds": sum(trial["seconds"] for trial in trials),
        "seed": session.config.seed,
    }


def _undefined(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _sentence(facts: dict[str, Any], recent: int) -> str:
    classes = "accuracy" in facts
    right = f", {100.0 * facts['accuracy']:.1f} % right" if classes else ""
    line = (
        f"trial {facts['trials']}: mean {'cross-entropy' if classes else 'squared error'} {facts['loss']:.4f}{right} "
        f"over the last {recent} trials (silent network {facts['baseline']:.3f}), {facts['rate']:.1f} Hz, "
        f"{facts['total_sets']} SETs, {facts['total_resets']} RESETs, {facts['wall_seconds']:.1f} s"
    )
    told = [line, _tested(facts["test"]) if "test" in facts else "", facts["message"]]
    return "\n".join(text for text in told if text)


def _tested(test: dict[str, Any]) -> str:
    where = "test samples, never trained on" if test["held_out"] else "samples of the training set"
    right = f"{100.0 * test['accuracy']:.1f} % right, " if "accuracy" in test else ""
    return f"{test['samples']} {where}: {right}loss {test['loss']:.4f}, {test['hidden_spikes']:.2f} spikes per neuron"
