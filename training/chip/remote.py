"""A chip behind a server, and patience with one that does not answer."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any, TypeVar

from pcmsim.errors import FieldError
from pcmsim.plan import Plan
from training.chip import wire
from training.chip.base import CALLS, PROTOCOL, Chip, ChipError, ChipInfo, ChipLostError, LayerRead
from training.chip.checks import LARGEST_ANSWER
from training.chip.extra import grpc
from training.interrupts import asked_to_end
from training.neurons import Floats
from training.spikes import Spikes

LOST = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED)
FIRST_PAUSE, LONGEST_PAUSE = 0.02, 2.0
OPTIONS = [
    ("grpc.max_receive_message_length", LARGEST_ANSWER + 2**20),
    ("grpc.max_send_message_length", -1),
    ("grpc.enable_http_proxy", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
]
Answer = TypeVar("Answer")


class RemoteChip(Chip):
    """A chip behind a server.

    A call that gets no answer is repeated. A run that meets `ChipLostError` stops inside a trial and cannot go on;
    one that is to wait for the server, however long, goes through a `PatientChip`.

    Parameters
    ----------
    address : str
        ``host:port``.
    token : str
        The server's.
    patience : float
        How long a call is repeated before the chip counts as lost [s].
    deadline : float
        How long one attempt may take [s].

    Raises
    ------
    FieldError
        If the address is not one.
    """

    def __init__(self, address: str, token: str, *, patience: float = 10.0, deadline: float = 60.0) -> None:
        if not re.fullmatch(r"[^\s/]+:\d{1,5}", address):
            raise FieldError("chip", "an address like localhost:5700", address)
        if not re.fullmatch(r"[\x21-\x7e]+", token):
            raise FieldError("token", "printable characters without spaces", "others")
        self.address, self._patience, self._deadline, self._number = address, patience, deadline, 0
        self._channel = grpc.insecure_channel(address, options=OPTIONS)
        self._methods = {call: self._channel.unary_unary(f"/pcmlab.Chip/{call}", bytes, bytes) for call in CALLS}
        self._metadata = (("authorization", f"Bearer {token}"), ("pcmlab-protocol", str(PROTOCOL)))

    def info(self) -> ChipInfo:
        """See `Chip.info`."""
        found: ChipInfo = self._exchange("info")
        self._number = found.number
        return found

    def program(self, layer: str, plan: Plan, now: float, key: int, number: int) -> int:
        """See `Chip.program`."""
        self._number = int(self._exchange("program", layer, plan, now, key, number))
        return self._number

    def mvm(self, layer: str, rows: Spikes, first: int, now: float, key: int) -> Floats:
        """See `Chip.mvm`."""
        sums: Floats = self._exchange("mvm", layer, rows, first, now, key)
        return sums

    def read(self, layer: str, now: float) -> LayerRead:
        """See `Chip.read`."""
        found: LayerRead = self._exchange("read", layer, now)
        return found

    def clock(self) -> float:
        """See `Chip.clock`."""
        return float(self._exchange("clock"))

    def wait(self, until: float) -> float:
        """See `Chip.wait`."""
        return float(self._exchange("wait", until))

    def close(self) -> None:
        """Hang up."""
        self._channel.close()

    def _exchange(self, call: str, *arguments: Any) -> Any:
        request, began, pause = wire.pack([self._number, list(arguments)]), time.monotonic(), FIRST_PAUSE
        while True:
            try:
                return wire.unpack(self._methods[call](request, timeout=self._deadline, metadata=self._metadata))
            except grpc.RpcError as error:
                self._judge(call, len(request), error, time.monotonic() - began + pause)
            time.sleep(pause)
            pause = min(2.0 * pause, LONGEST_PAUSE)

    def _judge(self, call: str, size: int, error: grpc.RpcError, waited: float) -> None:
        """Raise unless the call is worth another try."""
        code, said = error.code(), error.details()
        if code in LOST and waited <= self._patience:
            return
        if code in LOST:
            raise ChipLostError(
                f"chip at {self.address}: does not answer ({said}); expected its server there"
            ) from error
        if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
            said = f"{call}: expected a message of at most the server's limit, got {size} bytes ({said})"
        if code is grpc.StatusCode.UNIMPLEMENTED:
            said = f"{call}: expected a server of pcmlab chip, got another ({said})"
        raise ChipError(f"chip at {self.address}: {said}") from error


class PatientChip(Chip):
    """A chip that is waited for when it is lost, for as long as it takes, unless the program is asked to end.

    Parameters
    ----------
    chip : Chip
        A `RemoteChip`.
    told : callable
        Told once when the chip is lost, and once when it is back.

    Attributes
    ----------
    lost : bool
        Whether it is being waited for.
    """

    def __init__(self, chip: Chip, told: Callable[[str], object]) -> None:
        self._chip, self._told, self.lost = chip, told, False

    def info(self) -> ChipInfo:
        """See `Chip.info`."""
        return self._patiently(self._chip.info)

    def program(self, layer: str, plan: Plan, now: float, key: int, number: int) -> int:
        """See `Chip.program`."""
        return self._patiently(lambda: self._chip.program(layer, plan, now, key, number))

    def mvm(self, layer: str, rows: Spikes, first: int, now: float, key: int) -> Floats:
        """See `Chip.mvm`."""
        return self._patiently(lambda: self._chip.mvm(layer, rows, first, now, key))

    def read(self, layer: str, now: float) -> LayerRead:
        """See `Chip.read`."""
        return self._patiently(lambda: self._chip.read(layer, now))

    def clock(self) -> float:
        """See `Chip.clock`."""
        return self._patiently(self._chip.clock)

    def wait(self, until: float) -> float:
        """See `Chip.wait`."""
        return self._patiently(lambda: self._chip.wait(until))

    def _patiently(self, call: Callable[[], Answer]) -> Answer:
        while True:
            try:
                answer = call()
            except ChipLostError as error:
                if asked_to_end():
                    raise
                self._turn(True, f"{error}; the run waits for it")
            else:
                self._turn(False, "the chip is back; the run goes on")
                return answer

    def _turn(self, lost: bool, news: str) -> None:
        if lost != self.lost:
            self.lost = lost
            self._told(news)
