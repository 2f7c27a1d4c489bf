"""Workers of a Dask cluster; imported only where one is asked for."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future
from typing import Any, TypeVar

from distributed import Client
from distributed.core import rpc
from distributed.scheduler import KilledWorker
from distributed.utils import LoopRunner

from pcmsim.errors import PCMLabError
from training.pools import Pool, UnfitWorkerError, WorkerDiedError

T = TypeVar("T")
PATIENCE = 8.0
"""How long a scheduler may take to answer, and a first worker to appear [s]."""

PAUSE = 0.5
START = "dask worker {} --nworkers 2 --nthreads 1"


class ClusterPool(Pool):
    """The workers of a Dask scheduler.

    Parameters
    ----------
    address : str
        Of the scheduler.

    Raises
    ------
    PCMLabError
        If it cannot be reached, or has no workers.
    """

    def __init__(self, address: str) -> None:
        self._address, self._open = address, contextlib.ExitStack()
        with contextlib.ExitStack() as opening:
            opening.enter_context(_quiet())
            _find(address)
            self._client = Client(address, timeout=PATIENCE, set_as_default=False)
            opening.callback(self._client.close, PATIENCE)
            self._executor = self._client.get_executor(pure=False)
            self._open = opening.pop_all()

    @property
    def width(self) -> int:
        """Threads of all workers that are there now."""
        try:
            return max(1, sum(int(threads) for threads in self._client.nthreads().values()))
        except Exception as error:
            raise _gone(self._address) from error

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Have a function called; see `concurrent.futures.Executor.submit`."""
        ours: Future[T] = Future()
        theirs = self._executor.submit(fn, *args, **kwargs)
        theirs.add_done_callback(lambda done: self._pass_on(done, ours))
        ours.add_done_callback(lambda done: theirs.cancel() if done.cancelled() else None)
        return ours

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Leave the cluster as it was: calls that are not done are done first, or cancelled."""
        self._executor.shutdown(wait=wait and not cancel_futures)
        self._open.close()

    def _pass_on(self, theirs: Future[T], ours: Future[T]) -> None:
        if not ours.set_running_or_notify_cancel():
            return
        try:
            ours.set_result(theirs.result())
        except CancelledError:
            ours.set_exception(_gone(self._address))
        except KilledWorker as error:
            ours.set_exception(WorkerDiedError(f"the workers on which the run was begun have ended: {error.task}"))
        except ImportError as error:
            ours.set_exception(UnfitWorkerError(f"scheduler {self._address}: a worker lacks pcmlab ({error})"))
        except Exception as error:
            ours.set_exception(error)


def _find(address: str) -> None:
    """Ask the scheduler for its workers, before anything is built on it.

    In a loop of its own thread, as Dask's synchronous client has it: a notebook's thread runs a loop already.
    """
    try:
        found = LoopRunner().run_sync(_asked, address)
    except Exception as error:  # whatever was typed: no such scheme, name, port; something else that answers there
        reason = "no answer" if isinstance(error, TimeoutError) else str(error).split("\n")[0]
        raise PCMLabError(f"scheduler {address}: cannot be reached ({reason}); expected HOST:PORT of one") from error
    if found.get("type") != "Scheduler":
        raise PCMLabError(f"scheduler {address}: is no scheduler but a {found.get('type')}")
    if found["n_workers"] == 0:
        raise PCMLabError(f"scheduler {address}: has no workers; start some with: {START.format(address)}")


async def _asked(address: str) -> dict[str, Any]:
    """What answers at an address, once it has workers or patience ends."""
    remote, end = rpc(address, timeout=PATIENCE), time.monotonic() + PATIENCE
    try:
        while True:
            found: dict[str, Any] = await asyncio.wait_for(remote.identity(), PATIENCE)
            if found.get("n_workers", 1) > 0 or time.monotonic() > end:
                return found
            await asyncio.sleep(PAUSE)
    finally:
        await remote.close_rpc()


def _gone(address: str) -> UnfitWorkerError:
    return UnfitWorkerError(f"scheduler {address}: has gone; what is finished is kept, run it again to go on")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Dask's own words about lost connections go nowhere: ours say what matters."""
    names = [name for name in logging.root.manager.loggerDict if name.startswith("distributed")]
    levels = {logger: logger.level for logger in map(logging.getLogger, names)}
    for logger in levels:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for logger, level in levels.items():
            logger.setLevel(level)
