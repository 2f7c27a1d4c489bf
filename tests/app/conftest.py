"""One compute thread, as the dashboard's workers have it: small runs are faster, and timing steadier."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from pcmsim.foundation import confinement


@pytest.fixture(scope="package", autouse=True)
def _one_compute_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def _free_paths() -> Iterator[None]:
    """What one test confines is free in the next."""
    yield
    confinement.release()
