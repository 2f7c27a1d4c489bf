"""What a record says of a trial."""

from __future__ import annotations

import math

import pytest

from training.records import finite


@pytest.mark.parametrize(
    ("value", "shown"), [(0.5, 0.5), (math.nan, 1e30), (math.inf, 1e30), (-math.inf, -1e30), (3e38, 1e30)]
)
def test_a_plot_gets_a_finite_number(value: float, shown: float) -> None:
    assert finite(value) == shown
