"""Messages between the server and browsers: made and read with less work, sent together, and none left lying.

For every message, either way, Bokeh 3.9 lists all models of a page, a third of the cost of a small one. And Panel
1.9 can leave a message lying until there is another one: a task that ends its writing takes away the
mark by which the next task knows that there is something to write.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections import ChainMap
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, TypeVar

import bokeh.document.document
import panel.io.document
from bokeh.core.serialization import Deserializer, Serializer
from bokeh.document import Document
from bokeh.document.events import DocumentPatchedEvent
from bokeh.document.json import PatchJson
from bokeh.model import Model
from bokeh.protocol.messages.patch_doc import patch_doc

from pcmsim.errors import sentence

Made = TypeVar("Made")
Write = Callable[[Document], Coroutine[Any, Any, None]]


def promptly(document: Document) -> None:
    """Let small messages leave at once.

    By default the system holds back small packets until earlier ones are confirmed, which browsers do only every 40 ms.

    Parameters
    ----------
    document : bokeh.document.Document
        The document of a served session.
    """
    for connection in document.session_context.session._subscribed_connections:
        connection._socket.set_nodelay(True)


def let_go_of_others(document: Document) -> None:
    """Close all connections of a session but the one that speaks: the tab that came last has it.

    Parameters
    ----------
    document : bokeh.document.Document
        The document of a served session, while a message of its browser is being answered.
    """
    session = document.session_context.session
    speaking = session._current_patch_connection
    for connection in tuple(session._subscribed_connections):
        if speaking not in (None, connection):
            connection._socket.close()


def let_go(document: Document) -> None:
    """Close all connections of a session.

    Parameters
    ----------
    document : bokeh.document.Document
        Its document.
    """
    context = document.session_context
    for connection in tuple(context.session._subscribed_connections) if context is not None else ():
        connection._socket.close()


def once_ready(document: Document, call: Callable[[], Any]) -> None:
    """Have something done when a browser has the page for the first time; after a reload it is ready once more.

    Parameters
    ----------
    document : bokeh.document.Document
        The document of a served session.
    call : callable
        What to do.
    """
    calls = [call]
    document.on_event("document_ready", lambda _: calls.pop()() if calls else None)


def soon(document: Document | None, callback: Callable[[], None]) -> None:
    """Have something done in the session's next turn; any thread may ask. Once the session has ended, nothing is.

    Parameters
    ----------
    document : bokeh.document.Document or None
        The document of a session, if any; one that has ended took the roots from it, and Bokeh would stumble over that.
    callback : callable
        What to do, with the document locked.
    """
    if hasattr(document, "roots"):
        document.add_next_tick_callback(callback)


def aside(
    document: Document | None, make: Callable[[], Made], then: Callable[[Made], None], warn: Callable[[str], None]
) -> None:
    """Have something made that takes a while, on a thread of its own: the server's loop goes on meanwhile.

    Parameters
    ----------
    document : bokeh.document.Document or None
        The document of a session; without one nobody waits for what is made.
    make : callable
        What takes a while.
    then : callable
        Gets what was made, in the session's turn.
    warn : callable
        Gets in its stead the sentence that says what went wrong.
    """

    def work() -> None:
        try:
            made = make()
        except Exception as error:
            soon(document, partial(warn, sentence(error)))
        else:
            soon(document, partial(then, made))

    threading.Thread(target=work, name="pcmlab-aside", daemon=True).start()


@contextlib.contextmanager
def together(document: Document) -> Iterator[None]:
    """Let the parts of a frame leave as one: it is some twenty messages, and each wakes up a part of the browser."""
    context = document.session_context
    connections = () if context is None else tuple(context.session._subscribed_connections)
    _cork(connections, True)
    try:
        yield
    finally:
        _cork(connections, False)


def _cork(connections: Iterable[Any], corked: bool) -> None:
    for connection in connections if hasattr(socket, "TCP_CORK") else ():
        # A browser that has just gone has no socket.
        with contextlib.suppress(AttributeError, OSError):
            connection._socket.ws_connection.stream.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, corked)


class _Patch(Serializer):
    """Looks up what the browser knows when it is needed, instead of listing it beforehand.

    Parameters
    ----------
    document : bokeh.document.Document
        The document.
    """

    def __init__(self, document: Document) -> None:
        super().__init__()
        self._document = document

    def has_ref(self, obj: Any) -> bool:
        """Whether the browser knows an object by name, or will from this message."""
        return super().has_ref(obj) or self._synced(obj)

    def get_ref(self, obj: Any) -> Any:
        """The name by which the browser knows an object; None if it does not."""
        return super().get_ref(obj) or (obj.ref if self._synced(obj) else None)

    def _synced(self, obj: Any) -> bool:
        if not isinstance(obj, Model):
            return False
        models = self._document.models
        return models.get_by_id(obj.id) is obj and obj not in models._new_models


class _Received(Deserializer):
    """Looks up the models that a browser's message names, instead of naming all of the page beforehand.

    Parameters
    ----------
    models : sequence of bokeh.model.Model
        All models of one document.
    setter : object
        The session that the message came to.
    """

    def __init__(self, models: Sequence[Model] = (), *, setter: Any = None) -> None:
        super().__init__(setter=setter)
        self._brought: dict[Any, Model] = {}
        known = models[0].document.models._models if models else {}
        self._references = ChainMap(self._brought, known)

    def has_ref(self, obj: Model) -> bool:
        """Whether the browser knows a new model by now: it has brought it along.

        Models that came up here meanwhile, perhaps in answer to this very message, are still to be told.
        """
        return obj.id in self._brought

    def _decode_object_ref(self, obj: Any) -> Model:
        """A browser may describe anew what it was just told of: the known model stays, as in Bokeh, which warns."""
        known = self._references.get(obj["id"])
        return super()._decode_object_ref(obj) if known is None else known


def _create(kind: type[patch_doc], events: list[DocumentPatchedEvent], **metadata: Any) -> patch_doc:
    [document] = {event.document for event in events}
    serializer = _Patch(document)
    message = kind(kind.create_header(), metadata, PatchJson(events=serializer.encode(events)))
    document.models.flush_synced(lambda model: not serializer.has_ref(model))
    message.add_buffers(*serializer.buffers)
    return message


def complete(write: Write) -> Write:
    """Panel's way to write the messages that wait, without its way to miss some."""

    async def write_all(document: Document) -> None:
        if panel.io.document._WRITE_MSGS.get(document):
            panel.io.document._WRITE_BLOCK[document] = True
        await write(document)

    return write_all


def install() -> None:
    """Have messages made, written and read as told above, in this process; once is enough."""
    patch_doc.create = classmethod(_create)
    bokeh.document.document.Deserializer = _Received
    panel.io.document._dispatch_msgs = complete(panel.io.document._dispatch_msgs)
