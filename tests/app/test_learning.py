"""The learning curve: what it shows is positive, finite and what the history holds."""

from __future__ import annotations

import numpy as np
import pytest

from app.history import CURVE, Curve, Table
from app.theme import LIGHT
from app.views import learning
from training.presets import PRESETS
from training.session import Session


def table(losses: list[float], baseline: float = 0.3) -> Table:
    values = np.array(losses)
    return {
        "trial": np.arange(len(losses), dtype=float), "loss": values, "smooth": values,
        "baseline": np.full(len(losses), baseline), "rate": np.zeros(len(losses)),
    }  # fmt: skip


@pytest.fixture(scope="module")
def trained() -> Table:
    curve = Curve()
    for record in Session(PRESETS["mixed-precision"].config.with_values({"network.hidden": 20})).run(12):
        curve.append(record)
    return curve.columns()


def test_ordinary_losses_are_shown_as_they_are(trained: Table) -> None:
    shown = learning.columns(trained)
    for name in ("trial", "loss", "smooth"):
        assert shown["curve"][name] == pytest.approx(trained[name])
    assert shown["tip"] == {"trial": [11.0], "smooth": [pytest.approx(trained["smooth"][-1])]}
    assert shown["baseline"]["baseline"] == pytest.approx([trained["baseline"][-1]] * 2)
    assert shown["baseline"]["trial"] == [0.0, learning.FAR]


def test_the_smoothed_curve_lies_within_and_moves_less_than_the_losses(trained: Table) -> None:
    assert trained["loss"].min() <= trained["smooth"].min() <= trained["smooth"].max() <= trained["loss"].max()
    assert np.abs(np.diff(trained["smooth"])).sum() < np.abs(np.diff(trained["loss"])).sum()
    assert trained["smooth"][0] == pytest.approx(trained["loss"][0])


@pytest.mark.parametrize("loss", [0.0, -1.0, 1e-300, 1e30, np.inf, np.nan, 1e308])
def test_no_loss_leaves_a_logarithmic_axis(loss: float) -> None:
    curve = learning.columns(table([0.3, loss]))["curve"]
    for name in ("loss", "smooth"):
        assert np.all((curve[name] >= np.float32(learning.LOWEST)) & (curve[name] <= learning.HIGHEST))
    learning.fit(view := learning.build(LIGHT), table([0.3, loss]))
    span = view.figures["curve"].y_range
    assert 0.0 < span.start <= 0.3 <= span.end < 1e8


def test_without_trials_all_columns_are_empty_and_no_axis_moves() -> None:
    empty, view = {name: np.empty(0) for name in CURVE}, learning.build(LIGHT)
    shown = learning.columns(empty)
    assert all(len(values) == 0 for columns in shown.values() for values in columns.values())
    learning.fit(view, empty)
    assert (view.figures["curve"].x_range.end, view.figures["curve"].y_range.start) == (learning.SHORTEST, 0.05)


def test_the_trial_axis_holds_the_run_moves_seldom_and_starts_over() -> None:
    end, moves = learning.SHORTEST, 0
    for last in range(20_000):
        moved = learning.length(end, last)
        assert moved >= last
        moves, end = moves + (moved != end), moved
    assert moves < 20
    assert learning.length(end, 0) == learning.SHORTEST
