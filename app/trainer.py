"""The worker's own side of a run: session, histories, pace; and the one thing that it publishes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from app.exam import Exam
from app.history import Curve, Drift
from app.priority import be_modest
from app.shot import Look, Shot, Twin
from pcmsim import energy
from pcmsim.errors import PCMLabError
from training import aging, honesty, inspection, memory, meters, twin
from training.chip.base import Chip, ChipError, ChipWrittenError
from training.config import RunConfig
from training.honesty import Honesty, Question
from training.network import LAYERS
from training.records import Snapshot, TrialRecord
from training.session import Session

RATE_WINDOW = 0.5
IDLE = 3600.0
METERS_EVERY = 0.4
"""Seconds between measurements while training: meters need not move at the plots' pace."""

NO_RUN = "There is no run yet."
RESET_AGAIN = "Reset once more to write on it all the same."
ON_CHIP = "Gradients are compared on a copy of the weights, and those on a chip cannot be copied: simulate the devices."


class Trainer:
    """Trains one trial at a time, on the worker's thread only.

    Parameters
    ----------
    publish : callable
        Replaces fields of the latest shot.
    latest : callable
        The latest shot.
    later : callable
        Has something done with the trainer, on the worker's thread; any thread may call it.
    chip : callable
        The chip that holds the weights; None simulates them here.
    """

    def __init__(
        self,
        publish: Callable[..., None],
        latest: Callable[[], Shot],
        later: Callable[[Callable[[Trainer], Any]], Any],
        chip: Callable[[], Chip | None] = lambda: None,
    ) -> None:
        self._publish, self._latest, self._later, self._chip = publish, latest, later, chip
        self._comparing = threading.Lock()
        self._told = False
        self._session: Session | None = None
        self._twin: Session | None = None
        self._exam: Exam | None = None
        self._cell: tuple[str, int, int] | None = None
        self._neuron: int | None = None
        self._due, self._measured, self._version = 0.0, 0.0, 0
        self.mark()

    def mark(self) -> None:
        """Begin to measure the speed anew."""
        self._marked, self._trials = time.perf_counter(), 0

    def restart(self, config: RunConfig, version: int) -> tuple[str, ...]:
        """Begin a new run and run its first trial; the old run stays if that fails. Returns remarks on its files."""
        self._version = version  # Refused or not, this wish has an answer.
        session = self._begun(config)
        self._adopt(session)
        return session.sampler.remarks

    def _begun(self, config: RunConfig) -> Session:
        """A new run; on a chip that another has written, only once the person has been told and asks again."""
        told, self._told = self._told, False
        try:
            return Session(config, self._chip(), overwrite_chip=told)
        except ChipWrittenError as error:
            self._told = True
            raise ChipError(f"{error}. {RESET_AGAIN}") from error

    def resume(self, path: str) -> RunConfig:
        """Go on with the run of a checkpoint, whose configuration this returns; the old run stays if that fails."""
        session = Session.resume(path, self._chip())
        self._adopt(session)
        return session.config

    def configure(self, config: RunConfig, version: int) -> None:
        """Change settings between trials; `announce` tells when nothing is trained, also of a refusal."""
        self._version = version
        if self._session is not None:
            self._session.configure(config)
            if self._twin is not None and (shown := self._latest().twin) is not None:
                self._twin.configure(twin.without(config, shown.name))

    def announce(self) -> None:
        """Publish the settings in force, if that is news; while training, the first trial that has them does."""
        if self._session is not None and self._version != self._latest().config_version:
            self._publish(**self._settings())

    def step(self, with_snapshot: bool, running: bool) -> None:
        """Run one trial; `running`: whether more will follow by themselves."""
        if self._session is not None:
            self._due = time.perf_counter()
            self._tell(self._session.step(), with_snapshot, running)

    def _tell(self, record: TrialRecord, with_snapshot: bool, running: bool) -> None:
        shot = replace(self._latest(), running=running)
        shot.curve.append(record, self._exam.take(record))
        if self._chip() is None:
            shot.drift.append(record)
        news = {"record": record, "running": running, "speed": self._speed(shot), **self._settings()}
        news["twin"] = self._step_twin(shot.twin)
        self._publish(**news, **(self._look(replace(shot, **news), patient=shot.running) if with_snapshot else {}))

    def snapshot(self) -> None:
        """Publish the devices' state and the meters."""
        if self._session is not None:
            self._publish(**self._look(self._latest()))

    def pair(self, name: str | None) -> None:
        """Let a twin without the named non-ideality go on beside the run; None: no twin.

        Raises
        ------
        UnknownNameError
            If there is no such non-ideality.
        """
        self._twin = twin.twin(self._session, name) if name and self._session is not None else None
        self._publish(twin=Twin(name) if name and self._twin is not None else None)
        self.snapshot()

    def pick_cell(self, layer: str, pre: int, post: int) -> None:
        """Report on one synapse from now on; an unknown one is refused, and what was picked stays."""
        self._pick((layer, pre, post), None)

    def pick_neuron(self, number: int) -> None:
        """Report on one hidden neuron from now on; an unknown one is refused, and what was picked stays."""
        self._pick(None, number)

    def drop_pick(self) -> None:
        """Report on nothing in particular."""
        self._pick(None, None)

    def fast_forward(self, seconds: float) -> None:
        """Leave the chip alone for a while; see `training.aging`."""
        if self._session is not None:
            left = aging.fast_forward(self._session, seconds)
            if self._twin is not None:
                self._twin.device_time += seconds
            self._publish(aging=left, **self._look(self._latest()))

    def compare_gradients(self) -> None:
        """Compare e-prop with backpropagation through time beside the run; not twice at the same time."""
        if self._session is None:
            raise PCMLabError(NO_RUN)
        if self._chip() is not None:
            raise PCMLabError(ON_CHIP)
        if not self._comparing.locked():
            asked = honesty.prepare(self._session), self._latest().run
            self._comparing.acquire()  # Only this thread does: what cannot be prepared leaves the way free.
            threading.Thread(target=self._compare, args=asked, name="pcmlab-honesty", daemon=True).start()

    def save(self, path: str) -> None:
        """Write a checkpoint."""
        if self._session is None:
            raise PCMLabError(NO_RUN)
        self._session.save(path)
        self._publish(saved=self._session.trial - 1)

    def pause(self, limit: float) -> float:
        """Seconds until the next trial may begin; without a session there is none to wait for."""
        if self._session is None:
            return IDLE
        return self._due + 1.0 / limit - time.perf_counter() if limit > 0.0 else 0.0

    def _compare(self, question: Question, run: int) -> None:
        """Have the answer published, or the failure told as any other."""
        be_modest()
        try:
            answer = honesty.answer(question)
            self._later(lambda trainer: trainer.compared(answer, run))
        except Exception as error:
            self._later(_raising(error))
        finally:
            self._comparing.release()

    def compared(self, answer: Honesty, run: int) -> None:
        """Publish a comparison, unless another run has begun since it was asked for."""
        if run == self._latest().run:
            self._publish(honesty=answer)

    def _adopt(self, session: Session) -> None:
        session.observe()
        paired = self._latest().twin
        mate = twin.twin(session, paired.name) if paired is not None else None
        record = session.step()
        exam, curve, drift = Exam(session), Curve(), Drift()
        curve.append(record, exam.take(record))
        self._session, self._twin, self._exam = session, mate, exam
        if self._chip() is None:
            drift.append(record)
        self.mark()
        news: dict[str, Any] = {"run": self._latest().run + 1, "curve": curve, "drift": drift, **self._settings()}
        news |= {
            "record": record,
            "twin": self._step_twin(paired and Twin(paired.name)),
            "aging": None,
            "honesty": None,
            "saved": None,
        }
        self._forget_missing()
        shot = replace(self._latest(), **news)
        self._publish(**news, **self._look(shot))

    def _settings(self) -> dict[str, Any]:
        return {"config": self._session.config, "config_version": self._version}

    def _pick(self, cell: tuple[str, int, int] | None, neuron: int | None) -> None:
        before = self._cell, self._neuron
        self._cell, self._neuron = cell, neuron
        try:
            self.snapshot()
        except PCMLabError:
            self._cell, self._neuron = before
            raise

    def _forget_missing(self) -> None:
        """A pick that the new run does not have is dropped."""
        hidden = self._session.config.network.hidden
        shapes = dict(zip(LAYERS, (array.shape for array in self._session.arrays), strict=True))
        if self._cell is not None and not all(
            a < b for a, b in zip(self._cell[1:], shapes[self._cell[0]], strict=True)
        ):
            self._cell = None
        if self._neuron is not None and self._neuron >= hidden:
            self._neuron = None

    def _step_twin(self, shown: Twin | None) -> Twin | None:
        if self._twin is None or shown is None:
            return None
        record = self._twin.step()
        shown.curve.append(record)
        return replace(shown, record=record)

    def _look(self, shot: Shot, patient: bool = False) -> dict[str, Any]:
        """The devices' state; with it the meters, at their own slower pace."""
        taken = {"snapshot": self._session.snapshot(), "snapshot_of": shot.moment}
        self._follow_chip(shot, taken["snapshot"])
        now = time.perf_counter()
        if patient and shot.look is not None and now - self._measured < METERS_EVERY:
            return taken
        self._measured = now
        return {**taken, "look": self._measure(shot, taken["snapshot"])}

    def _follow_chip(self, shot: Shot, snapshot: Snapshot) -> None:
        """Conductances on a chip are known when it is looked at: reading an array in every trial costs too much."""
        if self._chip() is not None:
            probed, now = self._session.probe(snapshot), self._session.device_time
            shot.drift.append(replace(shot.record, probe=probed, device_time=now))

    def _measure(self, shot: Shot, snapshot: Snapshot) -> Look:
        session = self._session
        counted = map(memory.ledger, session.arrays, snapshot.values())
        ledgers = [ledger for ledger in counted if ledger is not None]
        return Look(
            meters=meters.measure(session, shot.record, snapshot),
            budget=energy.budget(ledgers, memory.costs(session.arrays, session.config), session.trial),
            wear=energy.wear(ledgers),
            cell=None if self._cell is None else inspection.cell(session, *self._cell),
            neuron=None if self._neuron is None else inspection.neuron(session, shot.record, self._neuron),
            twin=None if self._twin is None else self._twin.snapshot(),
            scores=self._exam.scores(),
        )

    def _speed(self, shot: Shot) -> float:
        self._trials += 1
        elapsed = time.perf_counter() - self._marked
        if not shot.running:
            return 0.0
        if elapsed < RATE_WINDOW:
            return shot.speed
        speed = self._trials / elapsed
        self.mark()
        return speed


def _raising(error: Exception) -> Callable[[Trainer], None]:
    def fail(trainer: Trainer) -> None:
        raise error

    return fail
