"""Users' files: read as their formats say, and refused in words where they are not."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from memory_kit import at_most

from pcmsim.errors import FieldError, FileError, PCMLabError
from pcmsim.streams import Streams
from training import spikes
from training.support import ram
from training.tasks import Csv, Mnist, Sampler, Shd, Task
from training.tasks.files import LARGEST
from training.tasks.mnist import SHARES, shrunk


def sampled(task: Task, dt: float = 1e-3) -> Sampler:
    return task.sampler(dt, streams=Streams(1))


def refused(task: Task, text: str) -> None:
    with pytest.raises(FileError, match=text):
        sampled(task)


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(LARGEST + 1)


# MNIST


def test_images_are_cropped_and_averaged() -> None:
    """A pixel of 16 x 16 covers 1.5 x 1.5 of the inner 24 x 24; the mean over all stays."""
    image = np.random.default_rng(1).uniform(size=(28, 28))
    small, inner = shrunk(image), image[2:-2, 2:-2]
    assert small.shape == (16, 16)
    assert small.mean() == pytest.approx(inner.mean())
    fine = np.kron(inner, np.ones((2, 2)))
    np.testing.assert_allclose(small, fine.reshape(16, 3, 16, 3).mean((1, 3)))
    np.testing.assert_allclose(SHARES.sum(1), 1.0)


def test_mnist_is_read_plain_and_packed(mnist: Mnist) -> None:
    sampler = sampled(mnist)
    assert [part.size for part in sampler.parts] == [30, 10, 20]
    for sample in [sampler.sample(0), *sampler.evaluation()]:
        bright = sampler.image(sample).max(1).argmax()
        assert abs((bright + 0.5) * 1.5 + 2 - (sample.label + 5.5)) <= 1.5
        first = np.unique(sample.inputs.neuron[: sample.inputs.start[sample.inputs.start.nonzero()[0][0]]] // 16)
        assert bright in first


def header(*numbers: int) -> bytes:
    return b"".join(number.to_bytes(4, "big") for number in numbers)


IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte.gz"
BAD_MNIST = {
    "magic": (IMAGES, header(2049, 40, 28, 28), "is not an idx file of images: magic number 2049, expected 2051"),
    "label magic": (LABELS, gzip.compress(header(2051, 40)), "not an idx file of labels: magic number 2051, expected 2049"),
    "short header": (IMAGES, b"\0\0", "is not an idx file of images: magic number 0, expected 2051"),
    "truncated": (IMAGES, header(2051, 40, 28, 28) + bytes(9), "cut short: its header promises 31360 bytes of images"),
    "longer": (IMAGES, header(2051, 1, 28, 28) + bytes(785), "is longer than it says: its header promises 784 bytes"),
    "shape": (IMAGES, header(2051, 40, 27, 28) + bytes(40 * 27 * 28), "holds images of 27 x 28 pixels; expected 28 x 28"),
    "none": (IMAGES, header(2051, 0, 28, 28), "promises 0 bytes of images; expected 1 to 1073741824"),
    "bomb": (IMAGES, header(2051, 2**31, 28, 28), "promises 1683627180032 bytes of images; expected 1 to"),
    "claim": (LABELS, gzip.compress(header(2049, 10**6 + 1)), "holds 1,000,001 samples; at most 1,000,000 are read"),
    "count": (LABELS, gzip.compress(header(2049, 39) + bytes(39)), "holds 39 labels for the 40 images of train-images-idx3-ubyte"),
    "label": (LABELS, gzip.compress(header(2049, 40) + bytes(39) + b"\x0a"), "label 10 of image 39; expected 0 to 9"),
    "empty": (IMAGES, b"", "train-images-idx3-ubyte: is empty; expected an idx file of images"),
    "not packed": (LABELS, b"plain text", r"cannot be read or unpacked \(Not a gzipped file"),
    "half packed": (LABELS, gzip.compress(header(2049, 40) + bytes(40))[:20], r"cannot be read or unpacked \(Compressed file ended"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_MNIST)
def test_mnist_files_that_are_wrong_are_named(case: str, mnist: Mnist) -> None:
    name, content, text = BAD_MNIST[case]
    (Path(mnist.folder) / name).write_bytes(content)
    refused(mnist, text)


def test_mnist_files_that_are_missing_or_huge_are_named(mnist: Mnist, tmp_path: Path) -> None:
    sparse(Path(mnist.folder) / IMAGES)
    refused(mnist, r"train-images-idx3-ubyte: is too large, 2.1 GB; at most 2.1 GB are read")
    (Path(mnist.folder) / IMAGES).unlink()
    refused(mnist, r"train-images-idx3-ubyte: is missing; expected MNIST's four idx files")
    (Path(mnist.folder) / IMAGES).mkdir()
    refused(mnist, r"train-images-idx3-ubyte: is missing; expected MNIST's four idx files")
    refused(
        Mnist(folder=str(tmp_path / "none")),
        r"none: cannot be found \(No such file or directory\); expected a folder with MNIST",
    )
    refused(Mnist(folder=f"{mnist.folder}/{LABELS}"), "is not a folder; expected a folder with MNIST's four idx files")
    refused(Mnist(folder="a\0b"), "is not a file name; expected one without null characters")
    with pytest.raises(FieldError, match=r"^Mnist.folder: must be the path of a folder with MNIST's .*, got ''$"):
        sampled(Mnist())


def test_a_file_that_changed_is_read_again(mnist: Mnist) -> None:
    before = sampled(mnist)._labels[:40].tolist()
    (Path(mnist.folder) / LABELS).write_bytes(gzip.compress(header(2049, 40) + bytes([7] * 40)))
    assert sampled(mnist)._labels[:40].tolist() == [7] * 40 != before


# SHD


def test_every_ninth_channel_after_seventy_is_kept(write_shd: Callable[..., Path]) -> None:
    write_shd("shd_test.h5", np.arange(20))
    times = np.array([0.1, 0.2, 0.3, 0.4, 0.5], np.float16)
    path = write_shd("shd_train.h5", np.full(5, 3), times=times, units=np.array([69, 70, 71, 79, 691], np.uint16))
    sample = sampled(Shd(folder=str(path.parent), validation=0.0))._make(0)
    assert sample.inputs.neuron.tolist() == [0, 1, 69]
    assert spikes.times(sample.inputs).tolist() == [200, 400, 500]


def test_times_are_cast_before_they_are_scaled(write_shd: Callable[..., Path]) -> None:
    """Half precision has steps of 1 ms at 1 to 2 s; scaled to microseconds it would overflow at 65 504."""
    write_shd("shd_test.h5", np.arange(20))
    path = write_shd("shd_train.h5", np.full(5, 3), times=np.array([1.25], np.float16), units=np.array([70], np.uint16))
    sample = sampled(Shd(folder=str(path.parent), validation=0.0), 1e-5)._make(0)
    assert spikes.times(sample.inputs).tolist() == [125_000]


def test_shd_parts_are_the_files(shd: Shd) -> None:
    sampler = sampled(shd)
    assert sampler.inputs == 70 and sampler.outputs == len(sampler.classes) == 20
    assert [part.size for part in sampler.parts] == [40, 20, 40]
    assert [sample.label for sample in sampler.evaluation()] == (np.arange(40) % 20).tolist()


BAD_SPIKES = {
    "nan": ({"times": np.array([np.nan], np.float16), "units": np.array([1])}, "spike time nan in sample 0; expected finite"),
    "overflow": ({"times": np.array([70000.0], np.float32).astype(np.float32), "units": np.array([1])}, "spike time inf in sample 0; expected finite seconds >= 0"),
    "negative": ({"times": np.array([-0.5], np.float16), "units": np.array([1])}, "spike time -0.5 in sample 0; expected"),
    "unit": ({"times": np.array([0.5], np.float16), "units": np.array([700])}, "unit 700 in sample 0; expected 0 to 699"),
    "lengths": ({"times": np.array([0.5], np.float16), "units": np.array([1, 2])}, "sample 0 has 1 spike times and 2 units"),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:overflow encountered in cast")
@pytest.mark.parametrize("case", BAD_SPIKES)
def test_shd_spikes_that_cannot_be_are_named(case: str, write_shd: Callable[..., Path]) -> None:
    changed, text = BAD_SPIKES[case]
    write_shd("shd_test.h5", np.arange(20))
    refused(Shd(folder=str(write_shd("shd_train.h5", np.arange(20), **changed).parent)), f"shd_train.h5: {text}")


def test_shd_files_that_are_wrong_are_named(shd: Shd, write_shd: Callable[..., Path]) -> None:
    path = Path(shd.folder) / "shd_test.h5"
    write_shd("shd_test.h5", np.array([3, 20]))
    refused(shd, "label 20 of sample 1; expected 0 to 19")
    write_shd("shd_test.h5", np.arange(20))
    with h5py.File(path, "a") as file:
        del file["labels"]
        file["labels"] = np.zeros(19, np.int16)
    refused(shd, "holds 20 lists of times, 20 of units and 19 labels; expected as many of each")
    with h5py.File(path, "a") as file:
        del file["labels"]
        file["labels"] = np.zeros(20)
    refused(shd, r"/labels holds float64 in shape \(20,\); expected one number per sample")
    with h5py.File(path, "a") as file:
        del file["labels"]
        file["labels"] = h5py.Empty(np.int16)
    refused(shd, "/labels holds int16 in shape None; expected one number per sample")
    with h5py.File(path, "a") as file:
        del file["spikes/units"]
    refused(shd, "has no data set /spikes/units; expected /spikes/times, /spikes/units, /labels")
    with h5py.File(path, "a") as file:
        file["spikes/units"] = np.zeros((20, 3))
    refused(shd, r"/spikes/units holds float64 in shape \(20, 3\); expected one list per sample")
    path.write_bytes(b"not HDF5")
    refused(shd, r"shd_test.h5: cannot be read as HDF5 \(")
    path.write_bytes(b"")
    refused(shd, "shd_test.h5: is empty; expected shd_train.h5 and shd_test.h5 in this folder")
    sparse(path)
    refused(shd, "shd_test.h5: is too large, 2.1 GB")
    path.unlink()
    refused(shd, r"shd_test.h5: cannot be found \(No such file or directory\); expected shd_train.h5 and shd_test.h5")


# CSV

SPIKES = "sample,time,channel\n0,0.001,0\n1,0.002,3\n0,0.005,2\n"
LABELLED = "sample,label\n1,yes\n0,no\n"


def test_tables_become_samples(write_csv: Callable[..., Csv]) -> None:
    sampler = sampled(write_csv(SPIKES, LABELLED, duration=0.01, test=0.0, validation=0.0))
    assert (sampler.inputs, sampler.outputs, sampler.classes, sampler.held_out) == (4, 2, ("no", "yes"), False)
    first, second = sorted(sampler.evaluation(), key=lambda sample: sample.index)
    assert (first.inputs.neuron.tolist(), spikes.times(first.inputs).tolist(), first.label) == ([0, 2], [1, 5], 0)
    assert (second.inputs.neuron.tolist(), spikes.times(second.inputs).tolist(), second.label) == ([3], [2], 1)


def test_a_silent_last_channel_is_a_channel_where_the_setting_says_so(write_csv: Callable[..., Csv]) -> None:
    few = write_csv(SPIKES, LABELLED, duration=0.01, test=0.0, channels=7)
    assert sampled(few).inputs == 7
    assert sampled(replace(few, channels=None)).inputs == 4
    refused(replace(few, channels=3), "spikes.csv: has spikes on channel 3; expected 3 channels from 0")
    with pytest.raises(FieldError, match=r"^Csv.channels: must be a whole number >= 1 and <= 10000"):
        replace(few, channels=0)


def test_values_hold_until_the_next(write_csv: Callable[..., Csv]) -> None:
    targets = "sample,time,output,value\n0,0.004,1,-2\n0,0.002,0,1.5\n0,0.004,0,0\n1,0,0,3\n"
    sampler = sampled(write_csv(SPIKES, targets, duration=0.006, test=0.0))
    np.testing.assert_array_equal(sampler._make(0).target, [[0, 0], [0, 0], [1.5, 0], [1.5, 0], [0, -2], [0, -2]])
    np.testing.assert_array_equal(sampler._make(1).target[:, 0], 3.0)


def test_whole_numbers_are_ordered_as_numbers(write_csv: Callable[..., Csv]) -> None:
    targets = "\ufeffsample,label,comment\n" + "".join(
        f"{k},{label},x\n" for k, label in enumerate(["10", "9", "a", "1"])
    )
    assert sampled(write_csv(SPIKES, targets)).classes == ("1", "9", "10", "a")


BAD_CSV = {
    "spike columns": ("sample,when,channel\n0,0,0\n", LABELLED, "spikes.csv: has the columns sample,when,channel; expected sample,time,channel"),
    "target columns": (SPIKES, "sample,class\n0,a\n", "targets.csv: has the columns sample,class; expected sample,label or sample,time,output,value"),
    "text": (SPIKES + "0,soon,1\n", LABELLED, "spikes.csv: line 5, time: 'soon' is not a finite number"),
    "nan": (SPIKES + "0,nan,1\n", LABELLED, "spikes.csv: line 5, time: 'nan' is not a finite number"),
    "infinite": (SPIKES + "0,inf,1\n", LABELLED, "spikes.csv: line 5, time: 'inf' is not a finite number"),
    "missing": (SPIKES + "0,,1\n", LABELLED, "spikes.csv: line 5, time: '' is not a finite number"),
    "negative": (SPIKES + "0,-0.1,1\n", LABELLED, "spikes.csv: line 5, time: '-0.1' is not a time >= 0 s"),
    "late": (SPIKES + "0,1.5,1\n", LABELLED, "spikes.csv: line 5, time: 1.5 s is not before the trial's end, 1 s"),
    "channel": (SPIKES + "0,0.1,10000\n", LABELLED, "line 5, channel: '10000' is not a whole number from 0 to 9999"),
    "half channel": (SPIKES + "0,0.1,1.5\n", LABELLED, "line 5, channel: '1.5' is not a whole number"),
    "extra sample": (SPIKES + "7,0.1,1\n", LABELLED, "spikes of sample 7, but targets.csv has samples 0 to 1"),
    "duplicate": (SPIKES, LABELLED + "1,no\n", "targets.csv: sample 1 has more than one label; expected one line per sample"),
    "gap": (SPIKES, "sample,label\n0,a\n1,b\n3,a\n", "targets.csv: has no sample 2; expected 3 samples numbered from 0"),
    "gap in curves": (SPIKES, "sample,time,output,value\n0,0,0,1\n2,0,0,1\n", "targets.csv: has no sample 1; expected 2 samples"),
    "value": (SPIKES, "sample,time,output,value\n0,0,0,high\n", "targets.csv: line 2, value: 'high' is not a finite number"),
    "header only": (SPIKES, "sample,label\n", "targets.csv: has no lines below its header sample,label or"),
    "ragged": (SPIKES + "0,0.1,1,5,6\n", LABELLED, r"spikes.csv: cannot be read as a CSV table \("),
    "shifted": ("sample,time,channel\n0,0.1,1,9\n", LABELLED, r"spikes.csv: cannot be read as a CSV table \("),
    "header": ("sample,time,channel" + ",x" * 5000 + "\n", LABELLED, "spikes.csv: holds 10,020 characters in its header; at most 10,000 are read"),
    "empty": ("", LABELLED, "spikes.csv: is empty; expected a CSV table of spikes"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_CSV)
def test_tables_that_are_wrong_are_named(case: str, write_csv: Callable[..., Csv]) -> None:
    table, targets, text = BAD_CSV[case]
    refused(write_csv(table, targets), text)


def test_tables_that_are_no_text_missing_or_huge_are_named(write_csv: Callable[..., Csv], tmp_path: Path) -> None:
    task = write_csv(SPIKES, LABELLED)
    Path(task.targets).write_bytes(b"sample,label\n\xff\xfe,1\n")
    refused(task, r"targets.csv: cannot be read as a CSV table \(.*decode")
    Path(task.targets).unlink()
    refused(task, r"targets.csv: cannot be found \(No such file or directory\); expected a CSV table of targets")
    sparse(Path(task.spikes))
    refused(task, "spikes.csv: is too large, 2.1 GB; at most 2.1 GB are read")
    refused(Csv(spikes=str(tmp_path)), "is not a file; expected a CSV table of spikes")
    refused(Csv(spikes="https://example.org/spikes.csv"), r"cannot be found \(No such file or directory\)")
    with pytest.raises(FieldError, match=r"^Csv.spikes: must be the path of a CSV table of spikes, got ''$"):
        sampled(Csv())


@pytest.mark.parametrize("task", [Csv(spikes="~nouser/x.csv"), Shd(folder="~nouser/x"), Mnist(folder="~nouser/x")])
def test_the_home_of_nobody_is_named(task: Task) -> None:
    refused(task, "~nouser/x.*: begins with a home directory that is not known; expected the whole path")


def test_too_few_samples_for_a_validation_part_are_told(write_csv: Callable[..., Csv]) -> None:
    """With one of the two in the test part, the other has to be trained on."""
    task = write_csv("sample,time,channel\n0,0,0\n1,0,1\n2,0,0\n3,0,1\n", "sample,label\n0,a\n1,b\n2,a\n3,b\n")
    sampler = sampled(task)
    assert [part.size for part in sampler.parts] == [2, 0, 2]
    with pytest.raises(FieldError, match=r"^task.validation: .* a class of two or more outside .* got 'no samples'$"):
        sampler.evaluation("validation")


def test_sample_numbers_are_no_sizes(write_csv: Callable[..., Csv]) -> None:
    """A number of ten digits asks for no memory of that size."""
    refused(
        write_csv(SPIKES, "sample,label\n0,a\n2000000000,b\n"), "has no sample 1; expected 2 samples numbered from 0"
    )


def test_a_gzip_is_unpacked_in_pieces_and_no_further_than_it_says(mnist: Mnist) -> None:
    """Four megabytes of it unpack to four gigabytes; its header promises forty labels."""
    (Path(mnist.folder) / LABELS).write_bytes(gzip.compress(header(2049, 40) + bytes(40) + bytes(2**28)))
    with at_most(2**26):
        refused(mnist, "is longer than it says: its header promises 40 bytes of labels")


def test_files_that_take_more_memory_than_there_is_are_refused(
    mnist: Mnist, write_csv: Callable[..., Csv], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ram, "allowed", lambda: 30_000)
    with pytest.raises(PCMLabError, match=r"train-images-idx3-ubyte: need about 0\.0 GB of memory"):
        sampled(mnist)
    with pytest.raises(PCMLabError, match=r"spikes\.csv: need about 0\.0 GB of memory"):
        sampled(write_csv(SPIKES + "0,0.001,0\n" * 2000, LABELLED))


def test_many_large_samples_are_not_all_kept(write_csv: Callable[..., Csv]) -> None:
    targets = "sample,time,output,value\n" + "".join(f"{k},0,999,1\n" for k in range(30))
    sampler = sampled(write_csv(SPIKES, targets))
    for trial in range(30):
        assert sampler.sample(trial).target.nbytes == 8 * 1000 * 1000
    assert sampler._make.cache_info().currsize <= 8
