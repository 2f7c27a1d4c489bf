"""How smooth the Live page is: first picture, frames, knob to picture, cost to training.

Starts the server and a headless Chromium, trains at full speed and turns a live slider. Run::

    python benchmarks/streaming.py --json streaming.json
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bare_browser import Tab, browsed

from app.processes import prepare
from app.runner import Runner
from training.presets import PRESETS

ROOT = Path(__file__).resolve().parents[1]
TARGETS = {
    "first_picture_s": ("<=", 3.0),
    "painted_per_s": (">=", 15.0),
    "knob_median_ms": ("<=", 150.0),
    "knob_p95_ms": ("<=", 250.0),
    "watched_share": (">=", 0.6),
    "console_errors": ("<=", 0),
}

SETTLED = 1.5
"""Seconds after which a pace is steady."""

PROBE = """
window.probe = {picture: null, ready: null, painted: 0, shown: {}, wanted: null, began: 0, delays: []}
const find = (name) => window.Bokeh?.documents?.[0]?.get_model_by_name(name)
const drawn = () => {
  const plots = [...Bokeh.index.all_views()].filter((view) => view.model.type === 'Figure')
  return plots.length > 5 && plots.every((view) => view.is_displayed && view.has_finished())
}
const looking = setInterval(() => {
  if (find('frames')?.data.trial?.[0] >= 0 && drawn()) {
    window.probe.picture = performance.now()
    clearInterval(looking)
  }
}, 10)
const timer = setInterval(() => {
  const painted = find('painted'), frames = find('frames'), p = window.probe
  if (!painted || !frames) return
  clearInterval(timer)
  frames.properties.data.change.connect(() => { p.shown[frames.data.frame[0]] = frames.data.config_version[0] })
  painted.properties.data.change.connect(() => {
    const number = painted.data.frame[0]
    p.ready ??= performance.now()
    p.painted += 1
    if (p.wanted !== null && p.shown[number] >= p.wanted) {
      p.delays.push(performance.now() - p.began)
      p.wanted = null
    }
    delete p.shown[number - 10]
  })
  window.addEventListener('keydown', () => {
    p.began = performance.now()
    p.wanted = frames.data.config_version[0] + 1
  }, true)
}, 5)
"""
DEEP = """
const deep = function* (root) {
  for (const el of root.querySelectorAll('*')) {
    yield el
    if (el.shadowRoot) yield* deep(el.shadowRoot)
  }
}
"""
FOCUS = f"""(name) => {{
  {DEEP}
  for (const el of deep(document)) {{
    if (!el.matches('input[type=range]')) continue
    const label = el.getRootNode().querySelector('.MuiFormLabel-root')?.textContent ?? ''
    if (label.startsWith(name)) {{ el.focus(); return true }}
  }}
  return false
}}"""
CLICK = f"""(text) => {{
  {DEEP}
  for (const el of deep(document)) if (el.matches('button') && el.textContent.endsWith(text)) return el.click()
  throw new Error(`no button ${{text}}`)
}}"""
TRIAL = "Bokeh.documents[0].get_model_by_name('frames').data.trial[0]"


def free_port() -> int:
    """A port that nobody listens to."""
    with socket.socket() as server:
        server.bind(("localhost", 0))
        return int(server.getsockname()[1])


@contextlib.contextmanager
def served() -> Iterator[str]:
    """A server, as long as the block lasts."""
    port = free_port()
    code = f"from app.serve import serve; serve(port={port}, open_browser=False, no_token=True)"
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})
    try:
        _await_server(process, port)
        yield f"http://localhost:{port}/"
    finally:
        process.terminate()
        process.wait()


def _await_server(process: subprocess.Popen, port: int) -> None:
    while process.poll() is None:
        with contextlib.suppress(OSError):
            socket.create_connection(("localhost", port), timeout=1).close()
            return
        time.sleep(0.1)
    raise SystemExit("the server ended before it could be reached")


@contextlib.contextmanager
def watched(url: str) -> Iterator[Tab]:
    """The page, once it has been drawn and the browser has acknowledged a frame."""
    with browsed(url, PROBE) as tab:
        tab.wait("window.probe && window.probe.picture !== null && window.probe.ready !== null")
        yield tab


def opening(url: str, visits: int) -> tuple[list[float], list[float]]:
    """Seconds from navigation to all plots drawn, and to the first acknowledged frame, in fresh browsers."""
    pictures, ready = [], []
    for _ in range(visits):
        with watched(url) as tab:
            pictures.append(tab.evaluate("window.probe.picture") / 1000.0)
            ready.append(tab.evaluate("window.probe.ready") / 1000.0)
        time.sleep(1.0)
    return pictures, ready


def pace(tab: Tab, seconds: float) -> tuple[float, float]:
    """Frames painted and trials run per second."""
    began, painted, trial = time.perf_counter(), tab.evaluate("window.probe.painted"), tab.evaluate(TRIAL)
    time.sleep(seconds)
    elapsed = time.perf_counter() - began
    return (tab.evaluate("window.probe.painted") - painted) / elapsed, (tab.evaluate(TRIAL) - trial) / elapsed


def knob_delays(tab: Tab, presses: int, slider: str = "Firing threshold") -> list[float]:
    """Milliseconds from a key press on a slider to a painted frame of a trial that knew of it."""
    tab.wait(f"({FOCUS})({slider!r})")
    for number in range(presses):
        done = tab.evaluate("window.probe.delays.length")
        tab.press("ArrowLeft" if number % 2 else "ArrowRight")
        tab.wait(f"window.probe.delays.length > {done}", timeout=20.0)
        time.sleep(0.137)
    return tab.evaluate("window.probe.delays")


def paces(tab: Tab, seconds: float, rounds: int) -> dict[str, Any]:
    """The page's pace and that of the same worker without a page, by turns: a shared machine changes its speed."""
    alone, watched, painted, unwatched = Runner(PRESETS["mixed-precision"].config), [], [], []
    for _ in range(rounds):
        tab.evaluate(f"({CLICK})('Play')")
        time.sleep(SETTLED)
        frames, trials = pace(tab, seconds)
        tab.evaluate(f"({CLICK})('Pause')")
        painted.append(frames)
        watched.append(trials)
        alone.start()
        time.sleep(SETTLED)
        unwatched.append(trials_of(alone, seconds))
        alone.pause()
        time.sleep(SETTLED)
    alone.stop()
    return {
        "painted_per_s": statistics.mean(painted),
        "painted_all_per_s": painted,
        "watched_trials_per_s": statistics.mean(watched),
        "unwatched_trials_per_s": statistics.mean(unwatched),
        "watched_share": sum(watched) / sum(unwatched),
        "watched_share_all": [seen / free for seen, free in zip(watched, unwatched, strict=True)],
    }


def trials_of(runner: Runner, seconds: float) -> float:
    """Trials per second of a worker that nobody watches."""
    first, began = runner.latest.record.trial, time.perf_counter()
    time.sleep(seconds)
    return (runner.latest.record.trial - first) / (time.perf_counter() - began)


def measure(visits: int, seconds: float, rounds: int, presses: int) -> dict[str, Any]:
    """All figures of a page."""
    prepare()
    with served() as url:
        pictures, ready = opening(url, visits)
        with watched(url) as tab:
            figures = paces(tab, seconds, rounds)
            tab.evaluate(f"({CLICK})('Play')")
            time.sleep(SETTLED)
            delays = sorted(knob_delays(tab, presses))
            errors = tab.complaints
    return {
        "first_picture_s": statistics.median(pictures),
        "first_picture_all_s": pictures,
        "ready_s": statistics.median(ready),
        "ready_all_s": ready,
        **figures,
        "knob_median_ms": statistics.median(delays),
        "knob_p95_ms": delays[int(0.95 * (len(delays) - 1))],
        "knob_all_ms": delays,
        "console_errors": len(errors),
        "errors": errors,
    }


def table(figures: dict[str, Any]) -> str:
    """The figures beside what is asked, for people."""
    lines = []
    for name, value in figures.items():
        if isinstance(value, list):
            continue
        sign, target = TARGETS.get(name, ("", None))
        met = target is None or (value <= target if sign == "<=" else value >= target)
        goal = "" if target is None else f"{sign} {target:g}  {'met' if met else 'MISSED'}"
        lines.append(f"{name:<24}{value:>10.4g}  {goal}")
    return "\n".join(lines)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    parser.add_argument("--visits", type=int, default=5, help="fresh browsers for the first picture")
    parser.add_argument("--seconds", type=float, default=5.0, help="length of each pace measurement")
    parser.add_argument("--rounds", type=int, default=4, help="pace measurements with and without a page, by turns")
    parser.add_argument("--presses", type=int, default=40, help="key presses on the slider")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    figures = measure(options.visits, options.seconds, options.rounds, options.presses)
    print(table(figures))
    if options.json:
        about = {"cores": os.cpu_count(), "load_before": load, "python": platform.python_version()}
        options.json.write_text(json.dumps({**figures, **about}, indent=2))


if __name__ == "__main__":
    main()
