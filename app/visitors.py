"""Who may have a live session: a cap on them, and what the person behind the last place gets to read."""

from __future__ import annotations

import contextlib
import ipaddress
import threading
from collections.abc import Mapping

import panel as pn
from bokeh.document import Document
from bokeh.models import CustomJS

from app import theme
from app.server.limits import MOST_SESSIONS
from pcmsim.errors import FieldError

SPARE = 12
"""Pages that may be on their way beside one for each place: who reloads a page finds the earlier session again."""


class Guest:
    """Somebody with a place, who stays.

    Parameters
    ----------
    address : str
        Where the browser is.
    """

    def __init__(self, address: str = "") -> None:
        self.address = address

    def away(self) -> float | None:
        """Seconds since the browser has gone; None while it is there, or yet to come."""
        return None

    def leave(self) -> None:
        """End it: somebody else gets the place."""


class Visitors:
    """Counts the live sessions of a server process; any thread may ask.

    A page that is asked for is expected, which costs nobody a place; the place is taken when its browser connects.

    Parameters
    ----------
    most : int
        Sessions that may live at the same time.
    per_address : int
        Those of one address; 0 stands for a `share`.

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

    def __init__(self, most: int = MOST_SESSIONS, per_address: int = 0) -> None:
        if most < 1:
            raise FieldError("Visitors.most", ">= 1", most)
        self.most, self._per_address = most, per_address
        self._inside: dict[str, Guest] = {}
        self._expected: dict[str, Guest] = {}
        self._lock = threading.Lock()

    @property
    def live(self) -> int:
        """Sessions that hold a place."""
        return len(self._inside)

    def expect(self, key: str, guest: Guest | None = None) -> bool:
        """Whether a session may have a page: there is or can be a place, and not too many are on their way.

        Parameters
        ----------
        key : str
            Identity of the session.
        guest : Guest, optional
            As for `admit`.
        """
        guest = guest or Guest()
        with self._lock:
            coming = _of(guest.address, self._expected)
            few = len(self._expected) < self.most + SPARE and coming < self.limit(guest.address) + SPARE // 2
            expected = few and self._free() and self.here(guest.address) < self.limit(guest.address)
            if expected:
                self._expected[key] = guest
            return expected

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
        guest = guest or Guest()
        with self._lock:
            if key not in self._inside and self.here(guest.address) >= self.limit(guest.address):
                return False
            if key not in self._inside and len(self._inside) >= self.most:
                self._make_room()
            admitted = key in self._inside or len(self._inside) < self.most
            if admitted:
                self._inside[key] = guest
                self._expected.pop(key, None)
            return admitted

    def here(self, address: str) -> int:
        """Sessions of one address that hold a place; those that are away would leave."""
        return _of(address, self._inside)

    def limit(self, address: str) -> int:
        """Places that one address may have."""
        return self._per_address or share(address, self.most)

    def _free(self) -> bool:
        return len(self._inside) < self.most or any(one.away() is not None for one in self._inside.values())

    def _make_room(self) -> None:
        away = {key: seconds for key, guest in self._inside.items() if (seconds := guest.away()) is not None}
        if away:
            self._inside.pop(max(away, key=away.__getitem__)).leave()

    def release(self, key: str) -> None:
        """Take a session's place back; without one nothing happens."""
        with self._lock:
            self._inside.pop(key, None)
            self._expected.pop(key, None)

    def awaits(self, document: Document) -> bool:
        """`expect` the session of a served document; when it is destroyed, nothing of it is left here.

        A refused page tries once more by itself if it was reloaded, see `RETRY`.
        """
        key = document.session_context.id
        expected = self.expect(key, _Session(document))
        if expected:
            document.on_session_destroyed(lambda _: self.release(key))
        else:
            document.js_on_event("document_ready", CustomJS(code=RETRY))
        return expected

    def refused(self, document: Document) -> pn.pane.HTML:
        """What the person sees whose session was not expected."""
        address = _Session(document).address
        here, limit = self.here(address), self.limit(address)
        own = here >= limit and len(self._inside) < self.most
        return full_page(here, limit, OWN) if own else full_page(self.live, self.most)

    def welcome(self, document: Document) -> bool:
        """`admit` the session of a served document, now that its browser has connected.

        While it has the place, a session whose browser has gone is kept, and leaves when somebody needs its place.
        """
        key = document.session_context.id
        guest = _Session(document)
        guest.connected = True
        return self.admit(key, guest)


def _of(address: str, guests: Mapping[str, Guest]) -> int:
    return sum(one.address == address and one.away() is None for one in guests.values())


def share(address: str, most: int) -> int:
    """Places that one address may have, where an operator has said nothing.

    Parameters
    ----------
    address : str
        Of a browser; all of this machine's own are one person's, or a proxy's.
    most : int
        Places of all.

    Examples
    --------
    >>> share("192.0.2.7", 12), share("::1", 12), share("192.0.2.7", 1)
    (8, 12, 1)
    """
    with contextlib.suppress(ValueError):
        if not ipaddress.ip_address(address).is_loopback:
            return max(1, most * 2 // 3)
    return most


class _Session(Guest):
    """A session as a guest."""

    def __init__(self, document: Document) -> None:
        self._context = document.session_context
        super().__init__(getattr(getattr(self._context, "request", None), "remote_ip", None) or "")
        self.connected = False

    def away(self) -> float | None:
        """Seconds since its last connection was lost."""
        session = self._context.session
        gone = self.connected and session is not None and session.connection_count == 0
        return session.milliseconds_since_last_unsubscribe / 1e3 if gone else None

    def leave(self) -> None:
        """Have it end at the server's next look."""
        self._context.session.request_expiration()


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


def full_page(live: int, most: int, whose: str = "") -> pn.pane.HTML:
    """What a visitor sees who finds no place.

    Parameters
    ----------
    live, most : int
        Sessions that run, and that may run.
    whose : str
        Which of them are meant, such as `OWN`; all without it.
    """
    run = f"{'session' if live == 1 else 'sessions'}{whose} {'runs' if live == 1 else 'run'}"
    wait = "close a tab that is no longer needed, or try again in a minute."
    return notice("Every place is taken", f"{live} live {run} on this server and the limit is {most}: {wait}")


OWN = " of your address"


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
