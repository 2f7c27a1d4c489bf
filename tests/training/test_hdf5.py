"""HDF5 of strangers: nothing leads to another file, nothing is larger than it is, and none of it is read to find out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from pcmsim.errors import FileError
from training import nir_graph
from training.support import hdf5
from training.tasks import Shd
from training.tasks.shd import FILES

SECRET = b"root:$6$secret$hash:19000:0:99999:7:::"


def external_storage(file: h5py.File, other: Path) -> None:
    file.create_dataset("labels", (len(SECRET),), "u1", external=[(str(other), 0, len(SECRET))])


def virtual(file: h5py.File, other: Path) -> None:
    layout = h5py.VirtualLayout((5,), "u1")
    layout[:] = h5py.VirtualSource(str(other), "x", (5,))
    file.create_virtual_dataset("labels", layout)


def circle(file: h5py.File, other: Path) -> None:
    file.create_group("a/b")["again"] = file


def twice(file: h5py.File, other: Path) -> None:
    file["labels"] = np.zeros(9)
    file["more"] = file["labels"]


def nested(file: h5py.File, other: Path) -> None:
    file.create_group("/".join("a" * 40))


def crowd(file: h5py.File, other: Path) -> None:
    for number in range(10_001):
        file.create_group(str(number))


def plugin(file: h5py.File, other: Path) -> None:
    made = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    made.set_chunk((4,))
    made.set_filter(307, h5py.h5z.FLAG_OPTIONAL, (1,))
    h5py.h5d.create(file.id, b"labels", h5py.h5t.NATIVE_INT8, h5py.h5s.create_simple((8,)), made)


def compound(file: h5py.File, other: Path) -> None:
    file["labels"] = np.zeros(3, [("a", "i4")])


def shared(file: h5py.File, other: Path) -> None:
    """Ten thousand entries that are one list of ten thousand bytes; HDF5 writes a reference for each."""
    kind = h5py.vlen_dtype(np.uint8)
    lists = file.create_dataset("labels", (10_000,), kind, fillvalue=None)
    lists[0] = np.zeros(10_000, np.uint8)
    file.flush()
    place = lists.id.get_offset()
    name = file.filename
    file.close()
    with open(name, "r+b") as raw:
        raw.seek(place)
        entry = raw.read(16)
        raw.seek(place)
        raw.write(entry * 10_000)


def claimed(shape: tuple[int, ...], kind: str, **layout: object) -> Callable[[h5py.File, Path], None]:
    return lambda file, other: file.create_dataset("labels", shape, kind, **layout) and None


BAD = {
    "external storage": (external_storage, "/labels lies in other files; expected the data themselves"),
    "virtual": (virtual, "/labels lies in other files; expected the data themselves"),
    "external link": (lambda file, other: file.update(labels=h5py.ExternalLink(str(other), "x")), "/labels is a link to another place"),
    "soft link": (lambda file, other: file.update(labels=h5py.SoftLink("/x")), "/labels is a link to another place"),
    "circle": (circle, "holds /again twice; expected each object in one place"),
    "twice": (twice, "holds /more twice; expected each object in one place"),
    "nested": (nested, "holds 33 groups within each other; at most 32 are read"),
    "crowd": (crowd, "holds 10,001 groups and data sets; at most 10,000 are read"),
    "plug-in": (plugin, "/labels needs filter 307; expected one of gzip, shuffle, fletcher32, scaleoffset, lzf"),
    "compound": (compound, "/labels holds values that are neither numbers, texts nor lists of them"),
    "claim": (claimed((5 * 10**8,), "i8", chunks=(10**6,), compression="gzip"), "holds 4,000,000,000 bytes of data, unpacked; at most 1,073,741,824"),
    "chunk": (claimed((10,), "i8", chunks=(2 * 10**8,), maxshape=(None,)), "holds 1,600,000,000 bytes of data, unpacked"),
    "chunks": (claimed((10**8,), "i1", chunks=(1,)), "holds 100,000,000 chunks in a data set; at most 1,000,000 are read"),
    "sum": (lambda file, other: [file.create_dataset(str(k), (10**8,), "i1", chunks=(10**8,)) for k in range(11)], "holds 1,100,000,000 bytes of data"),
    "text": (claimed((1,), "S2000000000", chunks=(1,), maxshape=(None,)), "holds 2,000,000,000 bytes of data"),
    "shared": (shared, "holds lists that share their content; expected each for itself"),
}  # fmt: skip


@pytest.fixture
def other(tmp_path: Path) -> Path:
    (path := tmp_path / "shadow").write_bytes(SECRET)
    return path


@pytest.mark.parametrize("case", BAD)
def test_what_leads_away_or_grows_is_refused(case: str, tmp_path: Path, other: Path) -> None:
    make, text = BAD[case]
    path = tmp_path / "data.h5"
    with h5py.File(path, "w") as file:
        make(file, other)
    assert path.stat().st_size < 30 * 2**20
    with pytest.raises(FileError, match=text) as refusal:
        hdf5.check(path)
    assert "secret" not in str(refusal.value)


def test_what_is_usual_is_read(tmp_path: Path) -> None:
    with h5py.File(path := tmp_path / "data.h5", "w") as file:
        file.create_dataset("a/b", data=np.arange(1000), compression="gzip", shuffle=True, fletcher32=True)
        file.create_dataset("a/c", data=["one", "two"])
        file.create_dataset("lists", (3,), h5py.vlen_dtype(np.float16))
        file["kind"], file["none"], file["yes"] = np.dtype("f4"), h5py.Empty("f"), True
    hdf5.check(path)
    with hdf5.opened(path) as file:
        assert file["a/b"][:].sum() == 499_500


@pytest.mark.parametrize("case", ["external storage", "external link", "virtual", "claim"])
@pytest.mark.parametrize("name", FILES)
def test_no_recording_leads_to_another_file(case: str, name: str, write_shd: Callable[..., Path], other: Path) -> None:
    for each in FILES:
        path = write_shd(each, np.arange(20))
    with h5py.File(path.with_name(name), "a") as file:
        del file["labels"]
        BAD[case][0](file, other)
    with pytest.raises(FileError, match=BAD[case][1]) as refusal:
        Shd(folder=str(path.parent)).sampler(1e-3, streams=None)
    assert "115" not in str(refusal.value)  # the first byte of the other file, as a label


def test_recordings_that_share_their_spikes_are_refused(write_shd: Callable[..., Path]) -> None:
    for each in FILES:
        path = write_shd(each, np.arange(20) % 20)
    with h5py.File(path, "a") as file:
        del file["labels"], file["spikes"]
        file["labels"] = np.zeros(10_000, np.int16)
        for name, kind in (("times", np.float16), ("units", np.uint16)):
            file.create_dataset(f"spikes/{name}", (10_000,), h5py.vlen_dtype(kind))[0] = np.full(2_000, 100, kind)
        places = [file[f"spikes/{name}"].id.get_offset() for name in ("times", "units")]
    with path.open("r+b") as raw:
        for place in places:
            raw.seek(place)
            entry = raw.read(16)
            raw.seek(place)
            raw.write(entry * 10_000)
    with pytest.raises(FileError, match=r"has more spikes up to sample \d+ than bytes: samples share their lists"):
        Shd(folder=str(path.parent)).sampler(1e-3, streams=None)


def test_too_many_samples_are_refused_before_they_are_read(write_shd: Callable[..., Path]) -> None:
    for each in FILES:
        path = write_shd(each, np.arange(20))
    with h5py.File(path, "a") as file:
        del file["labels"]
        file.create_dataset("labels", (1_000_001,), "i1", chunks=(10**6,))
    with pytest.raises(FileError, match="holds 1,000,001 samples; at most 1,000,000 are read"):
        Shd(folder=str(path.parent)).sampler(1e-3, streams=None)


@pytest.mark.parametrize("case", BAD)
def test_no_nir_graph_leads_away_or_grows(
    case: str, tmp_path: Path, other: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, text = BAD[case]
    with h5py.File(path := tmp_path / "net.nir", "w") as file:
        make(file, other)
    monkeypatch.setattr("nir.read", lambda path: pytest.fail("was read"))
    with pytest.raises(FileError, match=text):
        nir_graph.read(path)


def test_a_large_file_is_no_nir_graph(tmp_path: Path) -> None:
    with (path := tmp_path / "net.nir").open("wb") as file:
        file.truncate(2**30 + 1)
    with pytest.raises(FileError, match="holds 1,073,741,825 bytes; at most 1,073,741,824 are read"):
        nir_graph.read(path)
