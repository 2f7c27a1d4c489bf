"""Bounds of a browser's messages: few kinds of messages, of bounded size, checked before Bokeh makes anything of them.

Bokeh 3.9 takes a whole document from a browser, unpacks base64 as gzip without bound, defines classes and models that a
message describes, makes arrays of any type, collects any number of pieces of one message, and logs what does not fit
in full. Browsers that show our pages need none of it: what they send is looked through as plain JSON here. What does
not pass closes its connection.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from typing import Any, ClassVar
from weakref import WeakKeyDictionary, WeakSet

from bokeh.protocol.exceptions import MessageError, ProtocolError, ValidationError
from bokeh.protocol.receiver import Receiver
from bokeh.server import protocol_handler
from bokeh.server.views import ws

MIB = 2**20
LARGEST_TEXT = MIB // 4
"""Characters of a piece of a message: a sweep's text, the longest that a page sends, has 20 000."""

LARGEST_PIECE = 12 * MIB
"""Bytes of a piece: files come in pieces of 10 MiB."""

MOST_PIECES = 16
"""Arrays and pieces of files in one message."""

WAITING = 192 * MIB
"""Bytes that unfinished messages of all connections hold together."""

MOST_VALUES, DEEPEST = 20_000, 24
"""Values in a message, and how deep they lie: what a selection of all points of a plot needs, and a nested layout."""

HELD, HELD_BY_ALL = 24 * MIB, 256 * MIB
"""Bytes, about, that a session's models hold of what its browser has set, and those of all sessions."""

LONGEST_REASON = 100
"""Characters of what a closed connection is told: a websocket takes 123."""

EACH = 64
"""Bytes that a value takes in Python beside its own, about."""

MESSAGES = {"PULL-DOC-REQ", "PATCH-DOC", "SERVER-INFO-REQ"}
EVENTS = {"ModelChanged", "MessageSent", "ColumnDataChanged"}
TYPES = {"number", "array", "set", "map", "bytes", "slice", "typed_array", "ndarray", "event"}
"""Kinds of values that Bokeh knows; ``object``, ``model`` and ``expr`` would make new things on the server."""

DTYPES = {
    "bool",
    "int8",
    "uint8",
    "int16",
    "uint16",
    "int32",
    "uint32",
    "int64",
    "uint64",
    "float32",
    "float64",
    "object",
}


class Bounded(Receiver):
    """Puts the pieces of a message together, as long as they are few and small."""

    _all: ClassVar[WeakSet[Bounded]] = WeakSet()

    def __init__(self, protocol: Any) -> None:
        super().__init__(protocol)
        self._waiting, self._pieces = 0, 0
        self._all.add(self)

    async def consume(self, fragment: str | bytes) -> Any:
        """See Bokeh's; refuses a piece that is too large, or one too many."""
        if self._current_consumer == self._HEADER:
            self._waiting, self._pieces = 0, 0
        most = LARGEST_TEXT if isinstance(fragment, str) else LARGEST_PIECE
        if len(fragment) > most:
            raise ProtocolError(f"a piece of a message has {len(fragment)} bytes; at most {most}")
        self._waiting += len(fragment)
        self._pieces += isinstance(fragment, bytes)
        if self._pieces > MOST_PIECES or sum(one._waiting for one in self._all) > WAITING:
            self._waiting = 0
            raise ProtocolError("too much of unfinished messages")
        message = await self._put_together(fragment)
        if message is not None:
            self._waiting = 0
        return message

    async def _put_together(self, fragment: str | bytes) -> Any:
        try:
            return await super().consume(fragment)
        except (MessageError, ProtocolError, ValidationError) as error:
            raise ProtocolError(str(error)[:LONGEST_REASON]) from error
        except Exception as error:  # whatever JSON can be instead of a message
            raise ProtocolError("a message that cannot be read") from error


class Checked(protocol_handler.ProtocolHandler):
    """Hands on what a browser of ours may ask for."""

    async def handle(self, message: Any, connection: Any) -> Any:
        """See Bokeh's.

        Raises
        ------
        ProtocolError
            If the message is of another kind, or holds what it must not.
        """
        if message.msgtype not in MESSAGES:
            raise ProtocolError("this kind of message is not taken")
        if message.msgtype == "PATCH-DOC":
            check(message.content, connection.session, sum(len(buffer.data) for buffer in message.buffers))
        return await super().handle(message, connection)


_held: WeakKeyDictionary[Any, dict[Any, int]] = WeakKeyDictionary()


def check(content: Any, session: Any, attached: int = 0) -> None:
    """Look through a change of a document, before any of it is made.

    Parameters
    ----------
    content : object
        The message's JSON.
    session : bokeh.server.session.ServerSession
        Whose document it is: what its models come to hold is counted.
    attached : int
        Bytes of the arrays that came with it.

    Raises
    ------
    ProtocolError
        If it is no such change, or holds what it must not.
    """
    events = content.get("events") if isinstance(content, dict) else None
    if not isinstance(events, list):
        raise ProtocolError("a change without events")
    left, held = MOST_VALUES, dict(_held.get(session, {}))
    for event in events:
        if not isinstance(event, dict) or event.get("kind") not in EVENTS:
            raise ProtocolError("this kind of change is not taken")
        number, size = _measured(event, left, session.document.models)
        left -= number
        if event["kind"] != "MessageSent":
            held[str(event.get("model"))[:80], str(event.get("attr"))[:80]] = size + attached
    _held[session] = held
    if sum(held.values()) > HELD or sum(sum(each.values()) for each in _held.values()) > HELD_BY_ALL:
        raise ProtocolError("models hold too much of what browsers have set")


def _measured(event: Any, most: int, known: Container[str]) -> tuple[int, int]:
    """Count the values and their memory, about [bytes]; refuse what must not be there."""
    number = size = 0
    waiting: list[Iterator[Any]] = [iter([event])]
    while waiting:
        if (value := next(waiting[-1], _END)) is _END:
            waiting.pop()
            continue
        number, size = number + 1, size + EACH + (len(value) if isinstance(value, str) else 0)
        if number > most or len(waiting) > DEEPEST:
            raise ProtocolError("a change with too many values, or too deep")
        if isinstance(value, dict):
            _check_kind(value, known)
            waiting.append(iter([*value.keys(), *value.values()]))
        elif isinstance(value, list):
            waiting.append(iter(value))
    return number, size


_END = object()


def _check_kind(value: dict[str, Any], known: Container[str]) -> None:
    """Refuse what is not plain data; a model that the document has becomes a reference to it.

    Browsers describe a model whole that came after the page, such as a notification among those that stay when
    another goes.
    """
    if value.get("type") == "object" and (name := str(value.get("id"))) in known:
        value.clear()
        value["id"] = name
    if "type" in value and str(value["type"]) not in TYPES:
        raise ProtocolError("this kind of value is not taken")
    kind = value.get("type")
    if kind == "bytes" and not isinstance(value.get("data"), dict):
        raise ProtocolError("bytes come as they are, not as text")
    if kind in ("ndarray", "typed_array") and str(value.get("dtype")) not in DTYPES:
        raise ProtocolError("arrays hold numbers of known kinds")


def install() -> None:
    """Have Bokeh's connections use them; again, nothing changes."""
    ws.Receiver, ws.ProtocolHandler = Bounded, Checked
