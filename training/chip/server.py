"""A chip as a server of its own: the calls over gRPC, bytes in and bytes out."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any

from pcmsim.errors import FieldError, PCMLabError
from pcmsim.foundation.quoting import quoted
from training.chip import wire
from training.chip.base import CALLS, PROTOCOL, Chip, ChipError
from training.chip.extra import grpc

SERVICE = "pcmlab.Chip"
MESSAGE_LIMIT = 64 * 2**20
"""Largest request [bytes]."""

STANDING = ("mvm", "read", "wait")
"""Calls that hold only where their caller believes the chip to stand; programs say it by their number."""


class ChipServer:
    """Serves a chip, one call at a time.

    Parameters
    ----------
    chip : Chip
        Any chip.
    token : str
        Who calls must show it.
    host, port : str, int
        Where to listen; port 0 takes a free one. The link is not encrypted: beyond the own machine, use a tunnel.
    limit : int
        Largest request [bytes].

    Attributes
    ----------
    address : str
        ``host:port`` that it listens on.

    Raises
    ------
    PCMLabError
        If it cannot listen there.
    """

    def __init__(
        self, chip: Chip, token: str, *, host: str = "127.0.0.1", port: int = 0, limit: int = MESSAGE_LIMIT
    ) -> None:
        self._chip, self._token, self._number = chip, token.encode(), chip.info().number
        options = [
            ("grpc.max_receive_message_length", limit),
            ("grpc.max_send_message_length", -1),
            ("grpc.so_reuseport", 0),
        ]
        self._server = grpc.server(ThreadPoolExecutor(max_workers=1), options=options)
        handlers = {call: _method(self, call) for call in CALLS}
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
        try:
            self.address = f"{host}:{self._server.add_insecure_port(f'{host}:{port}')}"
        except RuntimeError as error:
            raise PCMLabError(f"port: cannot listen on {host}:{port}; expected a free one") from error
        self._server.start()

    def __enter__(self) -> ChipServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def wait(self) -> None:
        """Until it is stopped."""
        self._server.wait_for_termination()

    def stop(self) -> None:
        """Finish the present call and listen no more."""
        self._server.stop(grace=5.0).wait()

    def answer(self, call: str, request: bytes, context: grpc.ServicerContext) -> bytes:
        """The answer to a request, or an error of the protocol."""
        try:
            self._admit({key: value for key, value in context.invocation_metadata()})
            return wire.pack(self._carried_out(call, *_parts(request)))
        except PermissionError as refused:
            code, said = grpc.StatusCode.UNAUTHENTICATED, str(refused)
        except PCMLabError as refused:
            code, said = grpc.StatusCode.INVALID_ARGUMENT, str(refused)
        except Exception as failed:  # of a lab's own adapter: the caller must know, and the server goes on
            code, said = grpc.StatusCode.INTERNAL, f"{call}: the chip failed with {type(failed).__name__}: {failed}"
        context.abort(code, said[:2000])
        raise AssertionError("abort raises")

    def _admit(self, metadata: Mapping[str, str | bytes]) -> None:
        shown = metadata.get("authorization", "")
        if not hmac.compare_digest(shown if isinstance(shown, bytes) else shown.encode(), b"Bearer " + self._token):
            raise PermissionError("token: expected the one that the chip's server was started with, got another")
        version = metadata.get("pcmlab-protocol")
        if version != str(PROTOCOL):
            raise ChipError(f"protocol: expected version {PROTOCOL}, got {quoted(version)}")

    def _carried_out(self, call: str, standing: Any, arguments: list[Any]) -> Any:
        if call in STANDING and standing != self._number:
            known = "where the chip stands; another run programs it, or it was started again without its log"
            raise FieldError("number", f"{self._number}, {known}", standing)
        found = getattr(self._chip, call)(*arguments)
        if call == "program":
            self._number = found
        return found


def _method(server: ChipServer, call: str) -> Any:
    return grpc.unary_unary_rpc_method_handler(lambda request, context: server.answer(call, request, context))


def _parts(request: bytes) -> tuple[Any, list[Any]]:
    parts = wire.unpack(request)
    if not (isinstance(parts, list) and len(parts) == 2 and isinstance(parts[1], list)):
        raise ChipError("message: expected the number of the last program and the call's arguments")
    return parts[0], parts[1]
