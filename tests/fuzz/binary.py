"""Files and messages of bytes: checkpoints, HDF5, idx, NIR, messages and logs of chips, the run store."""

from __future__ import annotations

import gzip
import random
import shutil
import zlib
from pathlib import Path

import h5py
import numpy as np
import torch
from mutation import changed_bytes
from subjects import Give, subject

from pcmsim.plan import PulsePlan
from pcmsim.streams import Streams
from training import interchange
from training.chip import serving, wire
from training.chip.base import CALLS
from training.chip.frames import FRAME, ONES
from training.chip.log import LoggedChip
from training.chip.simulated import SimulatedChip
from training.config import RunConfig
from training.jobs import Job, perform
from training.session import Session
from training.spikes import Spikes
from training.store import Store
from training.tasks import Mnist, Shd

SMALL = RunConfig().with_values({
    "network.hidden": 8, "task": {"name": "pattern", "inputs": 6, "duration": 0.05, "rate": 100.0}, "seed": 1,
})  # fmt: skip
ON_CORES = SMALL.with_values({"core.enabled": True})


def _changed(source: Path, place: Path, rng: random.Random) -> Path:
    place.write_bytes(changed_bytes(source.read_bytes(), rng))
    return place


@subject(1000)
def checkpoints(folder: Path) -> Give:
    """Checkpoints that are taken up."""
    whole = folder / "whole.safetensors"
    session = Session(SMALL)
    list(session.run(2))
    session.save(whole)

    def give(rng: random.Random, here: Path) -> None:
        Session.resume(_changed(whole, here / "run.safetensors", rng)).step()

    return give


@subject(1000)
def shd(folder: Path) -> Give:
    """SHD's HDF5 files."""
    for name in ("shd_train.h5", "shd_test.h5"):
        with h5py.File(folder / name, "w") as file:
            for part, kind in (("times", np.float16), ("units", np.uint16)):
                made = file.create_dataset(f"spikes/{part}", (20,), dtype=h5py.vlen_dtype(kind))
                for sample in range(20):
                    made[sample] = np.arange(10).astype(kind) * (0.01 if part == "times" else 70)
            file["labels"] = np.arange(20, dtype=np.uint16)

    def give(rng: random.Random, here: Path) -> None:
        _changed(folder / "shd_train.h5", here / "shd_train.h5", rng)
        shutil.copy(folder / "shd_test.h5", here)
        Shd(folder=str(here)).sampler(1e-3, streams=Streams(1)).sample(0)

    return give


@subject(1000)
def idx(folder: Path) -> Give:
    """MNIST's four files, plain and packed."""
    contents = {}
    for name, count in (("train", 30), ("t10k", 20)):
        head = [(2051).to_bytes(4, "big"), count.to_bytes(4, "big"), (28).to_bytes(4, "big"), (28).to_bytes(4, "big")]
        images = np.random.default_rng(1).integers(0, 256, (count, 28, 28), np.uint8)
        labels = (2049).to_bytes(4, "big") + count.to_bytes(4, "big") + bytes(k % 10 for k in range(count))
        contents[f"{name}-images-idx3-ubyte"] = b"".join(head) + images.tobytes()
        contents[f"{name}-labels-idx1-ubyte.gz"] = gzip.compress(labels)

    def give(rng: random.Random, here: Path) -> None:
        wrong = rng.choice([*contents])
        for name, content in contents.items():
            (here / name).write_bytes(changed_bytes(content, rng) if name == wrong else content)
        Mnist(folder=str(here)).sampler(1e-3, streams=Streams(1)).sample(0)

    return give


@subject(1000)
def nir(folder: Path) -> Give:
    """Networks in NIR's HDF5 files."""
    whole = folder / "network.nir"
    session = Session(SMALL.with_values({"scheme": "float32"}))
    interchange.save_nir(session, whole)

    def give(rng: random.Random, here: Path) -> None:
        found = interchange.from_nir(_changed(whole, here / "network.nir", rng))
        interchange.load(Session(found.run_config()), found)

    return give


@subject(1000)
def messages(folder: Path) -> Give:
    """Requests to a chip's server."""
    rows = Spikes(np.array([0, 1, 2], np.int64), np.array([1, 2], np.int32))
    plan = PulsePlan.build(np_tensor([1]), np_tensor([3]))
    requests = {
        "program": ["recurrent", plan, 1.0, 5, 1], "mvm": ["input", rows, 0, 1.0, 7], "read": ["output", 1.0],
        "wait": [5.0], "clock": [], "info": [],
    }  # fmt: skip
    chip = SimulatedChip(ON_CORES)

    def give(rng: random.Random, here: Path) -> None:
        call = rng.choice(CALLS)
        found = wire.unpack(changed_bytes(wire.pack(requests[call]), rng))
        if isinstance(found, list) and len(found) == len(requests[call]):
            wire.pack(getattr(chip, call)(*found))

    return give


def np_tensor(values: list[int]) -> object:
    """Whole numbers as a tensor."""
    return torch.tensor(values)


@subject(1000)
def logs(folder: Path) -> Give:
    """Logs of chips, replayed."""
    whole = folder / "log"
    chip = LoggedChip(SimulatedChip(ON_CORES), whole, {"config": ON_CORES.to_dict(), "cores": 64}, answers=True)
    list(Session(ON_CORES, chip).run(1))
    chip.close()

    def give(rng: random.Random, here: Path) -> None:
        content = whole.read_bytes()
        if rng.random() < 0.5:
            content = _reframed(content, rng)
            (here / "log").write_bytes(content)
        else:
            _changed(whole, here / "log", rng)
        serving.replayed(str(here / "log"))

    return give


def _reframed(content: bytes, rng: random.Random) -> bytes:
    """The first entries, one of them changed with a checksum that fits."""
    entries, place = [], 0
    while place < len(content) and len(entries) < 6:
        length, _, _ = FRAME.unpack_from(content, place)
        entries.append(content[place + FRAME.size : place + FRAME.size + length])
        place += FRAME.size + length
    wrong = rng.randrange(len(entries))
    entries[wrong] = changed_bytes(entries[wrong], rng)
    return b"".join(FRAME.pack(len(data), len(data) ^ ONES, zlib.crc32(data)) + data for data in entries)


@subject(1000)
def store(folder: Path) -> Give:
    """Rows, curves and groups of the run store."""
    whole = Store(folder / "store")
    whole.add(perform(Job(SMALL, 2, 1)))
    whole.keep_group("all", "sweep", {"name": "all"}, [Job(SMALL, 2, 1)])
    (key,) = whole.keys()

    def give(rng: random.Random, here: Path) -> None:
        shutil.copytree(folder / "store", here / "store")
        wrong = rng.choice([path for path in (here / "store").rglob("*") if path.is_file() and path.stat().st_size])
        _changed(wrong, wrong, rng)
        found = Store(here / "store")
        for group in found.groups():
            found.group(group)
        found.runs()
        found.curves()
        list(found.outcomes([found.job(key)]))

    return give
