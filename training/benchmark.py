"""How long a trial takes, and what the dense loop of published code takes in the same run.

Every figure is the median over trials of a whole training step, everything included: draw the
read noise, simulate, form the gradients, write the devices. Spread is the interquartile range.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from pcmsim.foundation.paths import expanded
from pcmsim.foundation.quoting import quoted
from pcmsim.foundation.texts import whole
from training.config import RunConfig
from training.dense import FORMS, dense_step
from training.presets import MIXED, PRESETS
from training.session import Session
from training.writing import replacing

WARM_UP = 5
SIZES = (100, 256, 1000)
RATES = (10.0, 50.0, 200.0)


@dataclass(frozen=True)
class Timing:
    """Time of one training trial.

    Parameters
    ----------
    case : str
        What was timed.
    median, low, high : float
        Median and quartiles over the trials [s].
    trials : int
        How many were timed.
    synapses : int
        Plastic synapses of the network.
    rate : float or None
        Mean hidden firing rate [Hz]; None where it is not recorded.
    """

    case: str
    median: float
    low: float
    high: float
    trials: int
    synapses: int
    rate: float | None


def cases() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every configuration that the benchmark times, with its name."""
    for hidden in SIZES:
        yield f"{hidden} hidden, full PCM", _sized(hidden)
    for hidden in SIZES[:2]:
        yield f"{hidden} hidden, full PCM, read per device", {**_sized(hidden), "device.read_mode": "device"}
    for name in ("ideal-4bit", "float32-mixed", "closed-loop", "sign", "stochastic", "multi-memristor", "update-ready"):
        yield f"100 hidden, {name}", dict(PRESETS[name].values)
    for rate in RATES:
        yield f"100 hidden, input {rate:g} Hz", {**MIXED, "task": {"name": "pattern", "rate": rate}}
    yield "100 hidden, online traces", {**MIXED, "learning.update_every": 1000}
    yield "100 hidden, trial right after the update", {**MIXED, "device.update_interval": 1.0}


def measure(case: str, values: Mapping[str, Any], trials: int) -> Timing:
    """Time `trials` training trials of a configuration, after a warm-up."""
    session = Session(RunConfig().with_values(values))
    rates = [record.rate for record in session.run(WARM_UP)]
    seconds = _repeat(lambda: rates.append(session.step().rate), trials)
    return _timing(case, seconds, session, sum(rates) / len(rates))


def measure_dense(form: str, trials: int) -> Timing:
    """Time the dense loop on the published setting."""
    session = Session(PRESETS["mixed-precision"].config)
    generator = torch.Generator("cpu").manual_seed(1)
    seconds = _repeat(lambda: dense_step(session, generator=generator, form=form), trials)
    return _timing(f"100 hidden, dense loop, {form}", seconds, session, None)


def run(trials: int, dense_trials: int, report: Callable[[str], None] = print) -> dict[str, Any]:
    """Time all cases; report a line each, return everything as plain data.

    Parameters
    ----------
    trials : int
        Trials per case.
    dense_trials : int
        Trials of each dense loop; 0 leaves them out.
    report : callable
        Takes one line of text.
    """
    torch.set_num_threads(1)
    report(f"{'case':<46}{'median':>10}{'quartiles':>20}{'per synapse':>13}{'rate':>10}")
    timings = []
    for case, values in cases():
        timings.append(
            measure(case, values, trials if values.get("network.hidden", 100) < 1000 else max(5, trials // 5))
        )
        report(_line(timings[-1]))
    dense = []
    for form in FORMS if dense_trials else ():
        dense.append(measure_dense(form, dense_trials))
        report(_line(dense[-1]) + f"   {dense[-1].median / timings[0].median:.0f} x the compiled trial")
    ratios = {timing.case: timing.median / timings[0].median for timing in dense}
    return {"machine": machine(), "timings": [asdict(t) for t in (*timings, *dense)], "ratios": ratios}


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "python": platform.python_version(),
        "versions": {name: metadata.version(name) for name in ("pcmlab", "torch", "numba", "numpy")},
        "time": time.strftime("%Y-%m-%d %H:%M:%S"),
    }


MOST = 10**9
"""Of whatever is counted on the command line."""


def count(text: str) -> int:
    """A whole number >= 1 from the command line."""
    number = whole(text)
    if isinstance(number, str) or not 1 <= number <= MOST:
        limit = f" and <= {MOST}" if isinstance(number, int) and number > MOST else ""
        raise argparse.ArgumentTypeError(f"must be a whole number >= 1{limit}, got {quoted(text)}")
    return number


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of ``pcmlab bench``."""
    parser.add_argument("--trials", type=count, default=100, help="trials per case (default 100)")
    parser.add_argument(
        "--dense-trials", type=int, default=1, help="trials of each dense loop; 0 skips them (default 1)"
    )
    parser.add_argument("--json", metavar="FILE", help="also write all figures as JSON")


def command(options: argparse.Namespace) -> None:
    """``pcmlab bench``."""
    result = run(options.trials, max(0, options.dense_trials), lambda line: print(line, flush=True))
    print(json.dumps(result["machine"]), file=sys.stderr)
    if options.json:
        with replacing(expanded(options.json)) as made:
            made.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def _sized(hidden: int) -> dict[str, Any]:
    return {**MIXED, "network.hidden": hidden}


def _repeat(action: Callable[[], object], trials: int) -> list[float]:
    seconds = []
    for _ in range(trials):
        began = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - began)
    return seconds


def _timing(case: str, seconds: list[float], session: Session, rate: float | None) -> Timing:
    low, median, high = statistics.quantiles(seconds, n=4) if len(seconds) > 1 else (seconds[0],) * 3
    synapses = sum(array.shape[0] * array.shape[1] for array in session.arrays)
    return Timing(case, median, low, high, len(seconds), synapses, rate)


def _line(timing: Timing) -> str:
    quartiles = f"{timing.low * 1e3:.2f} - {timing.high * 1e3:.2f}"
    per_synapse = timing.median / timing.synapses * 1e9
    rate = "-" if timing.rate is None else f"{timing.rate:.1f} Hz"
    return f"{timing.case:<46}{timing.median * 1e3:>7.2f} ms{quartiles:>20}{per_synapse:>10.0f} ns{rate:>10}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next(
        (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.processor()
    )
