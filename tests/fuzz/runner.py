"""Hand inputs to the product in a process of its own, each within bounds of time and memory; tell what each came to.

Each line of its input, ``SUBJECT FIRST LAST SECONDS``, asks for the inputs of some seeds. A line of JSON is printed before
each of them and after it, and one with the exit status at the end.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path

import binary
import faulty
import numpy as np
import torch
import written
from subjects import SUBJECTS, Give

from pcmsim.errors import PCMLabError

PATIENCE = 300
"""Seconds after which the process ends itself: an input that never comes back to Python cannot be told otherwise."""

BYTES = 2**30
"""Of memory that one input may take."""

MODULES = (binary, faulty, written)


class TooSlowError(BaseException):
    """An input took longer than allowed."""


def main() -> None:
    """Do what each line of the input asks for, in a process that is forked from this one: imports are paid once."""
    torch.set_num_threads(1)
    for line in sys.stdin:
        name, first, last, seconds = line.split()
        if (child := os.fork()) == 0:
            _child(name, range(int(first), int(last)), float(seconds))
        _tell(ended=os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


def _child(name: str, seeds: range, seconds: float) -> None:
    try:
        _hand_over(name, seeds, seconds)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def _hand_over(name: str, seeds: range, seconds: float) -> None:
    """Hand over the inputs of some seeds."""
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    signal.signal(signal.SIGPROF, _too_slow)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "begin").mkdir()
        give = SUBJECTS[name].prepare(Path(folder) / "begin")
        _ = torch.ones(8, 8) @ torch.ones(8, 8)  # what is loaded with the first product shall not count
        _bound_memory()
        for seed in seeds:
            signal.alarm(PATIENCE)
            _tell(seed=seed)
            here = Path(folder) / "case"
            here.mkdir()
            before = _taken("VmRSS")
            Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
            came = _outcome(give, random.Random(f"{name}-{seed}"), here, seconds)
            if (peak := _taken("VmHWM") - before) > BYTES:
                came = _finding(f"took {peak} bytes")
            _tell(seed=seed, **came)
            shutil.rmtree(here)


def _outcome(give: Give, rng: random.Random, here: Path, seconds: float) -> dict[str, str]:
    try:
        with _within(seconds), contextlib.redirect_stdout(sys.stderr):
            give(rng, here)
    except PCMLabError as error:
        return (
            {"came": "refused", "said": str(error)[:300]} if len(str(error)) < 5000 else _finding("too long a message")
        )
    except TooSlowError:
        return _finding(f"took more than {seconds:g} s")
    except Exception:
        return _finding(f"ended in a traceback: {''.join(traceback.format_exc()[-1500:])}")
    return {"came": "taken", "said": ""}


def _finding(said: str) -> dict[str, str]:
    return {"came": "found", "said": said}


@contextlib.contextmanager
def _within(seconds: float) -> Iterator[None]:
    """Of processor time: others may use the same processor."""
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0.0)


def _too_slow(number: int, frame: object) -> None:
    raise TooSlowError


def _bound_memory() -> None:
    """What asks for twice as much as is allowed ends in a `MemoryError`, which is a finding, before it hurts others."""
    most = _taken("VmSize") + 2 * BYTES
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _taken(kind: str) -> int:
    """Bytes of memory by their name in Linux."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(f"{kind}:"))


def _tell(**line: object) -> None:
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
