"""Who may come in: whoever has the token of the address that was printed, or, where an operator says so, everybody.

A browser brings the token once, in the address or typed in, and gets a cookie that scripts cannot read. Programs
bring it with each request, as ``Authorization: token ...``.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Mapping
from typing import Protocol

from tornado.httputil import HTTPServerRequest

from app.server.origins import Origins
from pcmsim.errors import FieldError

VARIABLE = "PCMLAB_TOKEN"
SHAPE = re.compile(r"[A-Za-z0-9._~-]{8,200}")
EXPECTED = "8 to 200 letters, digits, and - . _ ~"
SCHEMES = ("token", "bearer")


def asked(given: str | None, environment: Mapping[str, str] = os.environ) -> str:
    """The token from the command line, else from the environment, else a new one.

    Parameters
    ----------
    given : str or None
        Value of ``--token``; None asks ``PCMLAB_TOKEN``.
    environment : mapping of str to str
        The environment.

    Raises
    ------
    FieldError
        If it is too short to be a secret, or would not fit into an address.
    """
    source, text = ("--token", given) if given is not None else (VARIABLE, environment.get(VARIABLE, "").strip())
    if not text and given is None:
        return secrets.token_urlsafe(24)
    if not SHAPE.fullmatch(text):
        # The value stays unsaid: it may be a good part of a secret, and messages are kept.
        raise FieldError(source, EXPECTED, f"{len(text)} characters")
    return text


class Key(Protocol):
    """What opens the door."""

    def opens(self, request: HTTPServerRequest) -> bool:
        """Whether a request may come in."""

    def matches(self, text: str) -> bool:
        """Whether somebody who brings this text may come in from now on."""

    def query(self) -> str:
        """What the printed address holds of it."""

    @property
    def cookie(self) -> tuple[str, str]:
        """Name and value of the cookie by which a browser that has come in is known."""


class Token:
    """A secret.

    Parameters
    ----------
    text : str
        The secret.
    port : int
        Port of the server: browsers send the cookies of one port to all ports of a machine.
    """

    def __init__(self, text: str, port: int) -> None:
        self._text, self._name = text, f"pcmlab-{port}"
        self._seal = hmac.new(text.encode(), b"cookie", hashlib.sha256).hexdigest()

    @property
    def cookie(self) -> tuple[str, str]:
        """Its value proves the token without holding it."""
        return self._name, self._seal

    def opens(self, request: HTTPServerRequest) -> bool:
        """By the cookie or the header."""
        morsel = request.cookies.get(self._name)
        scheme, _, text = request.headers.get("Authorization", "").partition(" ")
        brought = scheme.lower() in SCHEMES and self.matches(text.strip())
        return brought or (morsel is not None and _same(morsel.value, self._seal))

    def matches(self, text: str) -> bool:
        """Takes as long wherever the two differ."""
        return _same(text, self._text)

    def query(self) -> str:
        """With a question mark."""
        return f"?token={self._text}"


class Anybody:
    """No secret; but a request has to use a name of this server.

    A website could else have its own name lead to this machine, and read the pages as if they were its own.

    Parameters
    ----------
    origins : Origins
        The names.
    """

    cookie = ("", "")

    def __init__(self, origins: Origins) -> None:
        self._origins = origins

    def opens(self, request: HTTPServerRequest) -> bool:
        """By the name that it uses."""
        return self._origins.knows(request.host)

    def matches(self, text: str) -> bool:
        """Nobody needs a token; whoever has an old address with one is led on."""
        return True

    def query(self) -> str:
        """Nothing."""
        return ""


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode("utf-8", "surrogatepass"), other.encode())
