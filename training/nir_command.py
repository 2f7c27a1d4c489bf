"""``pcmlab nir``: networks to and from other simulators."""

from __future__ import annotations

import argparse
import sys

from training import interchange, loading
from training.nir_graph import DIALECTS
from training.session import Session


def add_options(export: argparse.ArgumentParser, take: argparse.ArgumentParser) -> None:
    """Options of ``pcmlab nir export`` and ``pcmlab nir import``."""
    export.add_argument("checkpoint", help="checkpoint file, or the folder of a run")
    export.add_argument("file", help="NIR file to write")
    take.add_argument("file", help="NIR file")
    take.add_argument("--out", required=True, metavar="CHECKPOINT", help="checkpoint to write; pcmlab resume trains it")
    take.add_argument(
        "--config", help="preset or file with what the file does not say (default: its own configuration, or pattern's)"
    )
    take.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a setting; repeatable")
    take.add_argument("--dt", type=float, metavar="SECONDS", help="time step, where the file does not say it")
    dialects = "; ".join(f"{name}: {dialect.summary}" for name, dialect in DIALECTS.items())
    for parser, usual in ((export, "exact"), (take, "as the file says, else exact")):
        parser.add_argument(
            "--dialect", metavar="NAME", help=f"how the other simulator steps (default {usual}). {dialects}"
        )


def export(options: argparse.Namespace) -> None:
    """``pcmlab nir export``."""
    session = loading.trained(options.checkpoint)
    interchange.save_nir(session, options.file, options.dialect or "exact")
    hidden, sampler = session.config.network.hidden, session.sampler
    print(f"{options.file}: {sampler.inputs} inputs, {hidden} neurons, {sampler.outputs} readout units")


def take(options: argparse.Namespace) -> None:
    """``pcmlab nir import``: onto a configuration or the file's own, with some settings replaced."""
    base = loading.configuration(options.config) if options.config else None
    values = loading.settings(options.set)
    found = interchange.from_nir(options.file, options.dt, options.dialect)
    session = Session(found.run_config(base).with_values(values))
    interchange.load(session, found)
    session.save(options.out)
    for note in found.notes:
        print(f"pcmlab: note: {note}", file=sys.stderr)
    pre, hidden, outputs = found.weights.input.shape[0], *found.weights.output.shape
    print(f"{options.out}: {pre} inputs, {hidden} neurons, {outputs} readout units, not trained here yet")
