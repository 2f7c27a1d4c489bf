"""Messages to the browser are Bokeh's own, made with less work; all of them are written."""

from __future__ import annotations

import asyncio
import json
import warnings
from typing import Any

import bokeh.document.document as module
import numpy as np
import pytest
from app_kit import until
from bokeh.core.serialization import Deserializer, UnknownReferenceError
from bokeh.document import Document
from bokeh.model import Model
from bokeh.models import ColumnDataSource, FixedTicker, Range1d, Title
from bokeh.plotting import figure
from bokeh.protocol.messages.patch_doc import patch_doc
from bokeh.util.warnings import BokehUserWarning
from panel.io import document as io

from app import delivery
from pcmsim.errors import FileError

DISPATCH = io._dispatch_msgs
ORIGINAL = patch_doc.create.__func__


def page() -> tuple[Document, Any, ColumnDataSource]:
    """A document that a browser has, with a plot and a source."""
    document, plot = Document(), figure()
    source = ColumnDataSource({"x": [1, 2], "y": [3.0, 4.0]})
    plot.line("x", "y", source=source)
    document.add_root(plot)
    document.models.flush_synced()
    return document, plot, source


def some_data(plot: Any, source: ColumnDataSource) -> None:
    source.data = {"x": np.arange(3), "y": np.zeros(3)}


def a_known_model(plot: Any, source: ColumnDataSource) -> None:
    plot.renderers[0].data_source = source
    plot.x_range.start = 4.0


def a_new_model(plot: Any, source: ColumnDataSource) -> None:
    plot.xaxis[0].ticker = FixedTicker(ticks=[1, 2])


def a_new_model_twice(plot: Any, source: ColumnDataSource) -> None:
    plot.x_range = plot.y_range = Range1d(0, 9)
    plot.title = Title(text="new")


def a_new_model_then_a_change_of_it(plot: Any, source: ColumnDataSource) -> None:
    plot.x_range = Range1d(0, 9)
    plot.x_range.end = 8


def message(change: Any, create: Any) -> tuple[dict[str, Any], list[bytes], dict[str, str]]:
    """Content and buffers of the message about a change, and what its names stand for."""
    document, plot, source = page()
    document.hold("collect")
    change(plot, source)
    events = list(document.callbacks._held_events)
    made = create(patch_doc, events)
    left = {model.id for model in document.models._new_models}
    names = {model.id: type(model).__name__ for model in document.models}
    assert left == set()
    return made.content, [buffer.to_bytes() for buffer in made.buffers], names


def anonymous(made: tuple[dict[str, Any], list[bytes], dict[str, str]]) -> Any:
    """The same with kinds of models instead of their names, which count up."""
    content, buffers, names = made
    text = json.dumps(content, default=lambda other: "buffer")
    for name, kind in sorted(names.items(), key=lambda item: -len(item[0])):
        text = text.replace(f'"{name}"', f'"{kind}"')
    return text, buffers


@pytest.mark.parametrize(
    "change", [some_data, a_known_model, a_new_model, a_new_model_twice, a_new_model_then_a_change_of_it]
)
def test_messages_are_those_of_bokeh(change: Any) -> None:
    assert anonymous(message(change, delivery._create)) == anonymous(message(change, ORIGINAL))


def test_a_model_that_the_browser_does_not_have_is_told_in_full_once() -> None:
    document, plot, _ = page()
    document.hold("collect")
    plot.xaxis[0].ticker = ticker = FixedTicker(ticks=[1, 2])
    first = json.dumps(delivery._create(patch_doc, list(document.callbacks._held_events)).content)
    assert f'"id": "{ticker.id}"' in first
    assert "attributes" in first
    document.callbacks._held_events.clear()
    plot.xaxis[0].ticker = ticker
    ticker.ticks = [5]
    later = json.dumps(delivery._create(patch_doc, list(document.callbacks._held_events)).content)
    assert "attributes" not in later


def test_models_of_another_document_are_not_taken_for_known() -> None:
    document, _, _ = page()
    other, plot, _ = page()
    serializer = delivery._Patch(document)
    assert not any(serializer.has_ref(model) for model in other.models)
    assert all(serializer.has_ref(model) for model in document.models if isinstance(model, Model))
    assert serializer.get_ref(plot) is None


class Slow:
    """A browser's connection whose messages take a while to leave."""

    def __init__(self) -> None:
        self._socket, self.protocol = self, self
        self.written: list[Any] = []

    def create(self, kind: str, events: list[Any]) -> list[Any]:
        return events

    def send_message(self, message: Any) -> asyncio.Future[None]:
        self.written += message
        left = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(0.01, left.set_result, None)
        return left


def crossing(monkeypatch: pytest.MonkeyPatch, write: Any) -> list[Any]:
    """What is written of two messages, the second of which comes when the writing of the first ends."""
    monkeypatch.setattr(io, "_dispatch_msgs", write)
    monkeypatch.setitem(io.extra_socket_handlers, Slow, lambda conn, msg: [conn.send_message(msg)])

    async def run() -> list[Any]:
        connection, document = Slow(), Document()
        io.schedule_write_events(document, [connection], ["first"])
        await asyncio.sleep(0.001)
        asyncio.get_running_loop().call_later(
            0.009,
            lambda: asyncio.get_running_loop().call_later(
                0.0, io.schedule_write_events, document, [connection], ["second"]
            ),
        )
        for _ in range(200):
            await asyncio.sleep(0.001)
        return connection.written

    return asyncio.run(run())


def test_a_message_that_comes_when_a_writing_ends_is_not_left_lying(monkeypatch: pytest.MonkeyPatch) -> None:
    assert crossing(monkeypatch, delivery.complete(DISPATCH)) == ["first", "second"]


def test_a_task_that_finds_its_mark_taken_writes_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mark is gone, the message is there: this is what a task that has ended leaves to the next."""
    monkeypatch.setitem(io.extra_socket_handlers, Slow, lambda conn, msg: [conn.send_message(msg)])

    async def run(write: Any) -> list[Any]:
        connection, document = Slow(), Document()
        io._WRITE_MSGS[document] = {connection: [["stuck"]]}
        await write(document)
        return connection.written

    assert asyncio.run(run(DISPATCH)) == []
    assert asyncio.run(run(delivery.complete(DISPATCH))) == ["stuck"]


def received(document: Document, kind: type[Any], new: Any) -> Any:
    """The range of a page's plot after a browser's message about it, read by `kind`."""
    plot = document.roots[0]
    content = {"events": [{"kind": "ModelChanged", "model": plot.ref, "attr": "x_range", "new": new}]}
    original, module.Deserializer = module.Deserializer, kind
    try:
        document.apply_json_patch(content)
    finally:
        module.Deserializer = original
    return plot.x_range


@pytest.mark.parametrize("kind", [Deserializer, delivery._Received])
def test_a_browsers_message_may_name_a_known_model_or_bring_a_new_one(kind: type[Any]) -> None:
    document, plot, _ = page()
    assert received(document, kind, plot.y_range.ref) is plot.y_range
    new = {"type": "object", "name": "Range1d", "id": "new", "attributes": {"start": 2, "end": 3}}
    assert received(document, kind, new).end == 3
    assert document.models.get_by_id("new").start == 2


@pytest.mark.parametrize("kind", [Deserializer, delivery._Received])
def test_a_browsers_message_about_an_unknown_model_is_refused(kind: type[Any]) -> None:
    document, _, _ = page()
    with pytest.raises(UnknownReferenceError):
        received(document, kind, {"id": "p9999"})


def test_a_known_model_that_a_browser_describes_anew_stays_itself_without_a_warning() -> None:
    document, plot, _ = page()
    again = {"type": "object", "name": "Range1d", "id": plot.y_range.id, "attributes": {"start": 2, "end": 3}}
    with pytest.warns(BokehUserWarning, match="already known"):
        assert received(document, Deserializer, again) is plot.y_range
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert received(document, delivery._Received, again) is plot.y_range


def test_a_model_that_a_browsers_message_has_called_up_is_still_to_be_told() -> None:
    document, plot, _ = page()
    plot.on_change("x_range", lambda attr, old, new: setattr(plot.xaxis[0], "ticker", FixedTicker(ticks=[1, 2])))
    received(document, delivery._Received, plot.y_range.ref)
    assert plot.xaxis[0].ticker in document.models._new_models


def test_a_page_reads_messages_as_told_here() -> None:
    delivery.install()
    assert module.Deserializer is delivery._Received


@pytest.mark.parametrize(
    ("error", "sentence"), [(FileError("here", "is full"), "here: is full"), (KeyError("x"), "KeyError: 'x'")]
)
def test_what_cannot_be_made_aside_is_told_whatever_it_was(error: Exception, sentence: str) -> None:
    def make() -> None:
        raise error

    document, said = Document(), []
    delivery.aside(document, make, lambda _: said.append("made"), said.append)
    until(lambda: bool(document.session_callbacks))
    for waiting in document.session_callbacks:
        waiting.callback()
    assert said == [sentence]
