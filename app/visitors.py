"""Who may have a live session: a cap on them, and what the person behind the last place gets to read."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import panel as pn
from bokeh.document import Document
from bokeh.models import CustomJS

from app import theme
from app.attention import IDLE_MINUTES
from pcmsim.errors import FieldError

MOST_SESSIONS = 12
KEEP_MINUTES = 5.0
LARGEST = 1000


@dataclass(frozen=True)
class Limits:
    """What one server process grants its visitors.

    Parameters
    ----------
    sessions : int
        Live sessions at the same time.
    idle : float
        Minutes without a key or a click after which a run pauses; 0 is never.
    keep : float
        Minutes, at least half of one, for which a session waits for a browser that has gone.
    """

    sessions: int = MOST_SESSIONS
    idle: float = IDLE_MINUTES
    keep: float = KEEP_MINUTES

    @classmethod
    def asked(
        cls,
        sessions: object = None,
        idle: object = None,
        keep: object = None,
        environment: Mapping[str, str] = os.environ,
    ) -> Limits:
        """From the command line, else from the environment, else the defaults.

        Parameters
        ----------
        sessions : object
            Value of ``--max-sessions``, a number or its text; None asks ``PCMLAB_MAX_SESSIONS``.
        idle : object
            Value of ``--idle-minutes``; None asks ``PCMLAB_IDLE_MINUTES``.
        keep : object
            Value of ``--keep-minutes``; None asks ``PCMLAB_KEEP_MINUTES``.
        environment : mapping of str to str
            The environment.

        Raises
        ------
        FieldError
            If a value is not a number in its range; names the option or the variable.
        """
        return cls(
            int(_SESSIONS.value(sessions, environment)),
            _IDLE.value(idle, environment),
            _KEEP.value(keep, environment),
        )


@dataclass(frozen=True)
class _Option:
    """A number that the command line or the environment may give."""

    flag: str
    variable: str
    default: float
    expected: str
    read: Callable[[str], float]

    def value(self, given: object, environment: Mapping[str, str]) -> float:
        if given is not None:
            return self._number(self.flag, given)
        text = environment.get(self.variable, "").strip()
        return self._number(self.variable, text) if text else self.default

    def _number(self, source: str, given: object) -> float:
        try:
            return self.read(str(given))
        except ValueError as error:
            raise FieldError(source, self.expected, given) from error


def _count(text: str) -> int:
    number = int(text)
    if not 1 <= number <= LARGEST:
        raise ValueError(text)
    return number


def _minutes(text: str) -> float:
    number = float(text)
    if not (math.isfinite(number) and number >= 0.0):
        raise ValueError(text)
    return number


_SESSIONS = _Option(
    "--max-sessions", "PCMLAB_MAX_SESSIONS", MOST_SESSIONS, f"a whole number from 1 to {LARGEST}", _count
)
_IDLE = _Option("--idle-minutes", "PCMLAB_IDLE_MINUTES", IDLE_MINUTES, "a number of minutes >= 0", _minutes)
_KEEP = _Option("--keep-minutes", "PCMLAB_KEEP_MINUTES", KEEP_MINUTES, "a number of minutes >= 0", _minutes)


class Guest:
    """Somebody with a place, who stays."""

    def away(self) -> float | None:
        """Seconds since the browser has gone; None while it is there, or yet to come."""
        return None

    def leave(self) -> None:
        """End it: somebody else gets the place."""


class Visitors:
    """Counts the live sessions of a server process; any thread may ask.

    Parameters
    ----------
    most : int
        Sessions that may live at the same time.

    Raises
    ------
    FieldError
        If `most` is below 1.

    Examples
    --------
    >>> visitors = Visitors(most=1)
    >>> visitors.admit("first"), visitors.admit("second")
    (True, False)
    >>> visitors.release("first")
    >>> visitors.admit("second")
    True
    """

    def __init__(self, most: int = MOST_SESSIONS) -> None:
        if most < 1:
            raise FieldError("Visitors.most", ">= 1", most)
        self.most = most
        self._inside: dict[str, Guest] = {}
        self._lock = threading.Lock()

    @property
    def live(self) -> int:
        """Sessions that hold a place."""
        return len(self._inside)

    def admit(self, key: str, guest: Guest | None = None) -> bool:
        """Give a session a place, if there is one; a session that has a place keeps it.

        Parameters
        ----------
        key : str
            Identity of the session.
        guest : Guest, optional
            Asked when a later session finds no place: the one whose browser has been away for longest leaves.
            It must answer at once and must not call this object.

        Returns
        -------
        bool
            Whether the session has a place.
        """
        with self._lock:
            if key not in self._inside and len(self._inside) >= self.most:
                self._make_room()
            admitted = key in self._inside or len(self._inside) < self.most
            if admitted:
                self._inside[key] = guest or Guest()
            return admitted

    def _make_room(self) -> None:
        away = {key: seconds for key, guest in self._inside.items() if (seconds := guest.away()) is not None}
        if away:
            self._inside.pop(max(away, key=away.__getitem__)).leave()

    def release(self, key: str) -> None:
        """Take a session's place back; without one nothing happens."""
        with self._lock:
            self._inside.pop(key, None)

    def welcome(self, document: Document) -> bool:
        """`admit` the session of a served document; its place is free again when the session is destroyed.

        Until then a session whose browser has connected and gone is kept, and leaves when somebody needs its place.
        A refused page tries once more by itself if it was reloaded, see `RETRY`.
        """
        key = document.session_context.id
        admitted = self.admit(key, _Session(document))
        if admitted:
            document.on_session_destroyed(lambda _: self.release(key))
        else:
            document.js_on_event("document_ready", CustomJS(code=RETRY))
        return admitted


class _Session(Guest):
    """A session as a guest."""

    def __init__(self, document: Document) -> None:
        self._context = document.session_context
        self._connected = False
        document.on_event("document_ready", self._arrived)

    def away(self) -> float | None:
        """Seconds since its last connection was lost."""
        session = self._context.session
        gone = self._connected and session is not None and session.connection_count == 0
        return session.milliseconds_since_last_unsubscribe / 1e3 if gone else None

    def leave(self) -> None:
        """Have it end at the server's next look."""
        self._context.session.request_expiration()

    def _arrived(self, _: Any) -> None:
        self._connected = True


FULL_STYLE = f"""
.full {{ position: fixed; inset: 0; display: grid; place-content: center; padding: 2em; line-height: 1.5;
  font-family: {theme.FONT}; background: #f2f4f6; color: {theme.LIGHT.text} }}
.full > * {{ max-width: 34em }}
.full h1 {{ font-size: 20px; font-weight: 500; margin: 0 0 .6em }}
.full p {{ font-size: 14px; margin: 0 0 1.2em }}
.full a {{ font-size: 14px; font-weight: 500; color: {theme.LIGHT.plus} }}
@media (prefers-color-scheme: dark) {{
  .full {{ background: #10171e; color: {theme.DARK.text} }}
  .full a {{ color: {theme.DARK.plus} }}
}}
"""
RETRY = """
const last = Number(sessionStorage.getItem('pcmlab-retry'))
if (performance.getEntriesByType('navigation')[0]?.type === 'reload' && Date.now() - last > 10000) {
  sessionStorage.setItem('pcmlab-retry', Date.now())
  setTimeout(() => location.reload(), 1000)
}
"""
"""One more try by itself: a page that reloads asks for its new place before it gives up the old one."""


def taken(live: int, most: int) -> str:
    """A sentence that says that there is no place."""
    run = "session runs" if live == 1 else "sessions run"
    return f"{live} live {run} on this server and the limit is {most}."


def full_page(live: int, most: int) -> pn.pane.HTML:
    """What a visitor sees who finds no place.

    Parameters
    ----------
    live, most : int
        Sessions that run, and that may run.
    """
    wait = "close a tab that is no longer needed, or try again in a minute."
    return notice("Every place is taken", f"{taken(live, most)[:-1]}: {wait}")


def notice(title: str, sentence: str) -> pn.pane.HTML:
    """What a visitor sees in the place of a page.

    Parameters
    ----------
    title, sentence : str
        HTML.
    """
    return pn.pane.HTML(
        f'<main class="full"><h1>{title}</h1><p>{sentence}</p><a href="">Try again</a></main>', stylesheets=[FULL_STYLE]
    )
