"""Small files in the formats of published data sets, written by the tests themselves; and a single thread."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from training.tasks import Csv, Mnist, Shd

SPEAKERS = 4


@pytest.fixture
def one_thread() -> Iterator[None]:
    """One compute thread: runs are the same to the bit whatever the machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def idx(array: np.ndarray, magic: int) -> bytes:
    """The idx format by its description: big-endian magic number and sizes, then bytes."""
    header = [magic, *array.shape]
    return b"".join(number.to_bytes(4, "big") for number in header) + array.astype(np.uint8).tobytes()


@pytest.fixture
def mnist(tmp_path: Path) -> Mnist:
    """Forty training images, the labels packed, and twenty test images; label k has a bright row k + 5."""
    folder = tmp_path / "mnist"
    folder.mkdir()
    for name, count in (("train", 40), ("t10k", 20)):
        labels = np.arange(count) % 10
        images = np.random.default_rng(count).integers(0, 120, (count, 28, 28))
        images[np.arange(count), labels + 5] = 255
        (folder / f"{name}-images-idx3-ubyte").write_bytes(idx(images, 2051))
        (folder / f"{name}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(labels, 2049)))
    return Mnist(folder=str(folder))


@pytest.fixture
def write_shd(tmp_path: Path) -> Callable[..., Path]:
    """Write a file as the Heidelberg group hands it out; arguments replace one sample's spikes or a data set."""

    def write(name: str, labels: np.ndarray, **changed: object) -> Path:
        path, draws = tmp_path / "shd" / name, np.random.default_rng(len(labels))
        path.parent.mkdir(exist_ok=True)
        with h5py.File(path, "w") as file:
            times = file.create_dataset("spikes/times", (len(labels),), h5py.vlen_dtype(np.float16))
            units = file.create_dataset("spikes/units", (len(labels),), h5py.vlen_dtype(np.uint16))
            for k in range(len(labels)):
                times[k] = np.sort(draws.uniform(0.0, 1.0, 300)).astype(np.float16)
                units[k] = draws.integers(0, 700, 300)
            times[0] = changed.get("times", times[0])
            units[0] = changed.get("units", units[0])
            file["labels"] = np.asarray(labels, np.int16)
            file["extra/speaker"] = np.arange(len(labels)) % SPEAKERS
        return path

    return write


@pytest.fixture
def shd(write_shd: Callable[..., Path]) -> Shd:
    """Sixty training and forty test recordings of noise."""
    write_shd("shd_train.h5", np.arange(60) % 20)
    return Shd(folder=str(write_shd("shd_test.h5", np.arange(40) % 20).parent))


@pytest.fixture
def write_csv(tmp_path: Path) -> Callable[..., Csv]:
    """Write the two tables and return their task."""

    def write(spikes: str, targets: str, **values: object) -> Csv:
        (tmp_path / "spikes.csv").write_text(spikes, encoding="utf-8")
        (tmp_path / "targets.csv").write_text(targets, encoding="utf-8")
        return Csv(spikes=str(tmp_path / "spikes.csv"), targets=str(tmp_path / "targets.csv"), **values)

    return write


SPIKES = "sample,time,channel\n" + "".join(f"{k},{0.001 * (k + c)},{c}\n" for k in range(30) for c in range(4))


@pytest.fixture
def labelled(write_csv: Callable[..., Csv]) -> Csv:
    """Thirty samples of three classes."""
    return write_csv(SPIKES, "sample,label\n" + "".join(f"{k},{'abc'[k % 3]}\n" for k in range(30)), duration=0.05)


@pytest.fixture
def curves(write_csv: Callable[..., Csv]) -> Csv:
    """Thirty samples of two outputs that step up at 10 ms."""
    lines = (f"{k},0.01,{output},{k + output}\n" for k in range(30) for output in range(2))
    return write_csv(SPIKES, "sample,time,output,value\n" + "".join(lines), duration=0.05)
