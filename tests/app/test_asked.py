"""Asked against applied: the points are synapses of the run, the cosine is that of all of them."""

from __future__ import annotations

import re

import numpy as np
import pytest

from app.theme import DARK, LIGHT
from app.views import asked
from training.config import RunConfig
from training.honesty import Honesty
from training.presets import PRESETS
from training.records import LayerSnapshot, Snapshot
from training.session import Session

SMALL = {
    "network.hidden": 40,
    "network.threshold": 0.02,
    "task": {"name": "pattern", "inputs": 20, "duration": 0.1, "rate": 100.0},
}


def layer(wanted: np.ndarray, made: np.ndarray) -> LayerSnapshot:
    empty = np.empty((0, 0, *wanted.shape), np.float32)
    return LayerSnapshot(np.zeros_like(wanted), empty, empty, empty.astype(np.int32), asked=wanted, applied=made)


def changes(count: int, written: int, seed: int = 1) -> LayerSnapshot:
    """`count` synapses asked to change, of which `written` did."""
    generator = np.random.default_rng(seed)
    wanted = generator.normal(size=(count, 1)).astype(np.float32)
    made = np.zeros_like(wanted)
    made[:written] = generator.normal(size=(written, 1)) + 5.0
    return layer(wanted, made)


@pytest.fixture(scope="module", params=["sign", "mixed-precision", "float32"])
def snapshot(request: pytest.FixtureRequest) -> Snapshot:
    session = Session(PRESETS[request.param].config.with_values(SMALL))
    session.observe()
    for _ in session.run(6):
        pass
    return session.snapshot()


def test_every_point_is_a_synapse_that_was_asked_to_change(snapshot: Snapshot) -> None:
    for name, taken in snapshot.items():
        shown = asked.columns(taken)["asked"]
        pairs = set(zip(taken.asked.ravel().tolist(), taken.applied.ravel().tolist(), strict=True))
        points = list(zip(shown["asked"].tolist(), shown["applied"].tolist(), strict=True))
        assert points, name
        assert set(points) <= pairs - {(0.0, 0.0)}
        assert len(points) <= asked.PULSED + asked.UNTOUCHED


def test_few_changes_are_all_shown_once() -> None:
    taken = changes(150, 70)
    shown = asked.columns(taken)["asked"]
    assert (shown["applied"] != 0.0).sum() == 70
    assert (shown["applied"] == 0.0).sum() == 80
    assert sorted(shown["asked"].tolist()) == sorted(taken.asked.ravel().tolist())


def test_of_many_an_even_choice_by_rank_is_shown_with_the_extremes() -> None:
    taken = changes(5000, 3000)
    shown = asked.columns(taken)["asked"]
    moved = shown["applied"] != 0.0
    for chosen, every in ((moved, slice(None, 3000)), (~moved, slice(3000, None))):
        values = np.sort(taken.asked[every].ravel())
        ranks = np.searchsorted(values, np.sort(shown["asked"][chosen]))
        assert (ranks[0], ranks[-1]) == (0, len(values) - 1)
        assert set(np.diff(ranks)) <= {len(values) // len(ranks) + extra for extra in (0, 1)}
    assert (moved.sum(), (~moved).sum()) == (200, 100)


def test_nothing_asked_and_nothing_watched_are_no_points() -> None:
    nothing = np.zeros((3, 4), np.float32)
    for taken in (layer(nothing, nothing), layer(np.empty((0, 0), np.float32), np.empty((0, 0), np.float32))):
        shown = asked.columns(taken)
        assert (len(shown["asked"]["asked"]), len(shown["asked"]["applied"])) == (0, 0)
        assert asked.note(taken) == "no change yet"
        asked.fit(view := asked.build(LIGHT), shown)
        assert view.figures["asked"].x_range.end > 0.0


@pytest.mark.parametrize(
    ("wanted", "made", "said"),
    [
        ([3.0, 0.0, 4.0], [6.0, 0.0, 8.0], "cosine 1.00"),
        ([3.0, 0.0, 4.0], [-3.0, 0.0, -4.0], "cosine -1.00"),
        ([1.0, 0.0, 0.0], [0.0, 2.0, 0.0], "cosine 0.00"),
        ([1.0, 0.0, 0.0], [-0.001, 2.0, 0.0], "cosine 0.00"),
        ([3.0, 4.0, 0.0], [1.0, 0.0, 0.0], "cosine 0.60"),
        ([1.0, 1.0, 1.0], [0.0, 0.0, 0.0], "no change yet"),
    ],
)
def test_the_cosine_in_words(wanted: list[float], made: list[float], said: str) -> None:
    assert asked.note(layer(np.array([wanted], np.float32), np.array([made], np.float32))) == said


def test_the_cosine_counts_all_synapses_and_not_only_those_shown() -> None:
    taken = changes(5000, 4000, seed=3)
    wanted, made = taken.asked.ravel().astype(float), taken.applied.ravel().astype(float)
    assert asked.cosine(taken) == pytest.approx(wanted @ made / (wanted @ wanted) ** 0.5 / (made @ made) ** 0.5)


def test_digital_weights_do_what_is_asked() -> None:
    session = Session(RunConfig().with_values({**SMALL, "scheme": "float32", "precision.weight_bits": None}))
    session.observe()
    for _ in session.run(3):
        pass
    for taken in session.snapshot().values():
        assert asked.cosine(taken) == pytest.approx(1.0, abs=1e-5)
        shown = asked.columns(taken)["asked"]
        assert shown["applied"] == pytest.approx(shown["asked"], abs=1e-6)


def test_axes_hold_the_points_evenly_and_move_seldom() -> None:
    view = asked.build(LIGHT)
    plot = view.figures["asked"]

    def ends(x: float, y: float) -> tuple[float, float]:
        asked.fit(view, {"asked": {"asked": np.array([x, 0.0]), "applied": np.array([0.0, y])}})
        assert (plot.x_range.start, plot.y_range.start) == (-plot.x_range.end, -plot.y_range.end)
        return plot.x_range.end, plot.y_range.end

    assert ends(-0.03, 0.4) == pytest.approx((0.05, 1.0))
    assert ends(0.05, -0.11) == pytest.approx((0.05, 0.2))
    assert ends(0.051, 0.05) == pytest.approx((0.1, 0.2))


def test_points_reach_the_source_and_keep_their_colour_by_mode(snapshot: Snapshot) -> None:
    view, shown = asked.build(LIGHT), asked.columns(snapshot["input"])
    view.show(shown)
    assert np.array_equal(view.sources["asked"].data["applied"], shown["asked"]["applied"])
    view.paint(DARK)
    line, dots = (renderer.glyph for renderer in view.figures["asked"].renderers)
    assert (line.line_color, dots.fill_color) == (DARK.target, DARK.run)


def test_the_comparison_with_backpropagation_in_words() -> None:
    compared = Honesty(
        1234,
        {"input": 0.123, "recurrent": -0.456, "output": 1.0},
        {"input": 0.5, "recurrent": 0.25, "output": 1.0},
        {"input": 2.0, "recurrent": 2.0, "output": 2.0},
        3.0,
    )
    text = re.sub("<[^>]*>", "", asked.honesty(compared))
    assert "trial 1,234" in text
    assert "input 0.12, recurrent -0.46, output 1.00" in text
    assert "symmetric feedback 0.50, 0.25, 1.00" in text
    assert asked.honesty(None) == ""
