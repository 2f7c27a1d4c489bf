"""Names of a server: the address that people open, and the origins whose pages may connect to it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from pcmsim.errors import FieldError

LOOPBACK = ("localhost", "127.0.0.1", "::1")
EVERYWHERE = ("", "0.0.0.0", "::")
"""Hosts that stand for all addresses of this machine."""

ANY = "*"
PORTS = {"http": 80, "https": 443}
"""What a browser leaves out of an origin."""

EXPECTED = "an origin such as lab.example:80, https://lab.example or [fd00::1]:5006"


def netloc(host: str, port: int) -> str:
    """Host and port as addresses have them.

    Examples
    --------
    >>> netloc("localhost", 5006), netloc("::1", 5006)
    ('localhost:5006', '[::1]:5006')
    """
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def address(host: str, port: int, prefix: str = "") -> str:
    """The address of the first page, as this machine's own browser opens it.

    Parameters
    ----------
    host : str
        What the server listens on.
    port : int
        Its port.
    prefix : str
        Path below which everything is served, such as ``/lab``.

    Examples
    --------
    >>> address("0.0.0.0", 5006), address("::1", 5006, "/lab")
    ('http://localhost:5006/', 'http://[::1]:5006/lab/')
    """
    return f"http://{netloc('localhost' if host in EVERYWHERE else host, port)}{prefix}/"


@dataclass(frozen=True)
class Origin:
    """Origins that may connect.

    Parameters
    ----------
    host : str
        A name or an IP address; ``*`` stands for one of its labels, alone for every host.
    port : str
        A number; ``*`` for every port, empty for the usual one.
    scheme : str
        ``http`` or ``https``; empty for both.
    """

    host: str
    port: str = ""
    scheme: str = ""

    @classmethod
    def read(cls, option: str, text: str) -> Origin:
        """What an operator has named.

        Parameters
        ----------
        option : str
            The option of the command line.
        text : str
            Its value.

        Raises
        ------
        FieldError
            If it names no origin.

        Examples
        --------
        >>> Origin.read("--allow-origin", "https://Lab.example")
        Origin(host='lab.example', port='', scheme='https')
        """
        free = text.endswith(f":{ANY}")
        try:
            parts = urlsplit(text.removesuffix(f":{ANY}") if "//" in text else f"//{text.removesuffix(f':{ANY}')}")
            host, port = parts.hostname, ANY if free else str(parts.port or "")
        except ValueError as error:
            raise FieldError(option, EXPECTED, text) from error
        if not host or parts.scheme not in ("", *PORTS) or parts.path.strip("/") or parts.query or parts.username:
            raise FieldError(option, EXPECTED, text)
        return cls(host, port, parts.scheme)

    def admits(self, scheme: str, host: str, port: int) -> bool:
        """Whether an origin is one of these.

        Parameters
        ----------
        scheme : str
            ``http`` or ``https``.
        host : str
            Its name or address.
        port : int
            Its port.

        Examples
        --------
        >>> lab = Origin("lab.example", "80")
        >>> lab.admits("http", "lab.example", 80), lab.admits("https", "lab.example", 443)
        (True, True)
        >>> lab.admits("http", "lab.example.org", 80), Origin("*", "*").admits("http", "anywhere", 8000)
        (False, True)
        """
        return self.scheme in ("", scheme) and self._admits_port(scheme, port) and self._admits_host(host)

    def _admits_port(self, scheme: str, port: int) -> bool:
        """Port 80 without a scheme has always meant the usual one, of a proxy with a certificate too."""
        usual = not self.port or (self.port == "80" and not self.scheme)
        return self.port == ANY or port == (PORTS[scheme] if usual else int(self.port))

    def _admits_host(self, host: str) -> bool:
        labels, others = self.host.split("."), host.split(".")
        same = len(labels) == len(others) and all(
            one in (ANY, other) for one, other in zip(labels, others, strict=True)
        )
        return self.host == ANY or same

    def source(self) -> str:
        """As a browser's rules for frames have it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return (f"{self.scheme}://" if self.scheme else "") + host + (f":{self.port}" if self.port else "")


class Origins:
    """The names under which a server is known.

    Parameters
    ----------
    host : str
        What it listens on.
    port : int
        Its port.
    more : iterable of Origin
        Further ones, such as a proxy's.
    """

    def __init__(self, host: str, port: int, more: Iterable[Origin] = ()) -> None:
        self._known = (*(Origin(name, str(port)) for name in (host, *LOOPBACK)), *more)

    def allows(self, origin: str) -> bool:
        """Whether pages of an origin may connect."""
        parts = _parts(origin)
        return parts is not None and any(known.admits(*parts) for known in self._known)

    def knows(self, host: str) -> bool:
        """Whether a request's ``Host`` is a name of this server, with or without a certificate."""
        return any(self.allows(f"{scheme}://{host}") for scheme in PORTS)


def _parts(origin: str) -> tuple[str, str, int] | None:
    """Scheme, host and port of an origin; None if it is none."""
    try:
        parts = urlsplit(origin)
        return parts.scheme, parts.hostname or "", parts.port or PORTS[parts.scheme]
    except (ValueError, KeyError):
        return None
