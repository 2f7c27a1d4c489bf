"""Lists that say they are longer than their file are refused before room is made for them."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from memory_kit import at_most

from pcmsim.errors import FileError
from training.support import hdf5

FORMS = {
    "plain": {},
    "chunks": {"chunks": (3,)},
    "gzip": {"chunks": (3,), "compression": "gzip", "shuffle": True},
}


def written(path: Path, **form: object) -> list[np.ndarray]:
    """Ten lists of growing length, and a text."""
    lists = [np.arange(100 * k, dtype=np.float32) for k in range(10)]
    with h5py.File(path, "w") as file:
        made = file.create_dataset("lists", (10,), h5py.vlen_dtype(np.float32), **form)
        for place, values in enumerate(lists):
            made[place] = values
        file["text"] = "spikes"
    return lists


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_lists_as_they_are_written_are_read(form: dict[str, object], tmp_path: Path) -> None:
    lists = written(tmp_path / "a.h5", **form)
    with hdf5.opened(tmp_path / "a.h5") as file:
        for mine, theirs in zip(lists, file["lists"], strict=True):
            np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("form", ["plain", "chunks"])
@pytest.mark.parametrize("length", [2**31 - 1, 5 * 10**8, 2**32 - 1])
def test_a_list_that_claims_gigabytes_is_refused(form: str, length: int, tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    written(path, **FORMS[form])
    content = path.read_bytes()
    honest = (900).to_bytes(4, "little")
    assert content.count(honest) >= 1
    path.write_bytes(content.replace(honest, length.to_bytes(4, "little")))
    text = f"/lists says that it has a list of {length} entries; its file has no room"
    with at_most(2**26), pytest.raises(FileError, match=text), hdf5.opened(path) as file:
        list(file["lists"])


def test_a_text_that_claims_gigabytes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["text"] = "spikes" * 111
    content = path.read_bytes()
    path.write_bytes(content.replace((666).to_bytes(4, "little"), (2**31).to_bytes(4, "little")))
    with pytest.raises(FileError, match="/text says that it has a list of 2147483648 entries"), hdf5.opened(path):
        pass
