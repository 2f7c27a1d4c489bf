"""The inspector: a click on the crossbar or the raster shows what the library reports of that synapse or neuron."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from browser_kit import WAIT
from library_kit import float32, trained
from playwright.sync_api import expect

from app.theme import LIGHT, rgba
from app.views.pixels import raster
from app.views.status import duration
from training import inspection

pytestmark = pytest.mark.browser

TRIAL, LATER, PRESET = 5, 7, "sign"
RASTER = """(neurons) => {
  const view = [...Bokeh.index.all_views()].find((v) => v.model.type === 'Figure'
    && v.model.renderers.some((r) => r.glyph?.type === 'ImageRGBA'))
  const r = view.el.getBoundingClientRect(), f = view.frame.bbox
  return [r.x + f.left, r.y + f.top, f.width, f.height]
}"""
PIXELS = """() => [...Bokeh.index.all_views()]
  .find((v) => v.model.type === 'GlyphRenderer' && v.model.glyph.type === 'ImageRGBA')
  .glyph.image.array.map((image) => [...image.shape, ...image])"""
WEIGHTS = """() => {
  const map = [...Bokeh.documents[0]._all_models.values()].find((m) => m.data?.dw && m.data.kind)
  return [...map.data.image[0]]
}"""
FACTS = """(lists) => lists.flatMap((list) => [...list.querySelectorAll('dt')])
  .map((term) => [term.innerText, term.nextElementSibling.innerText])"""
HIDDEN = 0.96 / 2.0
"""Share of the raster's height that hidden neurons fill, from below."""


def pick_cell(live, pre: int, post: int, shape: tuple[int, int]) -> None:
    live.pick((pre + 0.5) / shape[0], (post + 0.5) / shape[1])


def pick_neuron(live, neuron: int, neurons: int) -> None:
    left, top, width, height = live.page.evaluate(RASTER)
    live.page.mouse.click(left + 0.3 * width, top + height * (1.0 - HIDDEN * (neuron + 0.5) / neurons))


def facts(live) -> dict[str, str]:
    """The list of the inspector: what by what it is."""
    return dict(live.page.locator(".inspector dl:visible").evaluate_all(FACTS))


def rows(live) -> list[list[str]]:
    """The table of devices."""
    table = live.page.locator(".inspector table:visible tbody tr")
    return [line.split() for line in table.all_inner_texts()]


def busiest(session) -> tuple[int, int]:
    """The recurrent synapse with the most SET pulses: it has a history."""
    sets = session.arrays.recurrent.ledger.sets.sum((0, 1))
    pre, post = np.unravel_index(int(sets.argmax()), sets.shape)
    return int(pre), int(post)


def told(report: inspection.CellReport) -> dict[str, str]:
    known: dict[str, Any] = {
        "weight now": f"{report.weight:+.3f}",
        "asked by the latest update": f"{report.latest:+.2g}",
        "asked lately": f"{report.asked:+.2g}",
        "applied lately": f"{report.applied:+.2g}",
    }
    waiting = {} if report.waiting is None else {"waiting in the accumulator": f"{report.waiting:+.2g}"}
    return known | waiting


def devices(report: inspection.CellReport) -> list[list[str]]:
    return [
        [
            f"G{device.polarity.replace('-', '−')}", f"{device.number + 1}", f"{device.stored:.2f}",
            f"{device.drifted:.2f}", f"{device.history:.3f}", *duration(device.age).split(),
            f"{device.exponent:.3f}", f"{device.sets:,}", f"{device.resets:,}",
        ]
        for device in report.devices
    ]  # fmt: skip


TRACES = "limit", "voltage", "signal", "eligibility"


def drawn(live, report: inspection.NeuronReport, name: str) -> bool:
    """Whether a trace is drawn as the library reports it, thinned out."""
    [traces] = live.drawn("Line", "time", *TRACES)
    thin = round(len(report.time) / max(len(traces["time"]), 1))
    return traces[name] == float32(getattr(report, name)[::thin])


def check_cell(live, report: inspection.CellReport) -> None:
    live.becomes(lambda: facts(live), told(report))
    live.becomes(lambda: rows(live), devices(report))
    events = np.concatenate([device.events for device in report.devices])
    reads = np.concatenate([device.reads for device in report.devices])

    def writes() -> list[list[float]]:
        [drawn] = live.drawn("Scatter", "trial", "conductance", "colour", "marker")
        return [drawn["trial"], drawn["conductance"]]

    def heights() -> list[list[float]]:
        return [drawn["conductance"] for drawn in live.drawn("Scatter", "place", "conductance", "colour")]

    live.becomes(writes, [events["trial"].tolist(), events["conductance"].tolist()])
    live.becomes(lambda: float32(reads) in heights(), True)
    drifted = pytest.approx([device.drifted for device in report.devices])
    live.becomes(lambda: any(shown == drifted for shown in heights()), True)


def test_a_click_on_the_crossbar_reports_that_synapse_and_follows_the_run(stay) -> None:
    live = stay(f"?preset={PRESET}")
    live.step_to(TRIAL)
    session, _ = trained(TRIAL, PRESET)
    pre, post = busiest(session)
    pick_cell(live, pre, post, session.arrays.recurrent.shape)
    expect(live.page.get_by_text(f"{pre} → {post} · recurrent")).to_be_visible(timeout=WAIT)
    report = inspection.cell(session, "recurrent", pre, post)
    assert sum(device.sets for device in report.devices) > 2
    check_cell(live, report)
    live.step_to(LATER)
    list(session.run(LATER - TRIAL))
    check_cell(live, inspection.cell(session, "recurrent", pre, post))


def test_the_layer_shown_is_the_layer_picked(visit) -> None:
    live = visit()
    live.step_to(1)
    session, _ = trained(1)
    live.button("input").click()
    inputs, hidden = session.arrays.input.shape
    live.becomes(lambda: live.page.evaluate(WEIGHTS), float32(session.snapshot()["input"].weights.T.ravel()))
    pick_cell(live, inputs - 1, 3, (inputs, hidden))
    expect(live.page.get_by_text(f"{inputs - 1} → 3 · input")).to_be_visible(timeout=WAIT)
    check_cell(live, inspection.cell(session, "input", inputs - 1, 3))


@pytest.mark.parametrize("trial", [0, LATER])
def test_the_raster_has_a_pixel_where_a_neuron_spiked_from_the_first_picture_on(visit, trial: int) -> None:
    live = visit(f"?preset={PRESET}")
    live.step_to(trial)
    session, records = trained(trial, PRESET)
    trains = (records[-1].hidden, LIGHT.spikes), (records[-1].inputs, LIGHT.inputs)
    sizes = session.config.network.hidden, session.sampler.inputs
    images = [raster(train, size) * rgba(ink) for (train, ink), size in zip(trains, sizes, strict=True)]
    assert images[1].any()
    assert images[0].any() == (trial > 0)  # Before it has learned, the network is silent here.
    live.becomes(lambda: live.page.evaluate(PIXELS), [[*image.shape, *image.ravel().tolist()] for image in images])


def test_a_click_on_the_raster_reports_that_neuron_and_escape_or_the_button_closes_it(stay) -> None:
    live = stay(f"?preset={PRESET}")
    live.step_to(LATER)
    session, records = trained(LATER, PRESET)
    inspector = live.page.locator(".inspector")
    for neuron, close in ((17, "Escape"), (63, "button")):
        pick_neuron(live, neuron, session.config.network.hidden)
        expect(live.page.get_by_text(f"hidden {neuron}", exact=True)).to_be_visible(timeout=WAIT)
        report = inspection.neuron(session, records[-1], neuron)
        expected = {
            "firing rate": f"{report.rate:.1f} Hz",
            "threshold": f"{report.threshold:.3g}",
            "trial": str(LATER),
            "eligibility of": f"input {report.source} → neuron {neuron}",
        }
        live.becomes(lambda expected=expected: facts(live), expected)
        live.becomes(lambda report=report: [name for name in TRACES if not drawn(live, report, name)], [])
        live.becomes(lambda: live.drawn("Scatter", "time", "voltage")[0]["time"], float32(report.spikes))
        if close == "Escape":
            live.page.keyboard.press("Escape")
        else:
            live.button("Close the inspector (Esc)").click()
        expect(inspector).not_to_be_visible(timeout=WAIT)
        assert facts(live) == {}
