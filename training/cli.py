"""The ``pcmlab`` command."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import metadata
from typing import Any, NoReturn

import torch

from pcmsim.errors import PCMLabError
from pcmsim.foundation.quoting import one_line
from training import (
    benchmark,
    deploy_report,
    loading,
    mismatch_report,
    nir_command,
    race_command,
    run_command,
    runs_command,
    serve_command,
    sweep_command,
    tune_command,
)
from training.chip import command as chip_command
from training.config import RunConfig
from training.interrupts import listening
from training.presets import PRESETS
from training.studies import INTERRUPTED
from training.support import console

BAD_INPUT = 2
SIGNALLED = 128
"""What a shell adds to the number of the signal that ended a program."""

LONGEST_MESSAGE = 1000
"""Characters of what is wrong with the options."""


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(BAD_INPUT, f"pcmlab: {one_line(message, LONGEST_MESSAGE)}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code.

    0 is success, 2 a bad input or file (one line on standard error), 130 an interruption by Ctrl-C, 143 one by
    SIGTERM, 129 one by SIGHUP.
    """
    torch.set_num_threads(1)
    console.show_every_letter()
    options = _parser().parse_args(arguments)
    with listening() as came:
        code = _code(options)
        return SIGNALLED + came[0] if came and code == INTERRUPTED else code


def _code(options: argparse.Namespace) -> int:
    try:
        code = int(options.command(options) or 0)
        sys.stdout.flush()  # a full disk is told here, not by Python at exit
        return code
    except PCMLabError as error:
        return _refused(str(error))
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        console.write_no_more()
        return 0
    except OSError as error:
        console.write_no_more()
        return _refused(f"{error.filename or 'output'}: cannot be read or written ({error.strerror or error})")


def _refused(message: str) -> int:
    print(f"pcmlab: {' '.join(message.split())}", file=sys.stderr)
    return BAD_INPUT


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="pcmlab", description="E-prop on simulated phase-change memory.")
    parser.add_argument("--version", action="version", version=f"pcmlab {metadata.version('pcmlab')}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    run = _command(
        commands,
        "run",
        lambda options: run_command.run(options, _config(options)),
        "train a preset or a YAML configuration",
    )
    _seeded(run)
    run_command.add_run_options(run)
    resume = _command(commands, "resume", run_command.resume, "continue from a checkpoint, exactly")
    run_command.add_resume_options(resume)
    presets = _command(commands, "presets", _presets, "list the named runs, or print one as YAML")
    presets.add_argument("name", nargs="?", help="preset to print")
    serve_command.add_options(_command(commands, "serve", serve_command.command, "open the dashboard"))
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
        _command(
            commands, "chip", serve_command.command, "a chip that holds a run's weights: serve one, replay its log"
        ),
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


def _run(options: argparse.Namespace) -> int:
    return run_command.run(options, _config(options))


def _config(options: argparse.Namespace) -> RunConfig:
    values = loading.settings(options.set)
    if options.seed is not None:
        values["seed"] = options.seed
    return loading.configuration(options.config).with_values(values)


def _presets(options: argparse.Namespace) -> None:
    if options.name:
        print(PRESETS[options.name].config.to_yaml(), end="")
        return
    width = max(map(len, PRESETS))
    for name, preset in PRESETS.items():
        print(f"{name:<{width}}  {preset.summary} [{preset.source}]")


if __name__ == "__main__":
    sys.exit(main())
