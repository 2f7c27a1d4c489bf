"""Files of spikes as people have them: read where they are unambiguous, else refused by line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from pcmsim.errors import FileError
from pcmsim.streams import Streams
from training import cli, spikes
from training.coding import events, losses, steps_of
from training.tasks import Csv, Mnist, Sampler, Shd, Task

ROWS = ("0,0.010,0", "0,0.020,1", "1,0.010,1", "1,0.030,2", "2,0.010,0", "2,0.020,2", "3,0.015,1", "3,0.025,0")
SPIKES = "\n".join(["sample,time,channel", *ROWS]) + "\n"
LABELS = "sample,label\n0,a\n1,b\n2,a\n3,b\n"
TIMES = [0.01, 0.02, 0.01, 0.03, 0.01, 0.02, 0.015, 0.025]


def sampled(task: Task, dt: float = 1e-3) -> Sampler:
    return task.sampler(dt, streams=Streams(1))


ALIKE = {
    "good": SPIKES,
    "semicolons": SPIKES.replace(",", ";"),
    "decimal commas": SPIKES.replace(",", ";").replace(".", ","),
    "tabs": SPIKES.replace(",", "\t"),
    "unit in brackets": SPIKES.replace("time", "time [s]"),
    "unit in parentheses": SPIKES.replace("time", "Time (s)"),
    "milliseconds": SPIKES.replace("time", "time (ms)").replace("0.0", "").replace("5,", "5,"),
    "comments": "# NEST 3.4\n\n# more, with, many, commas\n" + SPIKES + "# the end\n",
    "blank lines": SPIKES.replace("\n", "\n\n"),
    "byte order mark": "\ufeff" + SPIKES,
    "windows": SPIKES.replace("\n", "\r\n"),
}


@pytest.mark.parametrize("case", ALIKE)
def test_the_same_table_is_read_however_it_is_written(case: str, write_csv: Callable[..., Csv]) -> None:
    task = write_csv(ALIKE[case], LABELS)
    assert sampled(task)._spikes.time.tolist() == pytest.approx(TIMES, rel=1e-12)
    assert sampled(task).remarks == ()


def test_semicolons_separate_labels_too(write_csv: Callable[..., Csv]) -> None:
    assert sampled(write_csv(SPIKES, LABELS.replace(",", ";").replace(";a", ";0,5"))).classes == ("0,5", "b")


REFUSED = {
    "empty label": (SPIKES, LABELS.replace("0,a", "0,"), "targets.csv: line 2, label: is empty; expected a label"),
    "blank label": (SPIKES, LABELS.replace("2,a", "2,  "), "targets.csv: line 4, label: is empty"),
    "missing label": (SPIKES, "sample,label\n\n0,a\n1\n", "targets.csv: line 4, label: is empty"),
    "blank lines count": ("sample,time,channel\n\n\n0,0.01,0\n\n1,x,1\n", LABELS, "line 6, time: 'x' is not a finite number"),
    "comments count": ("# a\n" + SPIKES + "#\n1,x,1\n", LABELS, "line 12, time: 'x' is not a finite number"),
    "decimal commas": ("sample,time,channel\n0,0,010,0\n", LABELS, "decimal commas need semicolons between the columns"),
    "both decimals": ("sample;time;channel\n0;0,01;0\n0;0.02;0\n", LABELS, "line 2, time: '0,01' is not a finite number"),
    "unit": (SPIKES.replace("time", "time (h)"), LABELS, r"has the columns sample,time \(h\),channel; expected sample,time"),
    "two times": ("sample,time,time [ms],channel\n0,0,0,0\n", LABELS, "has two columns time; expected one"),
    "milliseconds": ("sample,time,channel\n0,100,0\n1,200,0\n", LABELS, "line 3, time: 200 s is not before the trial's end, 1 s; the times look like milliseconds, expected seconds"),
    "400 digits": ("sample,time,channel\n0,0.1," + "9" * 400 + "\n", LABELS, "line 2, channel: '9+…' is not a finite number"),
    "20 digits": ("sample,time,channel\n0,0.1," + "9" * 20 + "\n", LABELS, "line 2, channel: '9+' is not a whole number from 0"),
    "1e12": ("sample,time,channel\n1000000000000,0.1,0\n", LABELS, "line 2, sample: '1000000000000' is not a whole number from 0 to"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_read_is_told_with_its_line(case: str, write_csv: Callable[..., Csv]) -> None:
    table, targets, text = REFUSED[case]
    with pytest.raises(FileError, match=text) as caught:
        sampled(write_csv(table, targets))
    assert len(str(caught.value)) < 700


# Times on the grid


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("dt", [1e-3, 5e-4, 2e-3, 1 / 300])
def test_a_time_on_the_grid_lies_in_its_step_whatever_its_type(kind: type[np.floating], dt: float) -> None:
    """As long as the type tells the steps apart."""
    largest = int(0.5 / dt * 2 ** (-11 if kind is np.float16 else 0) * (2048 if kind is np.float16 else 20))
    step = np.arange(largest)
    assert steps_of((step * dt).astype(kind), dt).tolist() == step.tolist()


def test_a_time_between_the_steps_lies_in_the_one_that_has_begun() -> None:
    times = (np.arange(1000) + 0.4) * 1e-3
    assert steps_of(times.astype(np.float32), 1e-3).tolist() == list(range(1000))
    assert steps_of(np.array([0.0019]), 1e-3).tolist() == [1]


def write_alike(folder: Path, times: np.ndarray) -> Shd:
    """SHD's two files, all recordings with the same spikes, of channels that are kept."""
    for name in ("shd_train.h5", "shd_test.h5"):
        with h5py.File(folder / name, "w") as file:
            for part, values in (
                ("times", times),
                ("units", (70 + 9 * (np.arange(times.size) % 70)).astype(np.uint16)),
            ):
                made = file.create_dataset(f"spikes/{part}", (20,), dtype=h5py.vlen_dtype(values.dtype))
                for sample in range(20):
                    made[sample] = values
            file["labels"] = np.arange(20, dtype=np.uint16)
    return Shd(folder=str(folder))


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_shd_keeps_every_spike_of_a_grid(kind: type[np.floating], tmp_path: Path) -> None:
    sampler = sampled(write_alike(tmp_path, (np.arange(1, 101) * 1e-3).astype(kind)))
    for index in (0, 39):
        assert spikes.times(sampler._make(index).inputs).tolist() == list(range(1, 101))
    assert sampler.remarks == ()


def test_a_spike_on_the_end_of_the_trial_is_after_it() -> None:
    assert events(np.array([0.009, 0.01], np.float32), 10, 1e-3).neuron.tolist() == [0]


# What SHD's files hold


OTHER_UNITS = {
    "milliseconds": (np.array([100.0, 200.0, 300.0], np.float16), "has spike times up to 300 s; the times look like"),
    "microseconds": (np.array([100_000, 200_000, 300_000], np.int64), "has spike times up to 300000 s; the times look"),
}


@pytest.mark.parametrize("unit", OTHER_UNITS)
def test_times_in_another_unit_get_a_sentence(unit: str, tmp_path: Path) -> None:
    times, text = OTHER_UNITS[unit]
    with pytest.raises(FileError, match=f"{text}.* {unit}, expected seconds"):
        sampled(write_alike(tmp_path, times))


def test_whole_seconds_are_read(tmp_path: Path) -> None:
    sampler = sampled(write_alike(tmp_path, np.array([0, 1], np.int32)))
    assert spikes.times(sampler._make(0).inputs).tolist() == [0, 1000]


def test_late_spikes_of_a_recording_are_counted(tmp_path: Path) -> None:
    told = sampled(write_alike(tmp_path, np.array([0.5, 2.0], np.float32))).remarks
    assert told == ("20 of 40 spikes come after the trial and are left out",) * 2


def test_what_a_trial_does_not_show_is_counted_and_told(write_csv: Callable[..., Csv], capsys) -> None:
    sample, channel = np.array([0, 0, 0, 1]), np.array([2, 2, 1, 2])
    assert losses(sample, np.array([0.001, 0.0015, 0.5, 0.001]), channel, 10, 1e-3) == (
        "1 of 4 spikes come after the trial and are left out",
        "1 of 4 spikes fall into the step of another one of their channel and count once with it",
    )
    task = write_csv(SPIKES + "0,0.0101,0\n", LABELS)
    settings = ["task=csv", f"task.spikes={task.spikes}", f"task.targets={task.targets}", "network.hidden=5"]
    told = [word for setting in settings for word in ("--set", setting)]
    assert cli.main(["run", "float32", *told, "--trials", "1", "--quiet"]) == 0
    assert "pcmlab: 1 of 9 spikes fall into the step of another one of their channel" in capsys.readouterr().err


# MNIST's files


def test_a_folder_of_a_files_name_does_not_hide_the_file(mnist: Mnist) -> None:
    """People have the files by themselves, in folders of their names as Kaggle packs them, or both."""
    before = [part.tolist() for part in sampled(mnist).parts]
    folder = Path(mnist.folder)
    for path in sorted(folder.iterdir()):
        place = folder / path.name.removesuffix(".gz").replace("-idx", ".idx")
        inner = folder / path.name / path.name
        content = path.read_bytes()
        path.unlink()
        inner.parent.mkdir()
        (inner if "train" in path.name else place.with_name(place.name + path.suffix * path.name.endswith(".gz"))).write_bytes(content)  # fmt: skip
    assert [part.tolist() for part in sampled(mnist).parts] == before
