"""Texts that people write: settings, files, sweeps, devices, tables, addresses."""

from __future__ import annotations

import json
import random
from pathlib import Path
from urllib.parse import parse_qs, quote

from mutation import changed_text, word
from subjects import Give, subject

from app import sweep_text, url
from app.pages import entries
from pcmsim.errors import PCMLabError
from pcmsim.presets import DEVICES, device_model
from pcmsim.streams import Streams
from training import codec, loading, spaces
from training.config import RunConfig
from training.presets import PRESETS
from training.session import Session
from training.sweep import Sweep
from training.tasks import Csv

SMALL = ("network.hidden=8", "learning.batch=1")
AFFORDABLE = 3e5
"""Steps times neurons of a trial that is trained."""

RANGES = ("1:2", "1e-5:1e-2:log", "a,b", "1:", ":", "::log", "2:1", "0:1:log", "1:2:3", ",", "none,4")


def _setting(rng: random.Random, config: RunConfig) -> str:
    held = dict(codec.flat(config.to_dict()))
    held |= {f"device.constants.{rng.choice(CONSTANTS)}": 0.5, "task": "digits", "scheme": "sign"}
    name = rng.choice([*held])
    value = _near(held[name], rng) if rng.random() < 0.5 else word(rng)
    return f"{name if rng.random() < 0.97 else word(rng)}={value}"


def _near(value: object, rng: random.Random) -> object:
    """A value, or a number not far from it."""
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    return type(value)(value * rng.choice((1, 1, 2, 0.5))) if plain else value  # type: ignore[call-arg,operator]


CONSTANTS = ("g_max", "write_noise", "read_noise", "drift_exponent", "step_offset", "nominal_step", "anything")


def _tried(config: RunConfig, rng: random.Random) -> None:
    """One trial, now and then, where it is a small one."""
    steps = config.task.duration / config.network.dt
    if rng.random() < 0.05 and steps * config.network.hidden < AFFORDABLE:
        Session(config).step()


@subject(4000)
def settings(folder: Path) -> Give:
    """``--set`` of the command line."""

    def give(rng: random.Random, here: Path) -> None:
        base = PRESETS[rng.choice([*PRESETS])].config
        texts = [_setting(rng, base) for _ in range(rng.randint(1, 3))]
        config = base.with_values(loading.settings([*texts, *SMALL][:: rng.choice((1, -1))]))
        assert RunConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
        _tried(config, rng)

    return give


@subject(2000)
def configurations(folder: Path) -> Give:
    """A configuration in a file."""
    texts = [preset.config.to_yaml() for preset in PRESETS.values()]

    def give(rng: random.Random, here: Path) -> None:
        path = here / rng.choice(("run.yaml", "run.json", "run.yml"))
        text = rng.choice(texts)
        if path.suffix == ".json" and rng.random() < 0.8:
            text = json.dumps(PRESETS[rng.choice([*PRESETS])].config.to_dict(), indent=1)
        path.write_text(changed_text(text, rng), encoding="utf-8", errors="surrogatepass")
        config = loading.configuration(str(path))
        path.write_text(config.to_yaml(), encoding="utf-8")
        assert RunConfig.from_yaml(path) == config
        _tried(config, rng)

    return give


@subject(2000)
def sweeps(folder: Path) -> Give:
    """A sweep in a file, and the same text on the page."""
    more = "cases: {a: {scheme: sign}, b: {task: digits}}\nset: {learning.batch: 2}\njudge: none\nevery: 5\n"

    def give(rng: random.Random, here: Path) -> None:
        text = changed_text(sweep_text.EXAMPLE + more, rng)
        path = here / "sweep.yaml"
        path.write_text(text, encoding="utf-8", errors="surrogatepass")
        try:
            asked = Sweep.from_yaml(path)
            next(iter(asked.jobs(confirmed=True)))
            assert Sweep.from_dict(json.loads(json.dumps(asked.to_dict()))).to_dict() == asked.to_dict()
        finally:
            sweep_text.read(text)

    return give


@subject(1500)
def devices(folder: Path) -> Give:
    """Constants of a device in a file."""

    def give(rng: random.Random, here: Path) -> None:
        path = here / rng.choice(("chip.yaml", "chip.json"))
        constants = {
            name: word(rng) if rng.random() < 0.2 else rng.uniform(0, 3) for name in CONSTANTS[: rng.randint(0, 3)]
        }
        text = json.dumps({"preset": rng.choice([*DEVICES]), **constants}, indent=1)
        path.write_text(changed_text(text, rng), encoding="utf-8", errors="surrogatepass")
        device_model(str(path))
        _tried(RunConfig().with_values({"device.preset": str(path), "network.hidden": 8}), rng)

    return give


@subject(500)
def ranges(folder: Path) -> Give:
    """Ranges that ``tune`` searches."""

    def give(rng: random.Random, here: Path) -> None:
        spaces.range_of(rng.choice((rng.choice(RANGES), f"{word(rng)}:{word(rng)}", f"{word(rng)},{word(rng)}")))

    return give


@subject(1000)
def tables(folder: Path) -> Give:
    """CSV tables of spikes and targets."""
    spikes = "sample,time,channel\n" + "".join(f"{k % 4},0.{k:03d},{k % 7}\n" for k in range(30))
    targets = (
        "sample,label\n0,a\n1,b\n2,a\n3,b\n",
        "sample,time,output,value\n" + "".join(f"{k},0,0,1\n" for k in range(4)),
    )

    def give(rng: random.Random, here: Path) -> None:
        spike_text, target_text = spikes, rng.choice(targets)
        if rng.random() < 0.7:
            spike_text = changed_text(spike_text, rng)
        else:
            target_text = changed_text(target_text, rng)
        if rng.random() < 0.2:
            spike_text = spike_text.replace(",", ";").replace("0.", "0,")
        for name, text in (("spikes.csv", spike_text), ("targets.csv", target_text)):
            (here / name).write_text(text, encoding="utf-8", errors="surrogatepass")
        task = Csv(spikes=str(here / "spikes.csv"), targets=str(here / "targets.csv"))
        task.sampler(1e-3, streams=Streams(1)).sample(0)

    return give


@subject(3000)
def addresses(folder: Path) -> Give:
    """The query of a page's address."""

    def give(rng: random.Random, here: Path) -> None:
        base = PRESETS[rng.choice([*PRESETS])].config
        told = [_setting(rng, base).partition("=") for _ in range(rng.choice((1, 2, 5, 120)))]
        told += [
            (key, "=", word(rng))
            for key in ("preset", "autoplay", "theme", "task", "lanes", "seeds", "trials")
            if rng.random() < 0.3
        ]
        query = "&".join(f"{quote(key, errors='replace')}={quote(value, errors='replace')}" for key, _, value in told)
        if rng.random() < 0.2:
            query = changed_text(query, rng)
        arguments = {key: [value.encode("utf-8", "surrogatepass") for value in values] for key, values in parse_qs(query, keep_blank_values=True).items()}  # fmt: skip
        link = url.read(arguments)
        assert all(len(problem) < 1500 for problem in link.problems)
        entries.read(arguments)
        if link.problems:
            raise PCMLabError(link.problems[0])

    return give
