"""Headers of every answer, also of refusals and of files."""

from __future__ import annotations

from collections.abc import Iterable

from tornado.httputil import HTTPHeaders, HTTPServerRequest
from tornado.web import OutputTransform

from app.server.origins import Origin

PROTECTING = {
    "X-Content-Type-Options": "nosniff",
    # An address holds a run's settings, once a token: other sites learn neither.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
POLICY = "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors "
UNNAMED = "Server"
"""Says which versions run here; nobody needs that."""


def protecting(embedding: Iterable[Origin]) -> dict[str, str]:
    """The headers of a server.

    Parameters
    ----------
    embedding : iterable of Origin
        Whose pages may show ours in a frame.

    Examples
    --------
    >>> protecting([])["X-Frame-Options"]
    'DENY'
    >>> protecting([Origin("course.example", scheme="https")])["Content-Security-Policy"][-45:]
    "frame-ancestors 'self' https://course.example"
    """
    frames = [origin.source() for origin in embedding]
    if not frames:
        return {**PROTECTING, "X-Frame-Options": "DENY", "Content-Security-Policy": f"{POLICY}'none'"}
    return {**PROTECTING, "Content-Security-Policy": f"{POLICY}'self' {' '.join(frames)}"}


def dressing(headers: dict[str, str]) -> type[OutputTransform]:
    """What Tornado applies to each answer, see ``tornado.web.Application``: it gets these headers."""

    class Dressed(OutputTransform):
        def __init__(self, request: HTTPServerRequest) -> None:
            """Nothing depends on the request."""

        def transform_first_chunk(
            self, status_code: int, answered: HTTPHeaders, chunk: bytes, finishing: bool
        ) -> tuple[int, HTTPHeaders, bytes]:
            """Put them beside what the handler has set."""
            answered.pop(UNNAMED, None)
            for name, value in headers.items():
                answered[name] = value
            return status_code, answered, chunk

    return Dressed
