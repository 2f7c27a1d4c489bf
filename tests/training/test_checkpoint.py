"""Checkpoints are taken up as they were written or refused in one sentence, and so are the files that a run reads."""

from __future__ import annotations

import hashlib
import json
import random
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load, save

from pcmsim.errors import FileError, PCMLabError
from training import checkpoint
from training.config import RunConfig
from training.presets import MIXED
from training.session import Session

SMALL = {**MIXED, "network.hidden": 8, "task": {"name": "pattern", "inputs": 6, "duration": 0.05, "rate": 200.0},
         "learning.lr_input": 5e-3, "learning.lr_recurrent": 5e-3, "learning.lr_output": 5e-3}  # fmt: skip
BLANK = "0" * 64
Header, Tensors = dict[str, str], dict[str, torch.Tensor]
KINDS = {
    "mixed precision": {"scheme": "mixed-precision-adam", "device.devices": 2, "learning.batch": 3, "refresh.enabled": True},
    "digital": {"scheme": "adam"},
    "core": {"core.enabled": True, "device.preset": "hermes", "scheme": "multi-memristor", "device.devices": 3},
}  # fmt: skip
MUTANTS = 600


def config(**values: object) -> RunConfig:
    return RunConfig().with_values({**SMALL, **{name.replace("__", "."): value for name, value in values.items()}})


def saved(path: Path, chosen: RunConfig) -> Session:
    session = Session(chosen)
    list(session.run(4))
    session.save(path)
    return session


def opened(path: Path) -> tuple[Header, Tensors]:
    """Header and tensors, read without the code under test."""
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + length])["__metadata__"], load(content)


def signed(header: Header, tensors: Tensors) -> bytes:
    """A file with these in it whose checksum is right, as another tool could write it."""
    content = save(tensors, {**header, "checksum": BLANK})
    named = f'"checksum":"{hashlib.sha256(content).hexdigest()}"'.encode()
    return content.replace(f'"checksum":"{BLANK}"'.encode(), named)


def same(path: Path, session: Session) -> bool:
    """Whether a file gives the session back, to the bit."""
    found = Session.resume(path)
    mine, theirs = session._tensors(), found._tensors()
    alike = (
        torch.equal(
            value.view(torch.uint8) if value.dim() else value,
            theirs[name].view(torch.uint8) if value.dim() else theirs[name],
        )
        for name, value in mine.items()
    )
    return found.config == session.config and found._progress() == session._progress() and all(alike)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Session]:
    path = tmp_path_factory.mktemp("checkpoint") / "run.safetensors"
    return path, saved(path, config(**KINDS["mixed precision"]))


@pytest.mark.parametrize("kind", KINDS)
def test_a_signed_checkpoint_gives_the_session_back(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "run.safetensors"
    session = saved(path, config(**KINDS[kind]))
    assert same(path, session)
    path.write_bytes(signed(*opened(path)))
    assert same(path, session)


def test_files_mutated_at_random_are_refused_or_the_same(kept: tuple[Path, Session], tmp_path: Path) -> None:
    """Bytes flipped, cut out, doubled, and ends cut off: nothing of it is ever taken for a run."""
    path, session = kept
    good, draws, bad = path.read_bytes(), random.Random(14), tmp_path / "bad.safetensors"
    mutants = [mutant for mutant in (mutated(good, draws) for _ in range(MUTANTS)) if mutant != good]
    assert len(mutants) > 0.9 * MUTANTS
    for mutant in mutants:
        bad.write_bytes(mutant)
        with pytest.raises(FileError) as refused:
            assert not same(bad, session)
        assert str(refused.value).isprintable()


def mutated(good: bytes, draws: random.Random) -> bytes:
    bad, place = bytearray(good), draws.randrange(len(good) if draws.random() < 0.5 else 3000)
    span = slice(place, place + draws.choice([1, 4, 64]))
    match draws.randrange(4):
        case 0:
            bad[place] ^= 1 << draws.randrange(8)
        case 1:
            del bad[span]
        case 2:
            bad[span] = bad[span] * 2
        case _:
            bad[span] = draws.choice([b"\x00", b"\xff"]) * len(bad[span])
    return bytes(bad[: draws.choice([len(bad)] * 9 + [place])])


NUMBERS = (float("nan"), float("inf"), -float("inf"), -1.0, 1e30, -1e30)


def test_tensors_with_numbers_that_cannot_be_are_refused_although_the_checksum_is_right(
    kept: tuple[Path, Session], tmp_path: Path
) -> None:
    path, session = kept
    bounds, bad = session._bounds(session.device_time), tmp_path / "bad.safetensors"
    header, draws = opened(path)[0], random.Random(15)
    for name, value in session._tensors().items():
        allowed = bounds.get(name, checkpoint.FINITE)
        numbers = NUMBERS if value.is_floating_point() else (-1.0, 2**31 - 1.0)
        for number in numbers:
            tensors = opened(path)[1]
            tensors[name].view(-1)[draws.randrange(value.numel())] = (
                int(number) if not value.is_floating_point() else number
            )
            bad.write_bytes(signed(header, tensors))
            if allowed.hold(tensors[name]):
                assert Session.resume(bad).step().trial == session.trial
            else:
                with pytest.raises(FileError, match=f"is damaged: tensor '{name}' holds other than finite numbers"):
                    Session.resume(bad)


@pytest.mark.parametrize(("kind", "tensor", "number"), [
    ("mixed precision", "input/array/conductance", -0.01), ("mixed precision", "input/array/conductance", 1e3),
    ("mixed precision", "input/array/history", 1.5), ("mixed precision", "recurrent/array/written_at", -1.0),
    ("mixed precision", "recurrent/array/written_at", 1e9), ("mixed precision", "output/array/pulses", -1),
    ("mixed precision", "output/array/sets", -1), ("mixed precision", "output/array/resets", -1),
    ("mixed precision", "input/array/row_reads", -5), ("mixed precision", "input/scheme/second", -1e-9),
    ("mixed precision", "input/scheme/steps", -1), ("mixed precision", "input/scheme/selection", 2),
    ("mixed precision", "input/scheme/refresh_selection", 2), ("mixed precision", "batch/count", 3),
    ("mixed precision", "input/scheme/accumulator", float("nan")), ("mixed precision", "feedback", float("inf")),
    ("digital", "input/array/weights", float("nan")), ("digital", "output/scheme/second", -1.0),
    ("core", "input/core/histogram", -1), ("core", "input/array/exponent_score", 1e6), ("core", "input/scheme/selection", -1),
])  # fmt: skip
def test_each_kind_of_state_has_bounds_of_its_own(kind: str, tensor: str, number: float, tmp_path: Path) -> None:
    path = tmp_path / "run.safetensors"
    saved(path, config(**KINDS[kind]))
    header, tensors = opened(path)
    tensors[tensor].view(-1)[-1] = number
    path.write_bytes(signed(header, tensors))
    with pytest.raises(FileError, match=f"is damaged: tensor '{tensor}' holds other than finite numbers"):
        Session.resume(path)


def test_all_bounds_belong_to_tensors(kept: tuple[Path, Session]) -> None:
    session = kept[1]
    digital = Session(config(**KINDS["digital"]))
    for each in (session, digital, Session(config(**KINDS["core"]))):
        optional = {"chip/number"} | {name for name in each._bounds(0.0) if name.endswith("selection")}
        assert set(each._bounds(0.0)) - optional <= set(each._tensors())


HEADERS: list[tuple[Callable[[Header], object], str]] = [
    (lambda h: h.update(version="3"), "has checkpoint version 3, this pcmlab reads versions 1 to 2"),
    (lambda h: h.update(version="1"), "its header cannot be read"),
    (lambda h: h.update(format="other"), "is not a checkpoint of pcmlab"),
    (lambda h: h.update(more="1"), "its header cannot be read"),
    (lambda h: h.pop("files"), "its header cannot be read"),
    (lambda h: h.update(config=h["config"][:-1] + ', "seed": 7}'), "does not fit: .*'seed'"),
    (lambda h: h.update(config=h["config"].replace('"seed": 42', '"seed": NaN')), "RunConfig.seed: must be a whole number"),
    (lambda h: h.update(config=h["config"].replace('"seed": 42', '"seed": ' + "9" * 5000)), "does not fit: "),
    (lambda h: h.update(config=h["config"].replace('"seed": 42', '"seed": ' + "9" * 50)), "RunConfig.seed: must be a whole number"),
    (lambda h: h.update(config="[]"), "its header cannot be read"),
    (lambda h: h.update(progress='{"trial": 1, "trial": 2}'), "does not fit: .*'trial'"),
    (lambda h: h.update(progress='{"trial": 1e999}'), "Progress.trial: must be a whole number"),
    (lambda h: h.update(progress='{"trial": 99999999999999999999}'), "Progress.trial: must be a whole number"),
    (lambda h: h.update(files="{}"), "its header cannot be read"),
    (lambda h: h.update(files='[["/etc/passwd", 3]]'), "its header cannot be read"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "said"), HEADERS, ids=[said for _, said in HEADERS])
def test_headers_that_do_not_fit_are_named(change, said: str, kept: tuple[Path, Session], tmp_path: Path) -> None:
    header, tensors = opened(kept[0])
    change(header)
    (tmp_path / "bad.safetensors").write_bytes(signed(header, tensors))
    with pytest.raises(FileError, match=said):
        Session.resume(tmp_path / "bad.safetensors")


@pytest.mark.parametrize("entry", [
    {"dtype": "F32", "shape": [2**40, 2**40], "data_offsets": [0, 4]},
    {"dtype": "F32", "shape": [2**62], "data_offsets": [0, 2**64 - 1]},
    {"dtype": "F32", "shape": [0, 2**62], "data_offsets": [0, 0]},
    {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]},
    {"dtype": "F4", "shape": [1], "data_offsets": [0, 4]},
    {"dtype": "F32", "shape": "big", "data_offsets": [0, 4]},
])  # fmt: skip
def test_giant_shapes_are_refused_before_memory_is_taken(entry, kept: tuple[Path, Session], tmp_path: Path) -> None:
    """Nothing is signed here: what safetensors refuses never comes to the checksum, and what it takes has a wrong one."""
    header = json.dumps({"__metadata__": opened(kept[0])[0], "feedback": entry}).encode()
    bad = tmp_path / "bad.safetensors"
    bad.write_bytes(struct.pack("<Q", len(header)) + header + b"\0" * 4)
    with pytest.raises(FileError, match="is damaged"):
        Session.resume(bad)


def test_files_without_a_header_are_refused_without_reading_them(tmp_path: Path) -> None:
    bad = tmp_path / "bad.safetensors"
    for content in (b"", b"\xff" * 100, struct.pack("<Q", 2**40) + b"{}", struct.pack("<Q", 2) + b"[]"):
        bad.write_bytes(content)
        with pytest.raises(FileError, match="is damaged or not a checkpoint of pcmlab"):
            checkpoint.read(bad)


def test_more_than_the_memory_that_is_allowed_is_not_read(kept: tuple[Path, Session], monkeypatch) -> None:
    monkeypatch.setattr("training.support.ram.allowed", lambda: 1000)
    with pytest.raises(PCMLabError, match=r"run.safetensors: its tensors"):
        checkpoint.read(kept[0])


def first_version(path: Path) -> None:
    """The same run, as it was written before there were digests and checksums."""
    header, tensors = opened(path)
    old = {name: header[name] for name in ("format", "config", "progress")}
    path.write_bytes(save(tensors, {**old, "version": "1"}))


def test_checkpoints_of_the_first_version_are_taken_up(tmp_path: Path) -> None:
    path = tmp_path / "run.safetensors"
    session = saved(path, config(**KINDS["mixed precision"]))
    first_version(path)
    assert same(path, session)


def test_tensors_of_the_first_version_have_the_same_bounds(tmp_path: Path) -> None:
    path = tmp_path / "run.safetensors"
    saved(path, config())
    header, tensors = opened(path)
    tensors["input/array/conductance"][0, 0, 0, 0] = float("nan")
    path.write_bytes(signed(header, tensors))
    first_version(path)
    with pytest.raises(FileError, match="'input/array/conductance' holds other than finite numbers from 0 to 240"):
        Session.resume(path)


def on_a_device_file(tmp_path: Path) -> tuple[Path, Path]:
    """A device file, and the checkpoint of a run on its devices."""
    device, path = tmp_path / "device.yaml", tmp_path / "run.safetensors"
    device.write_text("preset: nandakumar2018\nstep_offset: 0.9\n")
    saved(path, config(device__preset=str(device)))
    return device, path


def test_a_device_file_that_has_changed_is_named_and_may_be_accepted(tmp_path: Path) -> None:
    device, path = on_a_device_file(tmp_path)
    device.write_text("preset: nandakumar2018\nstep_offset: 0.8\n")
    with pytest.raises(
        FileError,
        match=r"device.yaml: has changed since the run of .*run.safetensors read it; expected .*--accept-changed-files",
    ):
        Session.resume(path)
    accepted = Session.resume(path, accept_changed_files=True)
    assert accepted.arrays.input.model.step_offset == 0.8
    accepted.save(path)
    Session.resume(path)  # which holds the digest of the new content


def test_a_device_file_that_is_written_anew_with_the_same_content_is_the_same(tmp_path: Path) -> None:
    device, path = on_a_device_file(tmp_path)
    content = device.read_bytes()
    device.unlink()
    device.write_bytes(content)
    assert Session.resume(path).trial == 4


def test_the_digest_is_of_what_the_run_began_with_not_of_what_was_there_when_it_was_saved(tmp_path: Path) -> None:
    device, path = on_a_device_file(tmp_path)
    session = Session.resume(path)
    device.write_text("preset: nandakumar2018\nstep_offset: 0.7\n")
    session.save(path)
    with pytest.raises(FileError, match="has changed since the run"):
        Session.resume(path)


def test_a_device_file_that_changes_under_a_run_does_not_change_its_devices(tmp_path: Path) -> None:
    device, path = on_a_device_file(tmp_path)
    session = Session.resume(path)
    device.write_text("preset: nandakumar2018\nstep_offset: 0.7\n")
    with pytest.raises(FileError, match="device.yaml: has changed since the run of this session read it"):
        session.configure(config(device__preset=str(device), learning__lr_input=1e-3))
    assert session.arrays.input.model.step_offset == 0.9
    with pytest.raises(FileError, match="device.yaml: has changed since the run of this session read it"):
        session.fork()


def test_a_device_file_that_is_gone_is_told(tmp_path: Path) -> None:
    device, path = on_a_device_file(tmp_path)
    device.unlink()
    with pytest.raises(PCMLabError, match="device.yaml: cannot be read"):
        Session.resume(path)


@pytest.mark.parametrize("kind", ["labelled", "mnist", "shd"])
def test_data_that_have_changed_are_named_and_may_be_accepted(kind: str, request, tmp_path: Path) -> None:
    task = request.getfixturevalue(kind)
    path = tmp_path / "run.safetensors"
    session = Session(RunConfig(task=task).with_values({"network.hidden": 8, "scheme": "float32"}))
    session.step()
    session.save(path)
    read = [file for file in task.files() if file.exists()]
    assert Session.resume(path).trial == 1
    for file in read:
        good = file.read_bytes()
        file.write_bytes(good + b"\n")
        with pytest.raises(FileError, match=f"{file.name}: has changed since the run of .*run.safetensors read it"):
            Session.resume(path)
        file.write_bytes(good)
    assert Session.resume(path).trial == 1


def test_a_file_that_would_be_read_instead_is_a_change(mnist, tmp_path: Path) -> None:
    """Data sets go by several names, and the first that is there is read."""
    path = tmp_path / "run.safetensors"
    Session(RunConfig(task=mnist).with_values({"network.hidden": 8})).save(path)
    packed = next(file for file in mnist.files() if file.suffix == ".gz" and file.exists())
    packed.with_suffix("").write_bytes(b"other")
    with pytest.raises(FileError, match=f"{packed.stem}: has changed since the run"):
        Session.resume(path)
