"""Whom a request comes from: the peer, or, of a proxy that the operator has named, whom that one says."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from tornado.httputil import HTTPServerRequest

from pcmsim.errors import FieldError

FORWARDED, SCHEME = "X-Forwarded-For", "X-Forwarded-Proto"
SCHEMES = ("http", "https")
OPTION = "--trusted-proxy"


class Proxies:
    """The proxies of a server.

    Parameters
    ----------
    addresses : iterable of str
        IP addresses or networks from which they come.

    Raises
    ------
    FieldError
        If one is none.
    """

    def __init__(self, addresses: Iterable[str] = ()) -> None:
        self._networks = tuple(map(_network, addresses))

    def reveal(self, request: HTTPServerRequest) -> None:
        """Have a request tell whom it comes from and how; what anybody else says of that is left aside."""
        if not self._ours(request.remote_ip):
            return
        hops = [hop.strip() for hop in ",".join(request.headers.get_list(FORWARDED)).split(",")]
        request.remote_ip = next((hop for hop in reversed(hops) if hop and not self._ours(hop)), request.remote_ip)
        scheme = request.headers.get(SCHEME, "").strip().lower()
        request.protocol = scheme if scheme in SCHEMES else request.protocol

    def _ours(self, address: str | None) -> bool:
        try:
            known = ipaddress.ip_address(address or "")
        except ValueError:
            return False
        return any(known in network for network in self._networks)


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError as error:
        raise FieldError(OPTION, "an IP address or a network such as 10.0.0.0/24", text) from error
