"""Commands killed by SIGKILL at random moments: whether they come to the numbers of one that nobody killed.

``python benchmarks/kills.py --kills 40`` kills each command so many times, in rows of a few kills each, gives it again
until it ends by itself, and compares tables, checkpoint and store with those of an undisturbed one.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import torch

from training.benchmark import machine
from training.checkpoint import read
from training.results import CHECKPOINT, TRIALS
from training.store import MOMENT, Store

TASK = ["--set", "network.hidden=20", "--set", "network.threshold=0.02", "--quiet"]
CHIP = [*TASK, "--set", "core.enabled=true", "--set", "precision.weight_bits=4", "--set", "task.duration=0.02"]
OFTEN = ["--checkpoint-seconds", "0.2"]
TRIALS_TRAINED = 400
SPAN = 12.0
"""Longest time that a command is left alone before it is killed [s]: starting takes some of it."""


class Case(NamedTuple):
    """A command: as it is given, given a folder; and what came of it, apart from times."""

    command: Callable[[Path], list[str]]
    result: Callable[[Path], Any]


def run(folder: Path) -> list[str]:
    out = folder / "run"
    if (out / CHECKPOINT).exists():
        return ["resume", str(out), "--until", str(TRIALS_TRAINED), *OFTEN, "--quiet"]
    return ["run", "mixed-precision", "--trials", str(TRIALS_TRAINED), "--out", str(out), *OFTEN, *TASK]


def on_chip(folder: Path) -> list[str]:
    out, chip = folder / "run", ["--chip", (folder / "address").read_text(), "--chip-token", str(folder / "token")]
    if (out / CHECKPOINT).exists():
        return ["resume", str(out), "--until", "40", *chip, "--quiet"]
    return ["run", "core", "--trials", "40", "--out", str(out), *chip, *CHIP]


def stored(folder: Path) -> list[str]:
    return ["--store", str(folder / "store"), *OFTEN]


def race(folder: Path) -> list[str]:
    about = ["--trials", "200", "--seeds", "2", "--workers", "1", "--name", "race"]
    return ["race", "sign", "update-ready", *about, *stored(folder), *TASK]


def sweep(folder: Path) -> list[str]:
    text = "set: {network.hidden: 20, network.threshold: 0.02}\nfields: {precision.weight_bits: [2, 4]}\n"
    (folder / "grid.yaml").write_text(text + "seeds: [1, 2]\ntrials: 200\nevery: 20\n")
    return ["sweep", str(folder / "grid.yaml"), "--workers", "1", *stored(folder), "--quiet"]


def tune(folder: Path) -> list[str]:
    about = ["--trials", "100", "--every", "10", "--seeds", "1", "--evaluations", "4"]
    return ["tune", "sign", *about, *stored(folder), *TASK]


def folder_result(folder: Path) -> Any:
    table = pd.read_csv(folder / "run" / TRIALS).drop(columns="seconds")
    tensors = read(folder / "run" / CHECKPOINT).tensors
    return table.to_csv(), {name: value.numpy().tobytes() for name, value in sorted(tensors.items())}


def store_result(folder: Path) -> Any:
    store = Store(folder / "store", read_only=True)
    return store.runs().drop(columns=list(MOMENT)).to_csv(), store.curves().to_csv()


CASES = {
    "run and resume": Case(run, folder_result),
    "run on a chip": Case(on_chip, folder_result),
    "race": Case(race, store_result),
    "sweep": Case(sweep, store_result),
    "tune": Case(tune, store_result),
}


@contextlib.contextmanager
def chip(folder: Path) -> Iterator[None]:
    """A chip with its log, for the run on it."""
    (folder / "token").write_text("a-token-of-the-benchmark\n")
    (folder / "token").chmod(0o600)
    options = ["--port", "0", "--log", str(folder / "log"), "--token-file", str(folder / "token")]
    command = [sys.executable, "-m", "training.cli", "chip", "serve", "core", *CHIP, *options]
    command.remove("--quiet")
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        address = re.search(r"chip at (\S+);", process.stderr.readline())
        (folder / "address").write_text(address.group(1))
        yield
        process.terminate()


def finished(case: Case, folder: Path, moments: list[float]) -> int:
    """Give a command, killed at each moment after it began [s], until it ends by itself; how often it was killed."""
    killed = 0
    for moment in [*moments, None]:
        command = [sys.executable, "-m", "training.cli", *case.command(folder)]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            code = process.wait(moment)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            code = process.wait()
            killed += 1
        if code == 0:
            return killed
        assert code == -signal.SIGKILL, f"{' '.join(command)} ended with {code}"
    return killed


def measured(name: str, kills: int, in_a_row: int, draws: random.Random) -> dict[str, Any]:
    """A command killed so many times, against one that nobody killed."""
    case, counted, rounds, same = CASES[name], 0, 0, 0
    with tempfile.TemporaryDirectory() as place:
        never = Path(place) / "never"
        never.mkdir()
        with chip(never) if name == "run on a chip" else contextlib.nullcontext():
            finished(case, never, [])
        expected = case.result(never)
        while counted < kills and rounds < kills:
            here = Path(place) / str(rounds)
            here.mkdir()
            moments = [draws.uniform(0.3 * SPAN, SPAN) for _ in range(min(in_a_row, kills - counted))]
            with chip(here) if name == "run on a chip" else contextlib.nullcontext():
                counted += finished(case, here, moments)
            rounds += 1
            same += case.result(here) == expected
    return {"command": name, "kills": counted, "rounds": rounds, "equal to the bit": same}


def main() -> None:
    """Kill, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=40)
    parser.add_argument("--in-a-row", type=int, default=8, help="kills of one command before it may end")
    parser.add_argument("--only", choices=CASES)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows, began = [], time.perf_counter()
    for name in [options.only] if options.only else CASES:
        rows.append(measured(name, options.kills, options.in_a_row, random.Random(7)))
        print(rows[-1], flush=True)
    if options.json:
        about = {"machine": machine(), "seconds": time.perf_counter() - began, "rows": rows}
        options.json.write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
