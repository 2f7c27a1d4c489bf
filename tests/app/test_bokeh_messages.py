"""What a browser sends: what our pages need passes, what would grow, define or be kept for ever is refused."""

from __future__ import annotations

import asyncio
import gc
import json
from types import SimpleNamespace
from typing import Any

import pytest
from bokeh.core.serialization import Deserializer
from bokeh.models import ColumnDataSource
from bokeh.protocol import Protocol
from bokeh.protocol.exceptions import ProtocolError
from bokeh.protocol.receiver import Receiver
from bokeh.server.protocol_handler import ProtocolHandler
from bokeh.server.views import ws

from app.patches import bokeh_messages
from app.patches.bokeh_messages import Bounded, Checked, check


class Session:
    """Stands for a session of a document that holds one model."""

    def __init__(self) -> None:
        self.document = SimpleNamespace(models={"mine"})


def changed(new: Any, attr: str = "data", model: str = "p1") -> dict[str, Any]:
    return {"kind": "ModelChanged", "model": {"id": model}, "attr": attr, "new": new}


def said(*values: Any) -> dict[str, Any]:
    event = {"type": "event", "name": "document_ready", "values": {"type": "map", "entries": [["data", *values]]}}
    return {"kind": "MessageSent", "msg_type": "bokeh_event", "msg_data": event}


def deep(levels: int) -> list[Any]:
    return [] if levels == 0 else [deep(levels - 1)]


ARRAY = {"type": "ndarray", "array": {"type": "bytes", "data": {"id": "0"}}, "dtype": "float64", "shape": [2]}

USUAL = [
    changed({"type": "map", "entries": [["x", ARRAY], ["y", [1, None, "text"]]]}),
    changed({"type": "number", "value": "nan"}),
    said(True),
    {"kind": "ColumnDataChanged", "model": {"id": "p1"}, "attr": "data", "data": {"x": ARRAY}, "cols": None},
    changed([*range(10_000)], "indices"),
]


@pytest.mark.parametrize("event", USUAL, ids=str)
def test_what_pages_send_passes(event: dict[str, Any]) -> None:
    check({"events": [event]}, Session())


def test_a_model_of_the_document_that_is_described_whole_is_taken_for_itself() -> None:
    """So do browsers with notifications that stay when another one goes; what they say of it counts for nothing."""
    described = {"type": "object", "name": "Note", "id": "mine", "attributes": {"text": {"type": "bytes", "data": ""}}}
    event = changed([described], "notifications")
    check({"events": [event]}, Session())
    assert event["new"] == [{"id": "mine"}]


HOSTILE = {
    "base64": (changed({"type": "bytes", "data": "H4sIAAAA"}), "bytes come as they are, not as text"),
    "base64 in a message": (said({"type": "bytes", "data": "H4sIAAAA"}), "bytes come as they are"),
    "base64 as a key": (changed({"type": "map", "entries": [[{"type": "bytes", "data": ""}, 1]]}), "bytes come as they"),
    "wide items": (changed({**ARRAY, "dtype": "V2000000000"}), "arrays hold numbers of known kinds"),
    "items of parts": (changed({**ARRAY, "dtype": {"names": ["a"], "formats": ["U9"]}}), "arrays hold numbers"),
    "a class": (changed([{"type": "model", "name": "Made"}]), "this kind of value is not taken"),
    "a model": (changed({"type": "object", "name": "Div", "id": "new", "attributes": {}}), "this kind of value"),
    "a model without a name": (changed({"type": "object", "name": "Div", "id": ["mine"]}), "this kind of value"),
    "no kind": (changed({"type": ["map"]}), "this kind of value is not taken"),
    "many values": (changed([0] * 20_000), "too many values, or too deep"),
    "deep": (changed(deep(30)), "too many values, or too deep"),
    "a root": ({"kind": "RootAdded", "model": {"id": "p1"}}, "this kind of change is not taken"),
    "a title": ({"kind": "TitleChanged", "title": "x"}, "this kind of change is not taken"),
    "a stream": ({"kind": "ColumnsStreamed", "model": {"id": "p1"}, "data": {}}, "this kind of change is not taken"),
    "no event": (5, "this kind of change is not taken"),
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE)
def test_what_would_grow_or_define_something_is_refused(case: str) -> None:
    event, reason = HOSTILE[case]
    with pytest.raises(ProtocolError, match=reason):
        check({"events": [event]}, Session())


@pytest.mark.parametrize("content", [None, [], {}, {"events": {}}, "x"])
def test_a_change_without_events_is_refused(content: Any) -> None:
    with pytest.raises(ProtocolError, match="a change without events"):
        check(content, Session())


def test_what_models_keep_is_bounded_for_a_session_and_for_all() -> None:
    one, text = Session(), "x" * 200_000
    for _ in range(300):
        check({"events": [changed(text)]}, one)  # in one place, where the last one counts
    with pytest.raises(ProtocolError, match="models hold too much of what browsers have set"):
        [check({"events": [changed(text, f"name{k}")]}, one) for k in range(300)]
    with pytest.raises(ProtocolError, match="models hold too much"):
        check({"events": [changed(ARRAY)]}, Session(), attached=25 * 2**20)
    others = [Session() for _ in range(20)]
    with pytest.raises(ProtocolError, match="models hold too much"):
        _ = [check({"events": [changed(ARRAY)]}, other, attached=20 * 2**20) for other in others]
    del one, others
    check({"events": [changed(text)]}, Session())


def received(*pieces: str | bytes, receiver: Receiver | None = None) -> Any:
    async def consumed() -> Any:
        taking = receiver or Bounded(Protocol())
        return [await taking.consume(piece) for piece in pieces][-1]

    return asyncio.run(consumed())


def header(**more: Any) -> str:
    return json.dumps({"msgid": "1", "msgtype": "PATCH-DOC", **more})


def test_messages_are_put_together_as_before() -> None:
    message = received(header(num_buffers=1), "{}", '{"events": []}', '{"id": "0"}', b"12")
    assert (message.msgtype, message.content, message.buffers[0].data) == ("PATCH-DOC", {"events": []}, b"12")


@pytest.mark.parametrize(
    ("pieces", "reason"),
    [
        (["{" * 300_000], "a piece of a message has 300000 bytes; at most 262144"),
        ([header(num_buffers=1), "{}", "{}", '{"id": "0"}', bytes(13 * 2**20)], "has 13631488 bytes; at most 12582912"),
        ([header(num_buffers=10**9), "{}", "{}", *['{"id": "0"}', b"1"] * 17], "too much of unfinished messages"),
        ([header(), "{}", "[" * 200_000], "a message that cannot be read"),
        ([header(msgtype="y" * 1000), "{}", "{}"], "a message that cannot be read"),
        ([header(num_buffers=1), "{}", "{}", json.dumps({"x" * 1000: 1})], "Malformed buffer header"),
        ([b"binary"], "expected text fragment but received binary fragment"),
        (["no JSON", "{}", "{}"], "a message that cannot be read"),
    ],
)
def test_pieces_that_make_no_message_end_the_connection_in_a_short_sentence(
    pieces: list[str | bytes], reason: str
) -> None:
    with pytest.raises(ProtocolError, match=reason) as refusal:
        received(*pieces)
    assert len(str(refusal.value)) < 120


def test_unfinished_messages_of_all_connections_are_bounded() -> None:
    gc.collect()
    half = [header(num_buffers=16), "{}", "{}", *['{"id": "0"}', bytes(12 * 2**20)] * 9]
    held = [Bounded(Protocol()) for _ in range(2)]
    received(*half, receiver=held[0])
    with pytest.raises(ProtocolError, match="too much of unfinished messages"):
        received(*half, receiver=held[1])
    held.clear()
    gc.collect()
    received(*half)


@pytest.mark.parametrize("kind", ["PUSH-DOC", "ACK", "OK"])
def test_other_messages_are_refused(kind: str) -> None:
    with pytest.raises(ProtocolError, match="this kind of message is not taken"):
        asyncio.run(Checked().handle(SimpleNamespace(msgtype=kind), None))


def test_bokeh_still_needs_this_patch() -> None:
    """One of these fails when Bokeh bounds what it takes: then `app.patches.bokeh_messages` can go, or shrink."""
    bomb = {"type": "bytes", "data": "H4sIAAAAAAACA2NgGAWjYBSMVAAALq+17wAEAAA="}
    assert len(Deserializer().decode(bomb)) > len(bomb["data"]) * 10
    made = Deserializer().decode({"type": "ndarray", "array": [0], "dtype": "U250", "shape": [1], "order": "little"})
    assert made.nbytes == 1000
    assert "PUSH-DOC" in ProtocolHandler()._handlers
    assert not hasattr(Receiver(Protocol()), "limit")


def test_the_servers_connections_use_the_patch() -> None:
    before = ws.Receiver, ws.ProtocolHandler
    try:
        bokeh_messages.install()
        assert (ws.Receiver, ws.ProtocolHandler) == (Bounded, Checked)
    finally:
        ws.Receiver, ws.ProtocolHandler = before


def test_what_bokeh_makes_of_a_change_is_made_of_plain_json() -> None:
    """That is why it can be looked through before: a source's data are the message's own lists and maps."""
    source = ColumnDataSource({"x": [1]})
    data = Deserializer([source]).decode(changed({"type": "map", "entries": [["x", [2]]]}, model=source.id))
    assert data["new"] == {"x": [2]}
