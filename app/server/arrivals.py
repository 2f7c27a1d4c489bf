"""When a browser's connection opens: only then a session takes a place, and begins what costs a processor."""

from __future__ import annotations

from collections.abc import Callable

from bokeh.document import Document
from tornado.ioloop import PeriodicCallback

LOOK_MS = 20
"""To look costs nothing, and the browser needs longer to read the page that it gets next."""


def once_connected(document: Document, call: Callable[[], None]) -> None:
    """Have something done, with the document locked, when the first browser has connected.

    A word of the browser itself would come too late, when the page is drawn, or not at all.

    Parameters
    ----------
    document : bokeh.document.Document
        The document of a served session.
    call : callable
        What to do.
    """
    context = document.session_context

    def look() -> None:
        if context.session is not None and context.session.connection_count > 0:
            looking.stop()
            document.add_next_tick_callback(call)

    looking = PeriodicCallback(look, LOOK_MS)
    looking.start()
    document.on_session_destroyed(lambda _: looking.stop())
