"""A range that a person has zoomed stays where it is until it is reset; events are those that the browser sends."""

from __future__ import annotations

import numpy as np
import pytest
from bokeh.document import Document
from bokeh.events import RangesUpdate, Reset, Tap
from bokeh.models import BoxZoomTool, HoverTool, Range1d, WheelZoomTool
from bokeh.plotting import figure

from app.theme import LIGHT
from app.views import activity, asked, budget, conductance, crossbar, drift, learning, pixels
from app.views.base import View, held, move, span_of
from training.config import RunConfig
from training.records import LayerSnapshot
from training.session import Session

VIEWS = [activity, asked, learning, conductance, crossbar, drift]
TINY = RunConfig().with_values({"network.hidden": 20, "task": {"name": "pattern", "inputs": 10, "duration": 0.05}})


def zoom(plot: figure, **spans: tuple[float, float]) -> None:
    """What a box drawn in the browser does to the server's models, and the event that follows."""
    for axis, (start, end) in spans.items():
        getattr(plot, f"{axis}_range").update(start=start, end=end)
    x, y = plot.x_range, plot.y_range
    plot._trigger_event(RangesUpdate(plot, x0=x.start, x1=x.end, y0=y.start, y1=y.end))


def reset(plot: figure) -> None:
    plot._trigger_event(Reset(plot))


def span(axis_range: Range1d) -> tuple[float, float]:
    return axis_range.start, axis_range.end


def table(trials: int) -> dict[str, np.ndarray]:
    loss = np.geomspace(0.3, 0.02, trials)
    return {"trial": np.arange(trials, dtype=float), "loss": loss, "smooth": loss, "baseline": np.full(trials, 0.3)}


@pytest.mark.parametrize("module", VIEWS)
def test_every_figure_zooms_by_a_box_and_leaves_the_wheel_to_the_page(module) -> None:
    for plot in module.build(LIGHT).figures.values():
        assert len(plot.select(BoxZoomTool)) == 1
        assert not plot.select(WheelZoomTool)
        assert plot.toolbar_location is None
        assert {"rangesupdate", "reset", "doubletap"} <= {str(event) for event in plot.subscribed_events} | set(
            plot.js_event_callbacks
        )


@pytest.mark.parametrize("module", VIEWS)
def test_the_browser_knows_from_the_beginning_where_a_reset_leads(module) -> None:
    for plot in module.build(LIGHT).figures.values():
        for axis_range in (plot.x_range, plot.y_range):
            assert (axis_range.reset_start, axis_range.reset_end) == span(axis_range)


def test_a_zoomed_range_stays_and_its_reset_leads_to_the_newest_place() -> None:
    axis_range = Range1d(0.0, 1.0)
    move(axis_range, (0.0, 2.0))
    assert span(axis_range) == (0.0, 2.0)
    axis_range.update(start=0.5, end=0.7)
    assert held(axis_range)
    move(axis_range, (0.0, 5.0))
    assert span(axis_range) == (0.5, 0.7)
    assert (axis_range.reset_start, axis_range.reset_end) == span_of(axis_range) == (0.0, 5.0)


def test_the_learning_plot_stays_zoomed_while_the_run_goes_on_and_follows_after_a_reset() -> None:
    view = learning.build(LIGHT)
    plot = view.figures["curve"]
    learning.fit(view, table(40))
    zoom(plot, x=(10.0, 30.0), y=(0.1, 0.2))
    for trials in (60, 200, 900):
        learning.fit(view, table(trials))
        assert (span(plot.x_range), span(plot.y_range)) == ((10.0, 30.0), (0.1, 0.2))
    reset(plot)
    assert plot.x_range.end >= 900.0
    assert plot.y_range.start <= 0.02
    learning.fit(view, table(2000))
    assert plot.x_range.end >= 2000.0


def test_only_the_zoomed_axis_is_held() -> None:
    view = learning.build(LIGHT)
    plot = view.figures["curve"]
    learning.fit(view, table(40))
    zoom(plot, x=(10.0, 30.0))
    learning.fit(view, table(900))
    assert span(plot.x_range) == (10.0, 30.0)
    assert plot.y_range.start <= 0.02


def test_the_two_figures_of_a_trial_zoom_in_time_together_and_either_gives_it_back() -> None:
    view, session = activity.build(LIGHT), Session(TINY)
    raster, output = view.figures["raster"], view.figures["output"]
    activity.fit(view, session.step(), TINY)
    zoom(output, x=(0.01, 0.02))
    activity.fit(view, session.step(), TINY)
    assert span(raster.x_range) == (0.01, 0.02)
    reset(raster)
    assert span(output.x_range) == (0.0, pytest.approx(0.05))


def test_a_zoom_that_crossed_a_move_on_the_way_is_sent_back_to_the_browser() -> None:
    view, document, sent = learning.build(LIGHT), Document(), []
    plot = view.figures["curve"]
    document.add_root(plot)
    document.on_change(sent.append)
    zoom(plot, x=(10.0, 30.0))
    told = [(event.model, event.attr, event.new) for event in sent if getattr(event, "model", None) is plot.x_range]
    assert told.count((plot.x_range, "start", 10.0)) == 2
    assert told.count((plot.x_range, "end", 30.0)) == 2
    assert not any(getattr(event, "model", None) is plot.y_range for event in sent)


def test_marks_follow_a_zoom_without_waiting_for_the_run() -> None:
    view = learning.build(LIGHT)
    plot = view.figures["curve"]
    learning.fit(view, table(40))
    zoom(plot, y=(0.21, 0.29))
    assert list(plot.yaxis.ticker.ticks) == [0.22, 0.24, 0.26, 0.28]
    assert plot.yaxis[0].major_label_overrides[0.22] == "0.22"
    reset(plot)
    assert 0.1 in plot.yaxis.ticker.ticks


def picks(view: View) -> list[tuple[int, ...]]:
    found: list[tuple[int, ...]] = []
    view.on_pick(lambda *pick: found.append(pick))
    return found


def tap(plot: figure, x: float | None, y: float | None) -> None:
    plot._trigger_event(Tap(plot, sx=1, sy=1, x=x, y=y))


def array(pre: int, post: int) -> LayerSnapshot:
    nothing = np.empty((0, 0, 0, 0), np.float32)
    return LayerSnapshot(np.ones((pre, post), np.float32), nothing, nothing, nothing.astype(np.int32))


def test_a_click_on_the_crossbar_picks_the_synapse_below_it_and_outlines_it() -> None:
    view = crossbar.build(LIGHT)
    view.show(crossbar.columns(array(30, 20)))
    found, plot = picks(view), view.figures["weights"]
    for place in ((7.9, 12.1), (0.0, 0.0), (29.99, 19.99), (30.0, 3.0), (-0.1, 3.0), (3.0, 20.0), (None, None)):
        tap(plot, *place)
    assert found == [(7, 12), (0, 0), (29, 19)]
    crossbar.mark_cell(view, (7, 12))
    assert view.sources["picked"].data == {"x": [7.5], "y": [12.5], "width": [1.0], "height": [1.0]}
    for gone in (None, (30, 0), (0, 20)):
        crossbar.mark_cell(view, gone)
        assert view.sources["picked"].data["x"] == []


@pytest.mark.parametrize("size", [129, 200, 256, 1000])
def test_in_a_pooled_map_a_click_picks_the_first_synapse_of_the_block(size: int) -> None:
    view = crossbar.build(LIGHT)
    view.show(crossbar.columns(array(size, 5)))
    found = picks(view)
    starts = np.arange(crossbar.LARGEST) * size // crossbar.LARGEST
    for cell, start in enumerate(starts):
        tap(view.figures["weights"], (cell + 0.5) * size / crossbar.LARGEST, 2.5)
        assert found[-1] == (start, 2)
        marked = view.sources["picked"].data
        assert marked["x"] == [pytest.approx((cell + 0.5) * size / crossbar.LARGEST)]
        assert marked["width"] == [pytest.approx(size / crossbar.LARGEST)]


@pytest.mark.parametrize("hidden", [20, 128, 200])
def test_a_click_on_the_raster_picks_the_first_hidden_neuron_of_its_row(hidden: int) -> None:
    config = TINY.with_values({"network.hidden": hidden})
    view = activity.build(LIGHT)
    view.show(activity.columns(Session(config).step(), config, LIGHT))
    found, plot = picks(view), view.figures["raster"]
    rows = min(hidden, pixels.MOST_ROWS)
    owners = np.arange(hidden) * rows // hidden
    for row in range(rows):
        tap(plot, 0.01, 0.96 * (row + 0.5) / rows)
        assert found[-1] == (int(np.flatnonzero(owners == row)[0]),)
        assert view.sources["picked"].data["height"] == [pytest.approx(0.96 * (row + 0.5) / rows)]
    before = len(found)
    for height in (1.0, 1.5, -0.1, 2.1):
        tap(plot, 0.01, height)
    assert len(found) == before
    activity.mark_neuron(view, None)
    assert view.sources["picked"].data["height"] == []


def test_without_anybody_who_asks_a_click_does_nothing() -> None:
    view = crossbar.build(LIGHT)
    view.show(crossbar.columns(array(30, 20)))
    tap(view.figures["weights"], 3.0, 3.0)
    assert view.sources["picked"].data["x"] == []


@pytest.mark.parametrize("module", [*VIEWS, budget])
def test_tooltips_name_columns_that_exist(module) -> None:
    view = module.build(LIGHT)
    hovers = [tool for plot in view.figures.values() for tool in plot.select(HoverTool)]
    assert hovers
    for tool in hovers:
        for renderer in tool.renderers:
            for name in tool.formatters:
                assert name.startswith("$") or name[1:] in renderer.data_source.data
        assert LIGHT.surface in tool.tooltips
