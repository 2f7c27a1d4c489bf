"""What an operator says of who may come in, and from where."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from app.server import token
from app.server.gate import Guard
from app.server.origins import Origin, Origins
from app.server.plain import Answer, Entrance, refusal
from app.server.proxies import Proxies
from app.server.token import Anybody, Key, Token
from pcmsim.errors import FieldError, PCMLabError

PREFIX = re.compile(r"(/[A-Za-z0-9._~-]+)*")
OTHER_NAME = (
    "This server does not know the name by which it was reached. Open the address that it has printed, or have it "
    "started with --allow-origin and this name."
)


@dataclass(frozen=True)
class Access:
    """Who may come in.

    Parameters
    ----------
    token : str
        The secret; empty for a server that asks for none.
    origins : tuple of Origin
        Whose pages may connect, beside the server's own.
    embedding : tuple of Origin
        Whose pages may show ours in a frame.
    prefix : str
        Path below which everything is served; empty or such as ``/lab``.
    proxies : Proxies
        Who may say whom a request comes from.
    """

    token: str
    origins: tuple[Origin, ...] = ()
    embedding: tuple[Origin, ...] = ()
    prefix: str = ""
    proxies: Proxies = field(default_factory=Proxies)

    @classmethod
    def asked(
        cls,
        given: str | None = None,
        *,
        no_token: bool = False,
        origins: Iterable[str] | None = None,
        embedding: Iterable[str] | None = None,
        prefix: str = "",
        proxies: Iterable[str] | None = None,
    ) -> Access:
        """From the command line.

        Parameters
        ----------
        given : str, optional
            Value of ``--token``; else ``PCMLAB_TOKEN``, else a new one.
        no_token : bool
            Whether none is asked for.
        origins, embedding : iterable of str, optional
            Values of ``--allow-origin`` and ``--allow-embed``.
        prefix : str
            Value of ``--prefix``.
        proxies : iterable of str, optional
            Values of ``--trusted-proxy``.

        Raises
        ------
        PCMLabError
            If a value is none of its kind, or there is a token that nobody is to be asked for.
        """
        if no_token and given is not None:
            raise PCMLabError("serve: --token and --no-token exclude each other; give one of them")
        path = "/" + prefix.strip("/") if prefix.strip("/") else ""
        if not PREFIX.fullmatch(path):
            raise FieldError("--prefix", "a path such as /lab", prefix)
        return cls(
            "" if no_token else token.asked(given),
            tuple(Origin.read("--allow-origin", text) for text in origins or ()),
            tuple(Origin.read("--allow-embed", text) for text in embedding or ()),
            path,
            Proxies(proxies or ()),
        )

    def key(self, host: str, port: int) -> Key:
        """What opens the door of a server.

        Parameters
        ----------
        host : str
            What it listens on.
        port : int
            Its port.
        """
        return Token(self.token, port) if self.token else Anybody(Origins(host, port, self.origins))

    def guard(self, key: Key, origins: Origins, secret: bytes) -> Guard:
        """What is asked of requests.

        Parameters
        ----------
        key : Key
            From `key`.
        origins : Origins
            Whose pages may connect.
        secret : bytes
            Signs the sessions.
        """
        asking = Answer(Entrance, {"key": key}) if self.token else refusal(403, "Another name", OTHER_NAME)
        return Guard(key, origins, asking, secret, framed=bool(self.embedding))
