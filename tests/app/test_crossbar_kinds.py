"""Every kind of heat map against the arrays that it is made of."""

from __future__ import annotations

import numpy as np
import pytest

from app.theme import DARK, LIGHT
from app.views import crossbar
from pcmsim.errors import UnknownNameError
from training.records import LayerSnapshot

PRE, POST, DEVICES = 6, 4, 3


@pytest.fixture
def layer() -> LayerSnapshot:
    generator = np.random.default_rng(7)
    shape = (2, DEVICES, PRE, POST)
    return LayerSnapshot(
        generator.normal(size=(PRE, POST)).astype(np.float32),
        generator.uniform(0.0, 12.0, shape).astype(np.float32),
        generator.lognormal(5.0, 3.0, shape).astype(np.float32),
        generator.integers(0, 30, shape, dtype=np.int32),
    )


def image(layer: LayerSnapshot, kind: str, **options: float) -> np.ndarray:
    return crossbar.columns(layer, kind, **options)["weights"]["image"][0]


def test_each_kind_shows_its_quantity_with_a_row_per_target(layer: LayerSnapshot) -> None:
    for post in range(POST):
        for pre in range(PRE):
            plus, minus = layer.conductance[:, :, pre, post]
            expected = {
                "weight": layer.weights[pre, post],
                "G+": sum(plus) / DEVICES,
                "G-": sum(minus) / DEVICES,
                "age": np.log10(min(layer.age[:, :, pre, post].ravel())),
                "pulses": sum(layer.sets[:, :, pre, post].ravel()),
                "saturation": max(sum(plus), sum(minus)) / DEVICES / 12.0,
            }
            assert set(expected) == set(crossbar.KINDS)
            for kind, value in expected.items():
                assert image(layer, kind)[post, pre] == pytest.approx(value, rel=1e-5)


def test_saturation_is_relative_to_the_devices_own_maximum(layer: LayerSnapshot) -> None:
    assert image(layer, "saturation", g_max=24.0) == pytest.approx(image(layer, "saturation") / 2.0)


@pytest.mark.parametrize("kind", crossbar.KINDS)
def test_digital_weights_have_nothing_to_show_but_themselves(kind: str) -> None:
    empty = np.empty((0, 0, 0, 0), np.float32)
    digital = LayerSnapshot(np.ones((PRE, POST), np.float32), empty, empty, empty.astype(np.int32))
    shown = image(digital, kind)
    assert shown.shape == (POST, PRE)
    assert np.unique(shown).size == 1
    crossbar.fit(view := crossbar.build(LIGHT), crossbar.columns(digital, kind), kind)
    assert view.mappers["weights"].low < view.mappers["weights"].high


@pytest.mark.parametrize("kind", crossbar.KINDS)
def test_scale_colours_and_marks_follow_the_kind_and_the_mode(kind: str, layer: LayerSnapshot) -> None:
    view = crossbar.build(LIGHT)
    shown = crossbar.columns(layer, kind)
    view.show(shown)
    crossbar.fit(view, shown, kind)
    mapper, values = view.mappers["weights"], shown["weights"]["image"][0]
    assert mapper.low <= values.min() + 1e-6 and values.max() <= mapper.high + 1e-6
    assert mapper.low == (-mapper.high if crossbar.KINDS[kind].diverging else mapper.low)
    assert list(mapper.palette) == crossbar.KINDS[kind].ramp(LIGHT)
    bar = view.figures["weights"].right[0]
    assert 2 <= len(bar.ticker.ticks) <= 9
    assert all(mapper.low <= tick <= mapper.high for tick in bar.ticker.ticks)
    assert set(bar.major_label_overrides) == set(bar.ticker.ticks)
    view.paint(DARK)
    assert list(mapper.palette) == crossbar.KINDS[kind].ramp(DARK)


def test_ages_are_marked_in_words(layer: LayerSnapshot) -> None:
    view, shown = crossbar.build(LIGHT), crossbar.columns(layer, "age")
    view.show(shown)
    crossbar.fit(view, shown, "age")
    labels = view.figures["weights"].right[0].major_label_overrides
    assert labels[np.log10(60.0)] == "1 min"


def test_choosing_another_kind_makes_no_new_models(layer: LayerSnapshot) -> None:
    view = crossbar.build(LIGHT)
    models = view.figures["weights"].references()
    for kind in crossbar.KINDS:
        shown = crossbar.columns(layer, kind)
        view.show(shown)
        crossbar.fit(view, shown, kind)
        assert view.figures["weights"].references() == models


def test_an_unknown_kind_is_refused_with_the_known_ones(layer: LayerSnapshot) -> None:
    with pytest.raises(UnknownNameError, match="unknown kind of heat map 'ages'.*mean 'age'.*known: G[+], G-, age"):
        crossbar.columns(layer, "ages")
