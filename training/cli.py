"""The ``pcmlab`` command."""

from __future__ import annotations

import argparse
import functools
import json
import math
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch
from tqdm import tqdm

from pcmsim.errors import PCMLabError
from training import (
    benchmark,
    deploy_report,
    loading,
    mismatch_report,
    nir_command,
    race_command,
    results,
    runs_command,
    sweep_command,
    tune_command,
)
from training.chip import command as chip_command
from training.config import RunConfig
from training.evaluation import evaluate
from training.interrupts import undisturbed
from training.jobs import NONE, Job, Run
from training.presets import PRESETS
from training.records import TrialRecord
from training.session import Session
from training.studies import INTERRUPTED

BAD_INPUT = 2
RECENT = 30
LAST = ("rate", "total_sets", "total_resets", "total_reads", "device_time", "status", "message")


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(BAD_INPUT, f"pcmlab: {' '.join(message.split())}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code.

    0 is success, 2 a bad input or file (one line on standard error), 130 an interruption.
    """
    torch.set_num_threads(1)
    options = _parser().parse_args(arguments)
    try:
        return int(options.command(options) or 0)
    except PCMLabError as error:
        print(f"pcmlab: {' '.join(str(error).split())}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader has gone; what is still to be written must not complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="pcmlab", description="E-prop on simulated phase-change memory.")
    parser.add_argument("--version", action="version", version=f"pcmlab {metadata.version('pcmlab')}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    run = _command(commands, "run", _run, "train a preset or a YAML configuration")
    _seeded(run)
    _training_options(run, 750)
    run.add_argument("--store", metavar="FOLDER", help="keep the finished run there (default PCMLAB_STORE, if set)")
    resume = _command(commands, "resume", _resume, "continue from a checkpoint, exactly")
    resume.add_argument("checkpoint", help="checkpoint file, or the folder of a run")
    _training_options(resume, 750)
    presets = _command(commands, "presets", _presets, "list the named runs, or print one as YAML")
    presets.add_argument("name", nargs="?", help="preset to print")
    _serve_options(_command(commands, "serve", _serve, "open the dashboard"))
    benchmark.add_options(_command(commands, "bench", benchmark.command, "time trials against a dense loop"))
    mismatch = _command(
        commands, "mismatch", mismatch_report.command, "what mismatch costs: trained on a chip, or loaded onto one"
    )
    _configured(mismatch, "evidence")
    mismatch_report.add_options(mismatch)
    deploying = _command(
        commands, "deploy", deploy_report.command, "inference only: a trained network on chips, with time"
    )
    deploy_report.add_options(deploying)
    race_command.add_options(
        _command(commands, "race", race_command.command, "update schemes side by side, on the same random numbers")
    )
    runs_command.add_options(
        _command(commands, "runs", runs_command.listed, "finished runs: list, show, compare, prune, export")
    )
    sweep_command.add_options(
        _command(commands, "sweep", sweep_command.command, "grids and lists of settings, each run once, resumable")
    )
    tune_command.add_options(
        _command(commands, "tune", tune_command.command, "find settings for each update scheme, with equal budgets")
    )
    _nir_commands(commands.add_parser("nir", help="networks to and from other simulators, as NIR files"))
    chip_command.add_options(
        _command(commands, "chip", _serve, "a chip that holds a run's weights: serve one, replay its log"),
        _seeded,
        _config,
    )
    return parser


def _seeded(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", help="preset name, or path of a YAML or JSON file")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="override a setting; repeatable"
    )
    parser.add_argument("--seed", type=int, help="seed; decides every random number")


def _nir_commands(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    export = _command(commands, "export", nir_command.export, "write a trained network as a NIR file")
    take = _command(commands, "import", nir_command.take, "begin a run with the network of a NIR file")
    nir_command.add_options(export, take)


def _configured(parser: argparse.ArgumentParser, default: str) -> None:
    parser.add_argument("config", nargs="?", default=default, help=f"preset or file, as for run (default {default})")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="override a setting; repeatable"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def _command(commands: Any, name: str, function: Any, summary: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=summary, description=summary)
    parser.set_defaults(command=function)
    return parser


def _training_options(parser: argparse.ArgumentParser, trials: int) -> None:
    parser.add_argument("--trials", type=benchmark.count, default=trials, help=f"trials to train (default {trials})")
    parser.add_argument(
        "--out", metavar="FOLDER", help="write config.yaml, trials.csv and checkpoint.safetensors there"
    )
    parser.add_argument(
        "--evaluate-every",
        type=benchmark.count,
        metavar="N",
        help="ask about the validation part every N trials, about the test part at the end; written to evaluations.csv",
    )
    chip_command.add_run_options(parser)
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def _serve_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", type=_port, default=5006, help="port (default 5006)")
    parser.add_argument("--host", default="localhost", help="address to listen on (default localhost)")
    parser.add_argument("--no-browser", action="store_true", help="do not open a browser")
    parser.add_argument("--allow-origin", action="append", metavar="HOST:PORT", help="further origin; repeatable")
    parser.add_argument("--max-sessions", metavar="N", help="live sessions at the same time (default 12)")
    parser.add_argument(
        "--idle-minutes", metavar="M", help="pause a run that nobody touches; 0 for never (default 120)"
    )
    chip_command.add_run_options(parser)


def _port(text: str) -> int:
    if not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"must be a port from 0 to 65535, got {text!r}")
    return int(text)


def _run(options: argparse.Namespace) -> int:
    config, chip = _config(options), chip_command.connected(options)
    store = runs_command.keeping(options.store, chip)
    if store is None:
        session = Session(config, chip)
        return _train(session, session.run(options.trials), options)
    run = Run(Job(config, options.trials, judge="test" if options.evaluate_every else NONE))
    code = _train(run.session, run.records(), options)
    if code == 0:
        store.add(run.outcome())
    return code


def _config(options: argparse.Namespace) -> RunConfig:
    values = loading.settings(options.set)
    if options.seed is not None:
        values["seed"] = options.seed
    return loading.configuration(options.config).with_values(values)


def _resume(options: argparse.Namespace) -> int:
    path = Path(options.checkpoint)
    session = loading.trained(path, chip_command.connected(options))
    options.out = options.out or (str(path) if path.is_dir() else None)
    return _train(session, session.run(options.trials), options)


def _train(session: Session, records: Iterator[TrialRecord], options: argparse.Namespace) -> int:
    folder = results.prepare(options.out, session.trial) if options.out else None
    if options.evaluate_every:
        session.sampler.evaluation("validation")  # what is missing is said before training
    trials: list[dict[str, Any]] = []
    judged: list[dict[str, Any]] = []
    keep = functools.partial(_keep, folder, session, trials, judged)
    done = _ended(lambda: _follow(session, records, options, trials, judged))
    keep()
    if options.evaluate_every and done:
        done = _ended(lambda: judged.append(results.judged(session.trial, evaluate(session, "test"))))
        keep()
    if trials:
        facts = _facts(session, trials, judged)
        print(json.dumps(facts) if options.json else _sentence(facts, min(len(trials), RECENT)))
    return 0 if done else INTERRUPTED


def _ended(work: Callable[[], None]) -> bool:
    """Whether work came to its own end, not to Ctrl-C."""
    try:
        work()
    except KeyboardInterrupt:
        return False
    return True


def _keep(
    folder: results.Folder | None, session: Session, trials: list[dict[str, Any]], judged: list[dict[str, Any]]
) -> None:
    if folder is not None:
        with undisturbed():
            results.write(folder, session, trials, judged)


def _follow(
    session: Session,
    records: Iterator[TrialRecord],
    options: argparse.Namespace,
    trials: list[dict[str, Any]],
    judged: list[dict[str, Any]],
) -> None:
    hidden = options.quiet or not sys.stderr.isatty()
    with tqdm(total=options.trials, unit="trial", disable=hidden, file=sys.stderr) as bar:
        for record in _noted(records, trials):
            if options.evaluate_every and session.trial % options.evaluate_every == 0:
                judged.append(results.judged(session.trial, evaluate(session, "validation")))
            bar.update()
            bar.set_postfix(
                loss=f"{record.loss:.4f}", rate=f"{record.rate:.1f} Hz", status=record.status, refresh=False
            )


def _noted(records: Iterator[TrialRecord], trials: list[dict[str, Any]]) -> Iterator[TrialRecord]:
    """The records, each when its line is among `trials`: Ctrl-C leaves no trial without one."""
    while True:
        with undisturbed():
            record = next(records, None)
            if record is None:
                return
            trials.append(record.scalars())
        yield record


def _facts(session: Session, trials: list[dict[str, Any]], judged: list[dict[str, Any]]) -> dict[str, Any]:
    recent = trials[-RECENT:]
    right = [trial["decision"] == trial["label"] for trial in recent]
    tested = {name: value for name, value in (judged[-1] if judged else {}).items() if not _undefined(value)}
    return {
        "trials": session.trial,
        "loss": float(np.mean([trial["loss"] for trial in recent])),
        "best_loss": min(trial["loss"] for trial in trials),
        "baseline": float(np.mean([trial["baseline"] for trial in recent])),
        **({"accuracy": float(np.mean(right))} if session.sampler.classes else {}),
        **({"test": tested} if tested.get("part") == "test" else {}),
        **{name: trials[-1][name] for name in LAST},
        "wall_seconds": sum(trial["seconds"] for trial in trials),
        "seed": session.config.seed,
    }


def _undefined(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _sentence(facts: dict[str, Any], recent: int) -> str:
    classes = "accuracy" in facts
    right = f", {100.0 * facts['accuracy']:.1f} % right" if classes else ""
    line = (
        f"trial {facts['trials']}: mean {'cross-entropy' if classes else 'squared error'} {facts['loss']:.4f}{right} "
        f"over the last {recent} trials (silent network {facts['baseline']:.3f}), {facts['rate']:.1f} Hz, "
        f"{facts['total_sets']} SETs, {facts['total_resets']} RESETs, {facts['wall_seconds']:.1f} s"
    )
    told = [line, _tested(facts["test"]) if "test" in facts else "", facts["message"]]
    return "\n".join(text for text in told if text)


def _tested(test: dict[str, Any]) -> str:
    where = "test samples, never trained on" if test["held_out"] else "samples of the training set"
    right = f"{100.0 * test['accuracy']:.1f} % right, " if "accuracy" in test else ""
    return f"{test['samples']} {where}: {right}loss {test['loss']:.4f}, {test['hidden_spikes']:.2f} spikes per neuron"


def _presets(options: argparse.Namespace) -> None:
    if options.name:
        print(PRESETS[options.name].config.to_yaml(), end="")
        return
    width = max(map(len, PRESETS))
    for name, preset in PRESETS.items():
        print(f"{name:<{width}}  {preset.summary} [{preset.source}]")


def _serve(options: argparse.Namespace) -> None:
    found = metadata.entry_points(group="pcmlab.commands", name="serve")
    if not found:
        raise PCMLabError("serve: the dashboard is not installed; install pcmlab with its app package")
    (entry,) = found
    entry.load()(
        port=options.port,
        host=options.host,
        open_browser=not options.no_browser,
        allow_origin=options.allow_origin,
        max_sessions=options.max_sessions,
        idle_minutes=options.idle_minutes,
        chip=options.chip,
        chip_token=options.chip_token,
    )


if __name__ == "__main__":
    sys.exit(main())
