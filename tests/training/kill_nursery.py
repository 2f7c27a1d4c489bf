"""A command that is killed at its n-th change of the disk, again and again, forked from one process that has it loaded.

``kill_nursery.py FOLDER NAME`` runs the case `CASES[NAME]` once to its end and counts the changes, then once for each
of them: killed there, then run again until it ends by itself. What came of it must be what comes of a run that nobody
killed, and what was on the disk at the moment of death must be there still. Prints one line of JSON.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from multiprocessing import forkserver
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import torch
import yaml
from sqlalchemy import event
from sqlalchemy.engine import Engine

from training import cli, racing
from training.processes import PROCESSES, prepare
from training.results import CHECKPOINT
from training.session import Session
from training.store import MOMENT, Store

SMALL = [
    "--set",
    "network.hidden=6",
    "--set",
    "network.threshold=0.02",
    "--set",
    "task={name: pattern, inputs: 6, rate: 400, duration: 0.02}",
    "--quiet",
]
OFTEN = ["--checkpoint-seconds", "0"]
CHANGES = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.truncate", "shutil.rmtree"}
"""Audit events of changes that go through Python; writes end in `os.fsync`, which is counted apart."""

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class Countdown:
    """Counts changes of the disk, and kills this process before the one whose turn it is."""

    def __init__(self) -> None:
        self.count, self.turn, self.owner = 0, 0, 0

    def change(self) -> None:
        """One is about to happen."""
        if os.getpid() != self.owner:
            return
        self.count += 1
        if self.count == self.turn:
            os.kill(os.getpid(), signal.SIGKILL)

    def audit(self, name: str, arguments: tuple[Any, ...]) -> None:
        """See `sys.addaudithook`."""
        opened = name == "open" and isinstance(arguments[2], int) and arguments[2] & WRITING
        if name in CHANGES or opened:
            self.change()


COUNTDOWN = Countdown()


def watch() -> None:
    """Count from now on, in this process alone."""
    real = os.fsync

    def fsync(handle: int) -> None:
        COUNTDOWN.change()  # written, and not on the disk
        real(handle)
        COUNTDOWN.change()

    os.fsync = fsync
    sys.addaudithook(COUNTDOWN.audit)
    for moment in ("before_cursor_execute", "commit"):
        event.listen(Engine, moment, lambda *_: COUNTDOWN.change())


class Case(NamedTuple):
    """A command, what it is when it is given again, and what came of it."""

    first: Callable[[Path], list[str]]
    again: Callable[[Path], list[str]]
    result: Callable[[Path], Any]


def run_result(folder: Path) -> Any:
    """The table without times, and the checkpoint."""
    lines = [line.split(",") for line in (folder / "run" / "trials.csv").read_text().splitlines()]
    place = lines[0].index("seconds")
    tensors = Session.resume(folder / "run" / CHECKPOINT)._tensors()
    judged = (folder / "run" / "evaluations.csv").read_text().splitlines()
    return [line[:place] + line[place + 1 :] for line in lines], [line.split(",")[:5] for line in judged], {
        name: value.double().sum().item() for name, value in tensors.items()
    }  # fmt: skip


def store_result(folder: Path) -> Any:
    """All rows and curves, without what differs when a run is done again; and that nothing is left unfinished."""
    store = Store(folder / "store")
    rows = store.runs().drop(columns=list(MOMENT)).sort_values("key")
    left = sorted(path.name for path in (store.folder / "under-way").glob("*/checkpoint.safetensors"))
    tables = [_timeless(path) for path in sorted(folder.glob("*.csv"))]
    return rows.to_csv(index=False), store.curves().to_csv(index=False), left, tables


def _timeless(path: Path) -> str:
    table = pd.read_csv(path)
    return str(table.drop(columns=[*MOMENT, "key"], errors="ignore").to_csv(index=False))


def study_result(folder: Path) -> Any:
    """The store, and what the study found."""
    found = [yaml.safe_load(path.read_text()) for path in sorted((folder / "found").glob("*.yaml"))]
    for one in found:
        one["record"].pop("date")
    return store_result(folder), found


def held_rows(folder: Path) -> set[str]:
    """What is committed: trials that the checkpoint has, runs in the store."""
    kept = (
        {path.name for path in (folder / "store" / "runs").glob("*.parquet")} if (folder / "store").is_dir() else set()
    )
    if (folder / "run" / CHECKPOINT).is_file():
        kept |= {f"trial {number}" for number in range(Session.resume(folder / "run" / CHECKPOINT).trial)}
    return kept


def _run(folder: Path) -> list[str]:
    part = ["--evaluate-every", "2", "--out", str(folder / "run"), *OFTEN, *SMALL]
    return ["run", "sign", "--trials", "4", *part]


def _resume(folder: Path) -> list[str]:
    if not (folder / "run" / CHECKPOINT).exists():
        return _run(folder)
    return ["resume", str(folder / "run"), "--until", "4", "--evaluate-every", "2", *OFTEN, "--quiet"]


def _store(folder: Path) -> list[str]:
    return ["--store", str(folder / "store"), *OFTEN]


def _race(folder: Path) -> list[str]:
    about = ["--trials", "12", "--every", "6", "--seeds", "1", "--workers", "1", "--name", "r"]
    return ["race", "sign", "update-ready", *about, "--out", str(folder / "ranking.csv"), *_store(folder), *SMALL]


def _sweep(folder: Path) -> list[str]:
    text = "set: {network.hidden: 6, network.threshold: 0.02, task: {name: pattern, inputs: 6, rate: 400, duration: 0.02}}\n"
    (folder / "grid.yaml").write_text(
        text + "fields: {precision.weight_bits: [2, 4]}\nseeds: [1]\ntrials: 3\nevery: 3\n"
    )
    out = ["--out", str(folder / "table.csv")]
    return ["sweep", str(folder / "grid.yaml"), "--workers", "1", *out, *_store(folder), "--quiet"]


def _tune(folder: Path) -> list[str]:
    about = ["--trials", "3", "--every", "1", "--seeds", "1", "--evaluations", "3", "--out", str(folder / "found")]
    return ["tune", "sign", *about, *_store(folder), *SMALL]


def _mismatch(folder: Path) -> list[str]:
    task = "task={name: yin-yang, train: 12, validation: 6, test: 6}"
    about = ["--levels", "0.3", "--parameters", "all", "--seeds", "1", "--trials", "3"]
    out = ["--out", str(folder / "mismatch.csv"), "--checkpoint-seconds", "0", "--quiet"]
    return ["mismatch", "yin-yang", "--set", "network.hidden=6", "--set", task, *about, *out]


CASES = {
    "run": Case(_run, _resume, run_result),
    "race": Case(_race, _race, store_result),
    "sweep": Case(_sweep, _sweep, store_result),
    "tune": Case(_tune, _tune, study_result),
    "mismatch": Case(_mismatch, _mismatch, lambda folder: [_timeless(p) for p in sorted(folder.glob("*.csv"))]),
}


def forked(arguments: list[str], turn: int) -> tuple[int, int]:
    """Have a child run a command, to be killed at one of its changes; how it ended, and how many it made."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        code = 99
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            COUNTDOWN.count, COUNTDOWN.turn, COUNTDOWN.owner = 0, turn, os.getpid()
            code = cli.main(arguments)
            COUNTDOWN.owner = 0
            os.write(writing, str(COUNTDOWN.count).encode())
        except BaseException:
            traceback.print_exc()
        os._exit(code)
    os.close(writing)
    _, status = os.waitpid(child, 0)
    count = os.read(reading, 100)
    os.close(reading)
    return os.waitstatus_to_exitcode(status), int(count or 0)


def main(folder: Path, name: str, most: int) -> dict[str, Any]:
    """Kill a case at so many of its changes, evenly spread, and compare."""
    case, never = CASES[name], folder / "never"
    never.mkdir()
    code, changes = forked(case.first(never), 0)
    assert code == 0, f"{name}: ended with {code}"
    expected, failures, killed = repr(case.result(never)), [], 0
    number = min(most, changes)
    turns = sorted({(2 * place + 1) * changes // (2 * number) + 1 for place in range(number)})
    for turn in turns:
        here = folder / str(turn)
        here.mkdir()
        ended, _ = forked(case.first(here), turn)
        killed += ended == -signal.SIGKILL
        before = held_rows(here)
        again, _ = forked(case.again(here), 0)
        lost, same = before - held_rows(here), again == 0 and repr(case.result(here)) == expected
        if lost or not same:
            for one, other in zip(case.result(never), case.result(here), strict=True):
                if repr(one) != repr(other):
                    print(turn, one, other, sep="\n", file=sys.stderr)
            failures.append(f"change {turn}: exit code {again}, lost {sorted(lost)}, same {same}")
    return {"case": name, "changes": changes, "tried": len(turns), "killed": killed, "failures": failures}


if __name__ == "__main__":
    torch.set_num_threads(1)
    pd.options.display.max_rows = None
    prepare()  # the process from which workers are forked is ours, and our children's
    PROCESSES.active_children()
    forkserver._forkserver.ensure_running = lambda: None
    assert racing.PROCESSES is PROCESSES
    watch()
    print(json.dumps(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))))
