"""Sweeps: how long one takes, what a second worker brings, what killed workers cost, what batching seeds could bring.

Run::

    python benchmarks/sweep.py grid --workers 2 --json benchmarks/measured/sweep-grid.json
    python benchmarks/sweep.py efficiency --json benchmarks/measured/sweep-efficiency.json
    python benchmarks/sweep.py cluster --json benchmarks/measured/sweep-cluster.json
    python benchmarks/sweep.py replicas --json benchmarks/measured/sweep-replicas.json
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numba.core.dispatcher import Dispatcher

from training import sweep_command
from training.benchmark import count, machine
from training.jobs import Job, Outcome
from training.presets import PRESETS
from training.session import Session
from training.store import MOMENT, Store
from training.sweep import Sweep, run
from training.workers import Pool, performed, pool

FILE = Path(__file__).parents[1] / "assets" / "sweeps" / "bits-mismatch.yaml"
KILLS = 5
WARM_UP = 5
SIZES = (100, 140, 200)


def asked(options: argparse.Namespace) -> Sweep:
    """Bits x mismatch of the pattern task, mixed precision on full PCM."""
    return dataclasses.replace(Sweep.from_yaml(FILE), seeds={"from": 1, "number": options.seeds}, trials=options.trials)


def grid(options: argparse.Namespace) -> dict[str, Any]:
    """The whole sweep, from nothing."""
    wanted = asked(options)
    with stored(options.store) as store, pool(options.workers) as workers:
        present = len(store.keys().intersection(wanted.by_key))
        seconds, outcomes = timed(lambda: list(run(wanted, store, workers)))
        print("\n".join(sweep_command.lines(wanted, wanted.summary(store))))
    print(
        f"{len(outcomes)} runs of {options.trials} trials, {present} there before: {seconds:.1f} s on {workers.width}"
    )
    means = wanted.summary(store).to_dict("records") if options.store else []
    return {"runs": len(outcomes), "present": present, "workers": workers.width, "seconds": seconds, "means": means}


def efficiency(options: argparse.Namespace) -> dict[str, Any]:
    """The same jobs on one worker and on two, in turn."""
    jobs = list(asked(options).jobs())[: options.runs]
    found: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(options.repeats):
        for number, seconds in found.items():
            seconds.append(alone(jobs, number))
    shares = [one / (2.0 * two) for one, two in zip(found[1], found[2], strict=True)]
    print(f"{len(jobs)} runs of {options.trials} trials")
    for number, seconds in found.items():
        print(f"{number} workers: {np.mean(seconds):.2f} +- {np.std(seconds):.2f} s")
    print(f"parallel efficiency of two: {np.mean(shares):.3f} (lowest {min(shares):.3f}, highest {max(shares):.3f})")
    return {"runs": len(jobs), "seconds": found, "efficiency": shares}


def alone(jobs: list[Job], number: int) -> float:
    """Seconds of all jobs on so many workers that have everything loaded."""
    with stored(None) as store, pool(number) as workers:
        ready(workers)
        return timed(lambda: list(performed(jobs, store, workers)))[0]


def cluster(options: argparse.Namespace) -> dict[str, Any]:
    """The sweep on a Dask cluster whose workers are killed, against the undisturbed one on this machine."""
    wanted, seen = asked(options), list[str]()
    jobs = list(wanted.jobs())[: options.runs]
    with stored(None) as undisturbed, stored(None) as killed, dask() as address:
        with pool(2) as workers:
            plain, _ = timed(lambda: list(performed(jobs, undisturbed, workers)))
        with pool(scheduler=address) as workers:
            disturbed, _ = timed(lambda: seen.extend(deadly(performed(jobs, killed, workers), workers, len(jobs))))
        same = held(killed).equals(held(undisturbed))
    once = sorted(seen) == sorted(job.key for job in jobs)
    print(f"{len(jobs)} runs, {KILLS} workers killed: every run once: {once}; bit-identical: {same}")
    print(f"undisturbed on two processes {plain:.1f} s, on Dask with deaths {disturbed:.1f} s")
    return {"runs": len(jobs), "kills": KILLS, "once": once, "identical": same, "seconds": [plain, disturbed]}


def deadly(done: Iterable[Outcome], workers: Pool, number: int) -> Iterator[str]:
    """Keys of outcomes as they come; `KILLS` times on the way a worker is killed."""
    deaths = {round((one + 1) * number / (KILLS + 1)) for one in range(KILLS)}
    for place, outcome in enumerate(done, 1):
        yield outcome.job.key
        if place in deaths:
            os.kill(workers.submit(os.getpid).result(), signal.SIGKILL)


def replicas(options: argparse.Namespace) -> dict[str, Any]:
    """What many seeds in one call could save at most: the part of a trial that does not grow with its arrays."""
    base = PRESETS["mixed-precision"].config
    turns = in_turns(
        [Session(base.with_values({"seed": seed})) for seed in range(1, 1 + options.seeds)], options.trials
    )
    sizes = [Session(base.with_values({"network.hidden": hidden})) for hidden in SIZES]
    synapses = np.array([sum(array.shape[0] * array.shape[1] for array in session.arrays) for session in sizes])
    parts = np.array([parted(session, options.trials) for session in sizes])
    per_synapse, fixed = np.polyfit(synapses, parts[:, 1], 1)
    trial, compiled = parts[0].sum(), parts[0, 0]
    bound = trial / (trial - fixed)
    for hidden, (own, rest) in zip(SIZES, parts, strict=True):
        print(
            f"{hidden} hidden: compiled code {own * 1e3:.2f} ms a trial, the rest {rest * 1e3:.2f} ms (processor time)"
        )
    print(f"of the rest {fixed * 1e3:.2f} ms whatever the size, {per_synapse * 1e9:.0f} ns per synapse")
    print(f"{options.seeds} seeds in turns in one process: {turns:.3f} x the throughput of one after another")
    print(f"if endlessly many seeds shared all that does not grow: {bound:.2f} x; eight: {eight(trial, fixed):.2f} x")
    return {
        "hidden": SIZES, "synapses": synapses.tolist(), "compiled_and_rest": parts.tolist(), "compiled": compiled,
        "fixed": fixed, "per_synapse": per_synapse, "turns": turns, "bound": bound, "eight": eight(trial, fixed),
    }  # fmt: skip


def eight(trial: float, fixed: float) -> float:
    """The same bound where eight seeds share."""
    return trial / (trial - fixed * 7.0 / 8.0)


def in_turns(sessions: list[Session], trials: int) -> float:
    """Throughput of sessions trial by trial in turns, over that of one after another."""
    for session in sessions:
        drain(session, WARM_UP)
    single = worked(lambda: [drain(session, trials) for session in sessions])
    return single / worked(lambda: [drain(session, 1) for _ in range(trials) for session in sessions])


def parted(session: Session, trials: int) -> tuple[float, float]:
    """Processor time of a trial [s]: in compiled code, and all else."""
    drain(session, WARM_UP)
    compiled = in_kernels(session, trials)
    return compiled, worked(lambda: drain(session, trials)) / trials - compiled


def worked(work: Callable[[], Any]) -> float:
    """Processor time that something takes [s]."""
    began = time.process_time()
    work()
    return time.process_time() - began


def in_kernels(session: Session, trials: int) -> float:
    """Processor time in compiled code per trial [s]."""
    spent = [0.0]
    with contextlib.ExitStack() as stack:
        for module in [module for name, module in sys.modules.items() if name.startswith(("training", "pcmsim"))]:
            for name, value in list(vars(module).items()):
                if isinstance(value, Dispatcher):
                    setattr(module, name, clocked(value, spent))
                    stack.callback(setattr, module, name, value)
        drain(session, trials)
    return spent[0] / trials


def clocked(function: Callable[..., Any], spent: list[float]) -> Callable[..., Any]:
    """The same function, whose time is counted."""

    def call(*args: Any, **kwargs: Any) -> Any:
        began = time.process_time()
        answer = function(*args, **kwargs)
        spent[0] += time.process_time() - began
        return answer

    return call


def drain(session: Session, trials: int) -> None:
    for _ in session.run(trials):
        pass


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    began = time.perf_counter()
    result = work()
    return time.perf_counter() - began, result


def ready(workers: Pool) -> None:
    """Wait until all processes of this machine answer."""
    found = set[int]()
    while len(found) < workers.width:
        found |= {answer.result() for answer in [workers.submit(os.getpid) for _ in range(4 * workers.width)]}


def held(store: Store) -> pd.DataFrame:
    """All that a store holds, apart from what differs when a run is done again."""
    return store.runs().drop(columns=list(MOMENT)).merge(store.curves(), on="key")


@contextlib.contextmanager
def stored(folder: str | None) -> Iterator[Store]:
    """A store that stays, or one for the moment."""
    with tempfile.TemporaryDirectory() as temporary:
        yield Store(folder or temporary)


@contextlib.contextmanager
def dask() -> Iterator[str]:
    """A scheduler and two workers, each a process of its own; the scheduler's address."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0"]
        scheduler = stack.enter_context(begun([*command, "--no-dashboard"], subprocess.PIPE))
        assert scheduler.stderr is not None
        line = next(line for line in scheduler.stderr if "Scheduler at" in line)
        address = line.split()[-1]
        command = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--nworkers", "2", "--nthreads", "1"]
        stack.enter_context(begun([*command, "--no-dashboard", "--local-directory", folder], subprocess.DEVNULL))
        yield address


@contextlib.contextmanager
def begun(command: list[str], errors: int) -> Iterator[subprocess.Popen[str]]:
    """A process that ends with the block."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen(command, stderr=errors, text=True, env=environment) as process:
        try:
            yield process
        finally:
            process.terminate()


PARTS = {"grid": grid, "efficiency": efficiency, "cluster": cluster, "replicas": replicas}


def main() -> None:
    """Measure one part; write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=list(PARTS))
    parser.add_argument("--trials", type=count, default=750)
    parser.add_argument("--seeds", type=count, default=5)
    parser.add_argument("--workers", type=count, default=2, help="of grid")
    parser.add_argument("--runs", type=count, default=24, help="of efficiency and cluster")
    parser.add_argument("--repeats", type=count, default=3, help="of efficiency")
    parser.add_argument("--store", metavar="FOLDER", help="of grid; else one for the moment")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    found = {"machine": machine(), "trials": options.trials, options.part: PARTS[options.part](options)}
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
