"""What the plots show is what the run says; ranges move seldom; nothing is ever not a number."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from bokeh.document import Document

from app.history import Curve, Drift
from app.shot import Shot
from app.theme import DARK, LIGHT
from app.views import activity, conductance, crossbar, drift, happening, learning, pixels, status
from app.views.base import PATIENCE, follow, follow_log, ladder
from training.config import RunConfig
from training.presets import PRESETS
from training.records import LayerSnapshot
from training.session import Session
from training.spikes import from_raster

MODULES = {"activity": activity, "learning": learning, "conductance": conductance, "crossbar": crossbar, "drift": drift}


@pytest.fixture(params=["mixed-precision", "float32", "multi-memristor", "closed-loop"])
def shot(request: pytest.FixtureRequest) -> Shot:
    """A run of five trials."""
    config = PRESETS[request.param].config
    session, curve, devices = Session(config), Curve(), Drift()
    for record in session.run(5):
        curve.append(record)
        devices.append(record)
    return Shot(9, 1, True, config, 0, record, curve, devices, 100.0, session.snapshot())


def all_columns(shot: Shot) -> Iterator[tuple[str, dict]]:
    layer = shot.snapshot["recurrent"]
    yield "activity", activity.columns(shot.record, shot.config, LIGHT)
    yield "learning", learning.columns(shot.curve.columns())
    yield "conductance", conductance.columns(layer, conductance.right_edge(layer, 12.0))
    yield "crossbar", crossbar.columns(layer)
    yield "drift", drift.columns(shot.drift.table(), LIGHT)


def test_columns_fit_the_sources_and_are_compact_and_finite(shot: Shot) -> None:
    for name, columns in all_columns(shot):
        view = MODULES[name].build(LIGHT)
        for source, values in columns.items():
            assert len({len(column) for column in values.values()}) == 1
            for column in values.values():
                for part in column if isinstance(column, list) else [column]:
                    if isinstance(part, np.ndarray):
                        assert part.dtype in (np.float32, np.uint32)
                        assert np.isfinite(part).all()
            assert set(values) <= set(view.sources[source].data)
        view.show(columns)


def test_showing_makes_no_new_models_and_sends_nothing_twice(shot: Shot) -> None:
    for name, columns in all_columns(shot):
        view, document, sent = MODULES[name].build(LIGHT), Document(), []
        for figure in view.figures.values():
            document.add_root(figure)
        view.show(columns)
        models = len(list(document.models))
        document.on_change(sent.append)
        view.show({source: dict(values) for source, values in columns.items()})
        view.paint(DARK)
        assert len(list(document.models)) == models
        assert not any("data" in str(getattr(event, "attr", "")) for event in sent)


def test_raster_shows_each_spike_where_it_was() -> None:
    spikes = from_raster(np.eye(1000, 100, dtype=np.uint8))
    image = pixels.raster(spikes, 100)
    assert image.shape == (100, 500)
    assert {tuple(place) for place in np.argwhere(image)} == {(n, n // 2) for n in range(100)}


def test_large_rasters_are_pooled_and_lose_no_spike_time() -> None:
    raster = np.zeros((2000, 1000), np.uint8)
    raster[1999, 999] = raster[0, 0] = 1
    image = pixels.raster(from_raster(raster), 1000)
    assert image.shape == (128, 500)
    assert image[0, 0] == image[-1, -1] == 1
    assert image.sum() == 2


def test_histogram_counts_every_device() -> None:
    conductances = np.random.default_rng(1).uniform(0, 30, (2, 3, 40, 50)).astype(np.float32)
    plus, minus = conductance.counts(conductances, 12.0)
    assert plus.sum() == minus.sum() == 3 * 40 * 50
    inside = np.histogram(conductances[0], bins=conductance.BINS, range=(0, 12.0))[0]
    assert np.array_equal(plus[:-1], inside[:-1])


def layer(weights: np.ndarray, conductances: np.ndarray) -> LayerSnapshot:
    return LayerSnapshot(weights, conductances, conductances, conductances.astype(np.int32))


def test_histogram_of_no_devices_is_flat() -> None:
    empty = layer(np.zeros((4, 5), np.float32), np.empty((0, 0, 4, 5), np.float32))
    bars = conductance.columns(empty, conductance.right_edge(empty, 12.0))["histogram"]
    assert not bars["plus"].any()
    assert not bars["minus"].any()


def test_histogram_reaches_devices_beyond_the_nominal_maximum() -> None:
    wide = layer(np.zeros((1, 2), np.float32), np.array([[[[3.0, 13.2]]], [[[0.0, 0.0]]]], np.float32))
    assert conductance.right_edge(wide, 12.0) == 14.0
    assert conductance.right_edge(wide, 20.0) == 20.0


def test_heat_map_has_a_row_per_target_and_pools_by_means() -> None:
    weights = np.arange(6, dtype=np.float32).reshape(2, 3)
    shown = crossbar.columns(layer(weights, np.empty(0, np.float32)))["weights"]
    assert np.array_equal(shown["image"][0], weights.T)
    assert (shown["dw"], shown["dh"]) == ([2.0], [3.0])
    large = crossbar.pooled(np.tile(np.arange(300, dtype=np.float32)[:, None], (1, 10)))
    assert large.shape == (128, 10)
    assert large[0, 0] == 0.5
    assert large.mean() == pytest.approx(149.5, rel=0.01)


def test_the_colour_scale_moves_seldom() -> None:
    weights = np.full((10, 10), 0.4, np.float32)
    assert crossbar.limit(1.0, weights) == 1.0
    assert crossbar.limit(0.1, weights) == 0.5
    assert crossbar.limit(5.0, weights) == 0.5


def test_runaway_losses_stay_on_the_axis() -> None:
    table = {name: np.array([0.0, 1e30, np.nan]) for name in ("trial", "loss", "smooth", "baseline")}
    shown = learning.columns(table)["curve"]
    assert shown["loss"].tolist() == pytest.approx([1e-6, 1e6, 1e6])
    view = learning.build(LIGHT)
    learning.fit(view, table)
    assert view.figures["curve"].y_range.end < 1e7


def test_ranges_hold_the_data_and_stay_while_they_can() -> None:
    generator, span, moves = np.random.default_rng(3), (0.0, 1.0), 0
    for _ in range(300):
        low, high = generator.uniform(-1.2, -0.6), generator.uniform(0.6, 1.2)
        moved = follow(span, low, high)
        assert moved[0] <= low < high <= moved[1]
        moves, span = moves + (moved != span), moved
    assert moves < 10
    begin, end = follow_log((0.1, 1.0), 0.2, 50.0)
    assert begin <= 0.2
    assert end >= 50.0


def test_the_output_axis_ignores_lone_spikes_but_not_forever(shot: Shot) -> None:
    view, config = activity.build(LIGHT), shot.config
    calm = replace(shot.record, trial=3, output=np.zeros_like(shot.record.output))
    activity.fit(view, calm, config)
    before = view.figures["output"].y_range.end
    activity.fit(view, replace(calm, output=np.full_like(calm.output, 30.0)), config)
    for _ in range(PATIENCE - 1):
        activity.fit(view, calm, config)
        assert view.figures["output"].y_range.end >= 30.0
    activity.fit(view, calm, config)
    assert view.figures["output"].y_range.end == pytest.approx(before, rel=0.2)


@pytest.mark.parametrize(("value", "step"), [(0.99, 1.0), (1.0, 1.0), (1.01, 2.0), (0.021, 0.05), (0.0, 1e-9)])
def test_ladder(value: float, step: float) -> None:
    assert ladder(value) == pytest.approx(step)


def test_status_in_words(shot: Shot) -> None:
    entries = status.columns(shot)
    assert entries["state"] == "running"
    assert entries["trial"] == "trial 4"
    assert entries["speed"] == "100 trials/s"
    assert entries["pace"] == "100 × real time"
    assert ("device time" in entries) != shot.config.scheme.digital
    assert not re.search("nan|None|inf", status.html(entries))
    paused = status.columns(replace(shot, running=False))
    assert paused["state"] == "paused"
    assert "speed" not in paused


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.5, "0.5 s"), (61.0, "1 min 1 s"), (90_000.0, "1 d 1 h"), (3.2e7, "1.0 years"), (3599.99, "59 min 59 s")],
)
def test_durations(seconds: float, text: str) -> None:
    assert status.duration(seconds) == text


def test_before_the_first_trial_there_are_words() -> None:
    first = Shot(0, 0, False, RunConfig())
    assert "under way" in happening.html(first)
    assert status.columns(first)["state"] == "starting"
