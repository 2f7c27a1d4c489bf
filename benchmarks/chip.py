"""What a run on a chip costs: each exchange, and the trial, in this process and through a server."""

from __future__ import annotations

import argparse
import contextlib
import json
import re
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from training.benchmark import machine
from training.chip.base import CALLS
from training.chip.remote import RemoteChip
from training.chip.simulated import SimulatedChip
from training.chip.token import ensure
from training.config import RunConfig
from training.presets import PRESETS
from training.session import Session

WARM_UP = 5


class Timed:
    """A chip that times its calls."""

    def __init__(self, chip: Any) -> None:
        self.chip, self.seconds = chip, defaultdict(list)

    def __getattr__(self, call: str) -> Callable[..., Any]:
        if call not in CALLS:
            raise AttributeError(call)

        def timed(*arguments: Any) -> Any:
            began = time.perf_counter()
            answer = getattr(self.chip, call)(*arguments)
            self.seconds[call if call != "mvm" else f"mvm {arguments[0]}"].append(time.perf_counter() - began)
            return answer

        return timed


@contextlib.contextmanager
def served(config: RunConfig, folder: Path) -> Iterator[RemoteChip]:
    """A chip in a process of its own, with its log."""
    (folder / "run.yaml").write_text(config.to_yaml(), encoding="utf-8")
    token, place = ensure(str(folder / "token"))
    options = ["--port", "0", "--log", str(folder / "log"), "--token-file", place]
    command = [sys.executable, "-m", "training.cli", "chip", "serve", str(folder / "run.yaml"), *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        address = re.search(r"chip at (\S+);", process.stderr.readline()).group(1)
        yield RemoteChip(address, token)
        process.terminate()


def measure(case: str, session: Session, chip: Timed | None, trials: int) -> dict[str, Any]:
    """Time of trials and of their exchanges."""
    list(session.run(WARM_UP))
    if chip is not None:
        chip.seconds.clear()
    seconds = [record.seconds for record in session.run(trials)]
    exchanges = {} if chip is None else {call: spread(times) for call, times in sorted(chip.seconds.items())}
    return {"case": case, "trials": trials, "trial": spread(seconds), "exchanges": exchanges}


def spread(seconds: list[float]) -> dict[str, float]:
    """Median, 95th percentile [s] and number."""
    return {"median": float(np.median(seconds)), "p95": float(np.percentile(seconds, 95)), "count": len(seconds)}


def run(trials: int) -> list[dict[str, Any]]:
    """All three cases."""
    config = PRESETS["mixed-precision"].config.with_values({"core.enabled": True})
    found = [measure("compiled loop", Session(config), None, trials)]
    local = Timed(SimulatedChip(config))
    found.append(measure("chip in this process", Session(config, local), local, trials))
    with tempfile.TemporaryDirectory() as folder, served(config, Path(folder)) as chip:
        remote = Timed(chip)
        found.append(measure("chip behind a server", Session(config, remote), remote, trials))
    return found


def main() -> None:
    """Print the figures; write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    found = run(options.trials)
    for case in found:
        trial = case["trial"]
        print(f"{case['case']:<24}{'trial':<16}{trial['median'] * 1e3:9.2f} ms{trial['p95'] * 1e3:11.2f} ms (p95)")
        for call, times in case["exchanges"].items():
            line = f"{times['median'] * 1e6:9.0f} µs{times['p95'] * 1e6:11.0f} µs (p95){times['count']:9d} exchanges"
            print(f"{'':<24}{call:<16}{line}")
    if options.json:
        figures = {"machine": machine(), "cases": found}
        options.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
