"""The page's side of a worker: one process per browser session trains, the page looks.

Training in a process of its own competes with no page for Python's lock, and what goes wrong there
harms nobody else. Wishes are small messages; what is published comes back as messages too, which a
thread of the session puts into a single slot. The page waits for neither. Whole files go from one to
the other by their names, in a folder that goes with the runner.
"""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import shutil
import threading
import weakref
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from app.chips import ChipPlace
from app.processes import Helper
from app.run.folders import session_folder
from app.shot import Shot
from app.trainer import Trainer
from app.worker import work
from pcmsim.errors import PCMLabError
from pcmsim.foundation import confinement
from training.config import RunConfig

NAME = "pcmlab-worker"
GONE = "The worker has ended{}: the run is lost. Reset begins it anew."


def _nothing() -> None:
    pass


class Runner:
    """Has a process of its own train, and holds what it published last.

    The first trial is run at once, so that there is something to see; then the run is paused. With
    its runner the process ends.

    Parameters
    ----------
    config : RunConfig
        The configuration to begin with.
    place : ChipPlace, optional
        Where the chip answers that holds the weights; without one they are simulated.
    waits : bool
        Whether the process begins only with `begin`; wishes until then are kept for it.

    Attributes
    ----------
    latest : Shot
        What was published last.
    folder : Path
        For files of this session; it is gone when the runner has stopped.
    notices : deque of str
        Sentences for the person, oldest first; the page takes them out.
    answered : callable
        Called on the session's thread when `latest` shows for the first time what `configure` or `reset` asked for.
    """

    def __init__(self, config: RunConfig, place: ChipPlace | None = None, *, waits: bool = False) -> None:
        self.latest, self._place = Shot(0, 0, False, config), place
        self.notices: deque[str] = deque(maxlen=20)
        self.answered: Callable[[], None] = _nothing
        self._numbers = itertools.count()
        self._open: dict[int, Future[Any]] = {}
        self._lock = threading.Lock()
        self._limit, self._stopped = 0.0, False
        self.folder = session_folder()
        confinement.admit(self.folder)
        self._clear = weakref.finalize(self, _remove, self.folder)
        self._thread: threading.Thread | None = None
        self._early: list[tuple[Any, ...]] = []
        if not waits:
            self.begin()

    @property
    def alive(self) -> bool:
        """Whether there is a worker."""
        return self._thread is not None and self._thread.is_alive()

    def begin(self) -> None:
        """Begin to run, if that has not happened and nobody has stopped it; wishes that came before are told now."""
        if self._thread is None and not self._stopped:
            self._begin(self.latest.config)
            with self._lock:
                for message in self._early:
                    self._connection.send(message)
                self._early.clear()

    def start(self) -> None:
        """Run trials until paused."""
        self._call("start")

    def pause(self) -> None:
        """Finish the present trial, then wait."""
        self._call("pause")

    def toggle(self) -> None:
        """Pause what runs or is about to, start what does not."""
        self._call("toggle")

    def step(self) -> None:
        """Pause, and run one more trial."""
        self._call("step")

    def configure(self, config: RunConfig, version: int) -> None:
        """Change settings before the next trial; only the newest wish counts.

        Parameters
        ----------
        config : RunConfig
            The configuration wanted.
        version : int
            The page's number of it; comes back in `Shot.config_version`.
        """
        self._call("configure", config, version)

    def reset(self, config: RunConfig, version: int) -> None:
        """Begin a new run, paused or running as before, on a new worker if need be; arguments as in `configure`."""
        if self._thread is not None and not self.alive and not self._stopped:
            self._begin(config)
        self._call("reset", config, version)

    def ask_snapshot(self) -> None:
        """Publish a snapshot together with the next trial; at once when paused."""
        with contextlib.suppress(OSError):
            self._send("ask_snapshot")

    def ask(self, action: Callable[[Trainer], Any]) -> Future[Any]:
        """Have the worker do something between two trials.

        Parameters
        ----------
        action : callable
            Gets the trainer; it must travel to another process, as `operator.methodcaller` does.

        Returns
        -------
        concurrent.futures.Future
            Its result. A failure is in it and, as any failure, among the notices.
        """
        future: Future[Any] = Future()
        number = next(self._numbers)
        self._open[number] = future
        self._call("ask", action, number=number)
        return future

    def path(self) -> Path:
        """A name for a file in the folder, given only once."""
        return self.folder / str(next(self._numbers))

    def limit(self, trials_per_second: float) -> None:
        """Run at most so many trials per second; 0 is as fast as possible."""
        self._limit = trials_per_second
        with contextlib.suppress(OSError):
            self._send("limit", trials_per_second)

    def stop(self, timeout: float = 1.0) -> None:
        """End the worker, in the middle of a trial if need be; wait up to `timeout` [s] for it."""
        self._stopped = True
        if self._thread is not None:
            self._process.terminate()
        if self._thread not in (None, threading.current_thread()):
            self._thread.join(timeout)
        if not self.alive:
            self._clear()

    def _begin(self, config: RunConfig) -> None:
        """A worker, and a thread that listens to it for as long as this runner is held."""
        self._connection, theirs = multiprocessing.Pipe()
        folders = (str(self.folder),) if confinement.confined() else None
        self._process = Helper(work, (theirs, config, self.latest.run, self._place, folders), NAME)
        theirs.close()
        weakref.finalize(self, self._process.terminate)
        listening = (weakref.ref(self), self._connection, self._process)
        self._thread = threading.Thread(target=_listen, args=listening, name="pcmlab-listener", daemon=True)
        self._thread.start()
        self.limit(self._limit)

    def _call(self, method: str, *arguments: Any, number: int = -1) -> None:
        """What a person has asked for: without a worker they are told."""
        try:
            self._send(method, *arguments, number=number)
        except OSError:
            self._tell_gone()

    def _send(self, method: str, *arguments: Any, number: int = -1) -> None:
        message = (number, method, arguments)
        with self._lock:
            if self._thread is None:
                self._early.append(message)
            else:
                self._connection.send(message)

    def _take(self, kind: str, *content: Any) -> None:
        (self._take_shot if kind == "shot" else self._take_answer)(*content)

    def _take_shot(self, changes: dict[str, Any], notices: list[str]) -> None:
        self.notices.extend(notices)
        self._publish(**changes)

    def _take_answer(self, number: int, result: Any, error: BaseException | None) -> None:
        future = self._open.pop(number, None)
        if future is None:  # Told already that the worker has gone.
            return
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)

    def _ended(self, exit_code: int | None) -> None:
        """Nothing more will come: say so, unless it was stopped."""
        self._connection.close()
        if self._stopped:
            self._clear()
        else:
            self._tell_gone("" if exit_code is None else f" (exit code {exit_code})")

    def _tell_gone(self, why: str = "") -> None:
        for number in list(self._open):
            self._take_answer(number, None, PCMLabError(GONE.format(why)))
        if not self._stopped:
            self.notices.append(GONE.format(why))
            self._publish(running=False, speed=0.0)

    def _publish(self, **changes: Any) -> None:
        before = self.latest
        self.latest = replace(before, version=before.version + 1, **changes)
        if self.latest.config_version != before.config_version:
            self.answered()


def _remove(folder: Path) -> None:
    confinement.dismiss(folder)
    shutil.rmtree(folder, ignore_errors=True)


def _listen(owner: weakref.ref[Runner], connection: Connection, process: Helper) -> None:
    """Hand on what a worker sends, until it has ended."""
    with contextlib.suppress(EOFError, OSError):
        while True:
            message = connection.recv()
            if (runner := owner()) is not None:
                runner._take(*message)
            del runner, message
    process.join()
    if (runner := owner()) is not None:
        runner._ended(process.exit_code)
