"""From the worker's latest shot to the browser's pixels, no faster than the browser paints.

Neither Panel nor Bokeh holds back a server that is faster than the browser: pictures would queue
up and show the past. Here the browser acknowledges a frame after it has been painted, and no more
than two frames are ever on their way.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Hashable
from typing import Any

import panel as pn
from bokeh.document import Document
from bokeh.models import ColumnDataSource, CustomJS
from tornado.ioloop import PeriodicCallback

from app.delivery import let_go_of_others, promptly, soon, together

MOST_OUTSTANDING = 2
PATIENCE = 2.0
PERIOD_MS = 25
SPACING = 0.06
TURNS = 6
CALM, LEISURE = 0.15, 20.0
"""Seconds after which a page that has painted gets everything at once; the same in times that drawing it all takes."""

ANSWER = 0.25
"""Seconds after which a call for a frame is repeated."""

HOLD = 0.15
"""Seconds from a person's wish during which the browser is left free for the answer."""

REST = 0.5
"""Seconds without news after which the plots that had no turn are drawn, although more is to come."""

ACKNOWLEDGE = """
const number = cb_obj.data.frame[0], {port1, port2} = new MessageChannel()
port1.onmessage = () => { port1.close(); ack.data = {frame: [number]} }
requestAnimationFrame(() => port2.postMessage(null))
"""
"""Plots paint in an animation frame, in the order of asking; a message sent from there comes after the paint."""


class FrameGate:
    """Counts frames on their way to the screen.

    Parameters
    ----------
    most : int
        Frames that may be outstanding.
    spacing : float
        Seconds between two frames: faster is no smoother, and training needs the processor.
    patience : float
        Seconds after which an outstanding frame is given up: its acknowledgement was lost, or the
        tab is hidden.

    Examples
    --------
    >>> gate = FrameGate(most=1)
    >>> gate.send(now=0.0), gate.open(now=0.1)
    (1, False)
    >>> gate.acknowledge(1)
    >>> gate.open(now=0.2)
    True
    """

    def __init__(self, most: int = MOST_OUTSTANDING, spacing: float = SPACING, patience: float = PATIENCE) -> None:
        self.most, self.spacing, self.patience = most, spacing, patience
        self.sent = self.acknowledged = 0
        self._sent_at = -math.inf

    @property
    def outstanding(self) -> int:
        """Frames sent and not yet painted."""
        return self.sent - self.acknowledged

    def open(self, now: float, urgent: bool = False) -> bool:
        """Whether a frame may be sent at `now` [s]; an `urgent` one need not keep the distance."""
        return self.wait(now, urgent) <= 0.0

    def wait(self, now: float, urgent: bool = False) -> float:
        """Seconds from `now` [s] until a frame may be sent, unless one is acknowledged before."""
        distance = 0.0 if urgent else self.spacing
        return self._sent_at - now + (distance if self.outstanding < self.most else self.patience)

    def send(self, now: float) -> int:
        """Note that a frame leaves at `now` [s]; its number."""
        self.sent, self._sent_at = self.sent + 1, now
        return self.sent

    def acknowledge(self, number: int) -> None:
        """Note that frame `number`, and so all before it, are on the screen; unknown numbers are ignored."""
        if self.acknowledged < number <= self.sent:
            self.acknowledged = number


class Stream:
    """Sends frames of one browser session.

    Parameters
    ----------
    version : callable
        Version of what could be shown now.
    draw : callable
        Draws it. Gets the turn, 0 to 5: a slow plot is drawn only when it is its turn; or None:
        draw all of them. Returns columns that travel with the frame, such as the version of the
        configuration that it shows.
    answer : callable
        Version of what the person has asked for, as far as it could be shown now: news of it are urgent.
    more : callable
        Whether news are about to come.
    """

    def __init__(
        self,
        version: Callable[[], Hashable],
        draw: Callable[[int | None], dict[str, Any]],
        answer: Callable[[], Hashable] = lambda: None,
        more: Callable[[], bool] = lambda: False,
    ) -> None:
        self.gate = FrameGate()
        self.frames = ColumnDataSource({"frame": [0]}, name="frames")
        self.painted = ColumnDataSource({"frame": [0]}, name="painted")
        self.frames.js_on_change("data", CustomJS(args={"ack": self.painted}, code=ACKNOWLEDGE))
        self.painted.on_change("data", self._acknowledged)
        self._version, self._draw, self._answer, self._more = version, draw, answer, more
        self._answered: Hashable = None
        self._drawn: Hashable = None
        self._complete: Hashable = None
        self._drawn_at = self._painted_at = -math.inf
        self._effort = 0.0
        self._called = self._held_until = -math.inf
        self._ready = self._visited = False

    def start(self, document: Document) -> None:
        """Look for news regularly, on the server's loop; the document is locked only when there are any.

        Not by Panel's periodic callback, which would toggle the process-wide busy flag twice per tick, nor by
        Bokeh's, which locks the document each time: every open page pays for both.
        """
        self._document = document
        document.on_event("document_ready", self._connected)
        if _in_loop():
            looking = PeriodicCallback(self.look, PERIOD_MS)
            looking.start()
            document.on_session_destroyed(lambda _: looking.stop())

    @property
    def deserted(self) -> bool:
        """Whether a browser was here and has gone; it may come back after a lost connection."""
        return self._visited and self._document.session_context is not None and self._alone()

    def expect(self) -> None:
        """A person has asked for something: a frame that shows it should not meet a browser that paints another."""
        self._held_until = time.monotonic() + HOLD

    def poke(self) -> None:
        """Look for news soon; any thread may ask."""
        if self._ready:
            soon(self._document, self.tick)

    def look(self) -> None:
        """Have a frame sent if there is news and the browser has painted what it got."""
        if self._ready and self.deserted:
            self._forsaken()
        now = time.monotonic()
        if now - self._called > ANSWER and self._due(now):
            self._called = now
            soon(self._document, self.tick)

    def tick(self) -> None:
        """Send a frame if there is news and the browser has painted what it got."""
        now, version, self._called = time.monotonic(), self._version(), -math.inf
        if not self._due(now):
            return
        # Collected, not combined: combining loses range changes on the way to the browser.
        with together(self._document), pn.io.hold(self._document, policy="collect"):
            self._draw_frame(now, version)

    def _due(self, now: float) -> bool:
        return not self._nothing_new(self._version(), now) and self._may_send(now)

    def _nothing_new(self, version: Hashable, now: float) -> bool:
        if version == self._drawn and self._more() and now - self._drawn_at < REST:
            return True
        return version == self._complete

    def _may_send(self, now: float) -> bool:
        """Before the browser has the document, only until it asks for it: a change on the way is dropped there."""
        if self._ready:
            answer = self._answer() != self._answered
            return (answer or now >= self._held_until) and self.gate.open(now, urgent=answer)
        return not self._visited and self._alone()

    def _alone(self) -> bool:
        """Whether no browser is connected; without a server there never is one."""
        context = self._document.session_context
        return context is None or (context.session is not None and context.session.connection_count == 0)

    def _forsaken(self) -> None:
        """What was on its way is lost; whoever comes back asks for the whole document."""
        self._ready = False
        self.gate.acknowledge(self.gate.sent)

    def _draw_frame(self, now: float, version: Hashable) -> None:
        """Draw and number a frame; the number goes last, so that it is seen when all is there.

        Everything is drawn when nothing newer will come soon, or when the browser has had nothing to do for
        a while, or is yet to fetch the document; in a steady stream the slow plots take turns. Where
        many pages share a server, a while is longer: it is measured in the time that drawing everything takes.
        """
        rested = self.gate.outstanding == 0 and now - self._painted_at > max(CALM, LEISURE * self._effort)
        calm = not self._ready or version == self._drawn or rested
        self._held_until = -math.inf
        self._answered = self._answer()
        columns = self._draw(None if calm else self.gate.sent % TURNS)
        self._effort = time.monotonic() - now if calm else self._effort
        self._drawn, self._drawn_at = version, now
        self._complete = version if calm else self._complete
        self.frames.data = {"frame": [self.gate.send(now) if self._ready else 0], **columns}

    def _acknowledged(self, attr: str, old: Any, new: dict[str, list[int]]) -> None:
        self.gate.acknowledge(int(new["frame"][0]))
        self._painted_at = now = time.monotonic()
        if _in_loop():
            asyncio.get_running_loop().call_later(max(0.0, self.gate.wait(now)), self.look)

    def _connected(self, event: Any) -> None:
        """From here on the browser sees what is sent, and can acknowledge it."""
        let_go_of_others(self._document)
        promptly(self._document)
        self._forsaken()
        self._ready = self._visited = True
        self._drawn = self._complete = None
        self._painted_at = -math.inf


def _in_loop() -> bool:
    """Whether a loop runs here: without one, there is no browser."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
