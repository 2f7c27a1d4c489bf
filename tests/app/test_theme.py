"""Colours that can be told apart, ramps that rise evenly, text that fits."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from app.theme import DARK, LIGHT, READABLE, Palette, palette, tooltip, variables
from app.views import activity, conductance, crossbar, drift, learning

VIEWS = [activity, learning, conductance, crossbar, drift]
# Machado, Oliveira and Fernandes (2009), doi 10.1109/TVCG.2009.113: severity 1.0, for linear RGB.
BLIND = {
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
}
D65 = np.array([0.9505, 1.0, 1.089])
XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def linear(colour: str) -> np.ndarray:
    srgb = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)]) / 255
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def cielab(colour: str, blind: str | None = None) -> np.ndarray:
    seen = np.clip(np.array(BLIND[blind]) @ linear(colour), 0, 1) if blind else linear(colour)
    f = np.cbrt(np.maximum(XYZ @ seen / D65, 0.008856))
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def contrast(one: str, other: str) -> float:
    """Of WCAG 2.1."""
    a, b = sorted(float(XYZ[1] @ linear(colour)) for colour in (one, other))
    return (b + 0.05) / (a + 0.05)


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("name", ["rising", "rising_plus", "rising_minus"])
def test_rising_ramps_go_evenly_one_way_in_lightness_for_every_eye(colours: Palette, name: str) -> None:
    ramp = getattr(colours, name)
    assert len(ramp) == 255
    assert ramp[0] == colours.zero
    for blind in (None, *BLIND):
        lightness = np.array([cielab(colour, blind)[0] for colour in ramp[::2]])
        steps = np.diff(lightness) * np.sign(lightness[-1] - lightness[0])
        assert steps.min() > -0.15
        assert abs(lightness[-1] - lightness[0]) > 30.0
    distance = [np.linalg.norm(cielab(a) - cielab(b)) for a, b in zip(ramp[:-16:16], ramp[16::16], strict=True)]
    assert max(distance) < 2.5 * min(distance)


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_the_diverging_ramp_has_nothing_in_its_middle(colours: Palette) -> None:
    assert len(colours.diverging) == 255
    assert [colours.diverging[k] for k in (0, 127, 254)] == [colours.minus, colours.zero, colours.plus]


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("blind", [None, *BLIND])
def test_lines_of_the_learning_plot_can_be_told_apart(colours: Palette, blind: str | None) -> None:
    lines = [colours.run, colours.plus, colours.minus, colours.twin, *colours.ghosts]
    seen = [cielab(colour, blind) for colour in lines]
    assert min(np.linalg.norm(a - b) for k, a in enumerate(seen) for b in seen[:k]) > 9.0


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_words_can_be_read(colours: Palette) -> None:
    for colour in (colours.text, colours.muted):
        assert contrast(colour, colours.surface) >= 4.5
    for colour in (colours.run, colours.twin, colours.target, *colours.ghosts):
        assert contrast(colour, colours.surface) >= 3.0


def test_large_changes_the_text_and_nothing_else() -> None:
    for dark in (False, True):
        small, large = palette(dark), palette(dark, large=True)
        assert (small.pixels, large.pixels) == (12.0, 17.0)
        differing = {
            field.name for field in fields(Palette) if getattr(small, field.name) != getattr(large, field.name)
        }
        assert differing == {"text_size"}


@pytest.mark.parametrize("module", VIEWS)
def test_large_text_has_more_room_and_goes_back(module) -> None:
    view = module.build(LIGHT)
    before = {name: plot.min_border_left for name, plot in view.figures.items()}
    view.paint(palette(False, large=True))
    for name, plot in view.figures.items():
        assert {axis.major_label_text_font_size for axis in plot.axis} == {"17px"}
        assert plot.min_border_left >= before[name] * 17 / 12 - 1
    view.paint(LIGHT)
    assert {name: plot.min_border_left for name, plot in view.figures.items()} == before


def test_colours_of_text_outside_the_plots_are_those_of_the_plots() -> None:
    told = variables(DARK)
    assert told["--run"] == DARK.run
    assert told["--twin"] == READABLE[DARK.twin]
    assert [told[f"--ghost{k}"] for k in range(4)] == list(DARK.ghosts)


def test_tooltips_hold_every_row_in_the_modes_colours() -> None:
    html = tooltip([("loss", "@loss{%.3g}"), ("trial", "@trial")], DARK)
    assert html.index("loss") < html.index("@loss{%.3g}") < html.index("@trial")
    assert DARK.surface in html and DARK.text in html
