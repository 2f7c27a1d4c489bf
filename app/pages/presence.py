"""A person at a page: a run that nobody watches pauses, and goes on when its browser is back."""

from __future__ import annotations

from collections.abc import Callable

from bokeh.document import Document

from app.attention import Attention
from app.stream import Stream


class Presence:
    """Pauses what a page runs, and says why; asked about once a second.

    Parameters
    ----------
    stream : Stream
        Knows whether a browser is connected.
    attention : Attention
        Knows whether somebody looks.
    pause, resume : callable
        Pause what runs, and have it go on.
    say : callable
        Tells the person why it was paused.
    """

    def __init__(
        self,
        stream: Stream,
        attention: Attention,
        pause: Callable[[], None],
        resume: Callable[[], None],
        say: Callable[[str], None],
    ) -> None:
        self._stream, self._attention = stream, attention
        self._pause, self._resume, self._say = pause, resume, say
        self._deserted, self._reason = False, ""

    def attach(self, document: Document) -> None:
        """Notice each browser that comes."""
        document.on_event("document_ready", lambda _: self._came())

    def attend(self, running: bool, outstanding: bool) -> None:
        """Pause what runs if nobody watches, and have it go on if its browser has come back.

        Parameters
        ----------
        running : bool
            Whether it runs.
        outstanding : bool
            See `app.attention.Attention.reason`.
        """
        self._reason = "" if running else self._reason
        if self._stream.deserted:
            self._desert(running)
        elif self._deserted:
            self._deserted = False
            self._resume()
        elif reason := self._attention.reason(running, outstanding):
            self._reason = reason
            self._pause()
            self._say(reason)

    def _desert(self, running: bool) -> None:
        """A closed tab trains no more; a browser that has lost its connection finds the run as it left it."""
        if running:
            self._deserted = True
            self._pause()

    def _came(self) -> None:
        """A machine that slept took no frames, as a hidden tab; any other reason is said again to who missed it."""
        reason, self._reason = self._reason, ""
        if reason == self._attention.hidden_words:
            self._resume()
        elif reason:
            self._say(reason)
