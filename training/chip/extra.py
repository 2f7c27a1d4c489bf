"""What a chip behind a server needs beyond the rest of pcmlab: gRPC and msgpack."""

from __future__ import annotations

from pcmsim.errors import PCMLabError

try:
    import grpc
    import msgpack
except ImportError as error:  # an extra, because most people simulate
    raise PCMLabError(
        "chip: expected grpcio and msgpack installed (pip install 'pcmlab[chip]'), got neither"
    ) from error

__all__ = ["grpc", "msgpack"]
