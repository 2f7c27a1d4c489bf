"""A chip behind a server: the same run, bad callers refused, crashes survived."""

from __future__ import annotations

import contextlib
import importlib
import os
import random
import resource
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import msgpack
import numpy as np
import pytest
import torch

from pcmsim.errors import FieldError, FileError, PCMLabError
from pcmsim.plan import PulsePlan, WeightPlan
from training.chip import ChipError, ChipLostError, contract, log, serving, token, wire
from training.chip.base import CALLS
from training.chip.frames import framed
from training.chip.log import LoggedChip
from training.chip.remote import PatientChip, RemoteChip
from training.chip.server import ChipServer
from training.chip.simulated import SimulatedChip
from training.cli import main
from training.config import RunConfig
from training.network import LAYERS
from training.session import Session
from training.spikes import Spikes

TOKEN = "a-token-of-the-tests"
CONFIG = RunConfig().with_values({
    "core.enabled": True, "network.hidden": 16, "precision.weight_bits": 4,
    "task": {"name": "pattern", "inputs": 12, "duration": 0.05, "rate": 100.0},
    "learning.lr_input": 2e-2, "learning.lr_recurrent": 2e-2, "learning.lr_output": 2e-2,
})  # fmt: skip
DIGITAL = CONFIG.with_values({"scheme": "float32"})


@contextlib.contextmanager
def served(config: RunConfig = CONFIG, **options) -> Iterator[ChipServer]:
    with ChipServer(SimulatedChip(config), TOKEN, **options) as server:
        yield server


def assert_same_weights(one: Session, other: Session) -> None:
    mine, theirs = one.snapshot(), other.snapshot()
    for layer in LAYERS:
        assert np.array_equal(mine[layer].weights, theirs[layer].weights)
        assert np.array_equal(mine[layer].conductance, theirs[layer].conductance)
        assert np.array_equal(mine[layer].sets, theirs[layer].sets)


@pytest.mark.parametrize("config", [CONFIG, DIGITAL], ids=["devices", "digital"])
def test_a_run_through_the_server_has_the_same_numbers(config) -> None:
    with served(config) as server:
        here, there = Session(config), Session(config, RemoteChip(server.address, TOKEN))
        for a, b in zip(here.run(4), there.run(4), strict=True):
            assert np.array_equal(a.voltage, b.voltage)
            assert np.array_equal(a.output, b.output)
        assert_same_weights(here, there)


@pytest.mark.parametrize("promise", contract.PROMISES, ids=lambda promise: promise.__name__)
def test_a_chip_behind_a_server_keeps_to_the_contract(promise) -> None:
    with served() as server:
        promise(RemoteChip(server.address, TOKEN))


def raw(server: ChipServer, call: str, message: bytes, **metadata: str) -> None:
    """A call past the client."""
    shown = {"authorization": f"Bearer {TOKEN}", "pcmlab-protocol": "1"} | {
        key.replace("_", "-"): value for key, value in metadata.items()
    }
    with grpc.insecure_channel(server.address) as channel:
        channel.unary_unary(f"/pcmlab.Chip/{call}")(message, timeout=5.0, metadata=tuple(shown.items()))


CHANGE = wire.pack([0, ["input", WeightPlan(torch.ones(12, 16)), 0.0, 1, 1]])
NAN = wire.pack([0, ["input", WeightPlan(torch.full((12, 16), float("nan"))), 0.0, 1, 1]])
LARGE = wire.pack([0, ["input", WeightPlan(torch.ones(300, 16)), 0.0, 1, 1]])
HUGE = wire.pack([0, ["input", WeightPlan(torch.ones(12, 16)), 0.0, 1, 1, b"x" * 100_000]])


@pytest.mark.parametrize(("message", "metadata", "said"), [
    (CHANGE, {"authorization": "Bearer another"}, "token: expected the one that the chip's server was started with"),
    (CHANGE, {"authorization": ""}, "token: expected"),
    (CHANGE, {"pcmlab_protocol": "2"}, "protocol: expected version 1, got '2'"),
    (NAN, {}, "input.change: must be finite numbers"),
    (LARGE, {}, r"input.change: must be float32 of at most the chip's shape \(12, 16\)"),
    (HUGE, {}, r"larger than max \(\d+ vs. 65536\)"),
    (b"\x80\x04pickle", {}, "message: expected one of the chip protocol"),
    (wire.pack([0]), {}, "message: expected the number"),
    (wire.pack([0, ["input"]]), {}, "program: the chip failed with TypeError"),
    (wire.pack([0, [["input"], None, None, None, []]]), {}, "unknown layer"),
], ids=lambda value: value[:20] if isinstance(value, str) else "")  # fmt: skip
def test_bad_calls_are_refused_in_one_line_and_nothing_is_written(message, metadata, said) -> None:
    with served(DIGITAL, limit=65536) as server:
        chip = RemoteChip(server.address, TOKEN)
        before = [chip.read(layer, 0.0).stored for layer in LAYERS]
        with pytest.raises(grpc.RpcError) as refused:
            raw(server, "program", message, **metadata)
        with pytest.raises(AssertionError, match=said):  # the text as a person reads it
            raise AssertionError(refused.value.details())
        assert "\n" not in refused.value.details()
        assert chip.info().number == 0
        assert all(np.array_equal(chip.read(layer, 0.0).stored, was) for layer, was in zip(LAYERS, before, strict=True))
        raw(server, "program", CHANGE)
        assert chip.info().number == 1


def test_the_client_says_in_one_line_what_the_server_refuses() -> None:
    with served(DIGITAL, limit=4096) as server:
        with pytest.raises(ChipError, match="token: expected the one"):
            RemoteChip(server.address, "another").info()
        chip = RemoteChip(server.address, TOKEN)
        with pytest.raises(
            ChipError, match=r"program: expected a message of at most the server's limit, got \d+ bytes"
        ):
            chip.program("recurrent", WeightPlan(torch.ones(100, 100)), 0.0, 1, 1)
        with pytest.raises(ChipError, match="unknown layer 'fourth'"):
            chip.read("fourth", 0.0)
        assert chip.info().number == 0


@pytest.mark.parametrize("address", ["here", "http://localhost:1", "localhost:", ""])
def test_an_address_that_is_none(address: str) -> None:
    with pytest.raises(FieldError, match="chip: must be an address like localhost:5700"):
        RemoteChip(address, TOKEN)


def test_a_token_that_cannot_travel() -> None:
    with pytest.raises(FieldError, match="token: must be printable characters"):
        RemoteChip("localhost:1", "with space")


def test_a_port_that_is_taken() -> None:
    with served() as server, pytest.raises(PCMLabError, match="port: cannot listen on"):
        served(port=int(server.address.rsplit(":", 1)[1])).__enter__()


def test_who_does_not_know_where_the_chip_stands_is_told() -> None:
    """Another run programs the chip, or it came back without its log: sums would be those of other weights."""
    with served() as server:
        one, other = RemoteChip(server.address, TOKEN), RemoteChip(server.address, TOKEN)
        one.info(), other.info()
        other.program("input", PulsePlan.build(torch.tensor([1])), 0.0, 1, 1)
        with pytest.raises(ChipError, match="number: must be 1, where the chip stands; another run"):
            one.mvm("input", Spikes(np.array([0, 1]), np.array([0], np.int32)), 0, 0.0, 1)


def test_a_lost_chip_is_named() -> None:
    with pytest.raises(ChipLostError, match=r"chip at 127.0.0.1:1: does not answer .* expected its server there"):
        RemoteChip("127.0.0.1:1", TOKEN, patience=0.05).info()


def test_patience_waits_for_a_lost_chip_and_says_so() -> None:
    told: list[str] = []

    class Shy(SimulatedChip):
        refusals = 3

        def clock(self) -> float:
            self.refusals -= 1
            if self.refusals >= 0:
                raise ChipLostError("chip: does not answer")
            return super().clock()

    assert PatientChip(Shy(CONFIG), told.append).clock() == 0.0
    assert told == ["chip: does not answer; the run waits for it", "the chip is back; the run goes on"]


@pytest.fixture
def logged() -> Iterator[Callable[..., LoggedChip]]:
    """Chips with a log, closed in the end."""
    with contextlib.ExitStack() as stack:

        def make(path: Path, config: RunConfig = CONFIG, **options) -> LoggedChip:
            chip = LoggedChip(SimulatedChip(config), path, config.to_dict(), **options)
            return stack.enter_context(contextlib.closing(chip))

        yield make


@pytest.mark.parametrize("promise", contract.PROMISES, ids=lambda promise: promise.__name__)
def test_a_logged_chip_keeps_to_the_contract(promise, tmp_path, logged) -> None:
    promise(logged(tmp_path / "log"))


def test_a_chip_started_again_on_its_log_stands_where_it_stood(tmp_path, logged) -> None:
    first, path = logged(tmp_path / "log"), tmp_path / "log"
    session = Session(CONFIG, first)
    list(session.run(3))
    session.save(tmp_path / "run.safetensors")
    expected = Session(CONFIG)
    list(expected.run(6))
    first.close()
    again = logged(path)
    assert (again.info(), again.clock()) == (first.info(), first.clock())
    resumed = Session.resume(tmp_path / "run.safetensors", again)
    list(resumed.run(3))
    assert_same_weights(resumed, expected)


def test_an_entry_that_a_crash_cut_short_counts_as_not_done(tmp_path, logged) -> None:
    path = tmp_path / "log"
    chip = logged(path)
    chip.program("input", PulsePlan.build(torch.tensor([1])), 1.0, 5, 1)
    first = path.stat().st_size
    chip.program("input", PulsePlan.build(torch.tensor([2])), 2.0, 5, 2)
    chip.close()
    content = path.read_bytes()
    for end in range(first, len(content)):
        path.write_bytes(content[:end])
        again = logged(path)
        assert again.info().number == 1
        again.close()
        assert path.stat().st_size == first


def test_a_replayed_log_gives_the_same_answers(tmp_path, logged) -> None:
    path = tmp_path / "log"
    chip = logged(path, answers=True)
    list(Session(CONFIG, chip).run(2))
    chip.close()
    assert log.origin(path) == CONFIG.to_dict()
    assert log.replay(path, SimulatedChip(CONFIG)) > 30
    with pytest.raises(FileError, match="holds another answer to mvm of 'input' than this chip gives"):
        log.replay(path, SimulatedChip(CONFIG.with_values({"core.mvm_noise": 0.02})))


def test_logs_that_do_not_belong_are_refused(tmp_path, logged) -> None:
    path = tmp_path / "log"
    chip = logged(path)
    with pytest.raises(FileError, match="is the log of a chip that runs"):
        logged(path)
    chip.program("input", PulsePlan.build(torch.tensor([1])), 0.0, 5, 1)
    chip.close()
    with pytest.raises(FileError, match="of a chip of another configuration"):
        logged(path, CONFIG.with_values({"seed": 7}))
    content = bytearray(path.read_bytes())
    for place in (0, len(content) - 1):
        damaged = content.copy()
        damaged[place] ^= 1
        path.write_bytes(damaged)
        with pytest.raises(FileError, match="is damaged before byte"):
            logged(path)
    path.write_bytes(b"")
    with pytest.raises(FileError, match="is empty; expected a log of a chip"):
        log.origin(path)
    with pytest.raises(FileError, match="cannot be written"):
        logged(tmp_path / "none" / "log")


def test_another_program_of_the_same_number_is_refused(tmp_path, logged) -> None:
    chip = logged(tmp_path / "log")
    chip.program("input", PulsePlan.build(torch.tensor([1])), 0.0, 5, 1)
    assert chip.program("input", PulsePlan.build(torch.tensor([1])), 0.0, 5, 1) == 1
    with pytest.raises(FieldError, match="number: must be 2, the next: another program has been carried out as this"):
        chip.program("input", PulsePlan.build(torch.tensor([2])), 0.0, 5, 1)


def test_a_chip_whose_log_fails_goes_no_further(tmp_path, logged) -> None:
    chip = logged(tmp_path / "log")
    chip.close()
    for number in (1, 2):
        with pytest.raises(ChipError, match="log: cannot be written"):
            chip.program("input", PulsePlan.build(torch.tensor([number])), 0.0, 5, number)


def test_after_a_full_disk_nothing_changes_and_the_chip_comes_back_where_its_log_ends(tmp_path) -> None:
    def programmed(number: int) -> int:
        return chip.program("input", PulsePlan.build(torch.tensor([number])), float(number), 5, number)

    simulated = SimulatedChip(CONFIG)
    chip = LoggedChip(simulated, tmp_path / "log", CONFIG.to_dict())
    assert programmed(1) == 1
    size = (tmp_path / "log").stat().st_size
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 20, before[1]))  # a disk with room for a part of an entry
    try:
        with pytest.raises(ChipError, match="log: cannot be written"):
            programmed(2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    reached = simulated.info().number
    for call in (lambda: programmed(2), lambda: programmed(3), lambda: chip.wait(9.0)):
        with pytest.raises(ChipError, match="log: cannot be written"):
            call()
    assert simulated.info().number == reached
    assert simulated.clock() < 9.0
    again = LoggedChip(SimulatedChip(CONFIG), tmp_path / "log", CONFIG.to_dict())
    assert again.info().number == 1
    again.close()


@pytest.fixture(scope="module")
def nursery(tmp_path_factory) -> Iterator[subprocess.Popen[str]]:
    """See `chip_nursery`."""
    config = tmp_path_factory.mktemp("nursery") / "chip.yaml"
    config.write_text(CONFIG.to_yaml(), encoding="utf-8")
    script = Path(__file__).with_name("chip_nursery.py")
    command = [sys.executable, str(script), str(config), TOKEN]
    paths = os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": paths}
    ) as process:
        yield process
        process.kill()


def killed(server: int) -> None:
    os.kill(server, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):
        while True:
            os.kill(server, 0)
            time.sleep(0.001)


def born(nursery: subprocess.Popen[str], port: int, path: Path) -> int:
    """The process id of a server that listens."""
    nursery.stdin.write(f"{port} {path}\n")
    nursery.stdin.flush()
    return int(nursery.stdout.readline())


def test_twenty_crashes_of_the_server_lose_and_double_nothing(nursery, tmp_path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server, crashes, moments = born(nursery, port, tmp_path / "log"), 0, random.Random(3)

    def crash() -> None:
        nonlocal server, crashes
        for _ in range(20):
            time.sleep(moments.uniform(0.0, 0.08))
            killed(server)
            server = born(nursery, port, tmp_path / "log")
            crashes += 1

    told: list[str] = []
    chip = PatientChip(RemoteChip(f"127.0.0.1:{port}", TOKEN, patience=0.03), told.append)
    session = Session(CONFIG, chip)
    crashing = threading.Thread(target=crash)
    crashing.start()
    spikes = 0
    while crashing.is_alive():
        spikes += session.step().hidden.neuron.size
    crashing.join()
    assert crashes == 20
    assert spikes > 0
    assert any("does not answer" in text and "the run waits for it" in text for text in told)
    undisturbed = Session(CONFIG)
    list(undisturbed.run(session.trial))
    assert_same_weights(session, undisturbed)
    assert log.replay(tmp_path / "log", SimulatedChip(CONFIG)) >= int(session._link.number)


def test_a_chip_that_comes_back_without_its_log_is_not_trusted(nursery, tmp_path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = born(nursery, port, tmp_path / "log")
    session = Session(CONFIG, RemoteChip(f"127.0.0.1:{port}", TOKEN, patience=60.0))
    list(session.run(2))
    killed(server)
    born(nursery, port, tmp_path / "another")
    with pytest.raises(ChipError, match="number: must be 0, where the chip stands; .* started again without its log"):
        session.step()


def test_the_command_line_trains_on_a_served_chip(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setenv(token.VARIABLE, TOKEN)
    (tmp_path / "run.yaml").write_text(CONFIG.to_yaml(), encoding="utf-8")
    with served() as server:
        run = ["run", str(tmp_path / "run.yaml"), "--trials", "3", "--chip", server.address, "--quiet"]
        assert main([*run, "--out", str(tmp_path / "out")]) == 0
        assert main(["resume", str(tmp_path / "out"), "--trials", "2", "--chip", server.address, "--quiet"]) == 0
        assert main(["resume", str(tmp_path / "out"), "--trials", "2", "--quiet"]) == 2
        assert "expected that chip (--chip ADDRESS)" in capsys.readouterr().err
        assert main(run) == 2
        assert "written on all the same (--overwrite-chip)" in capsys.readouterr().err
        assert main([*run, "--overwrite-chip"]) == 0
    expected = Session(CONFIG)
    *_, last = expected.run(5)
    assert (tmp_path / "out" / "trials.csv").read_text(encoding="utf-8").splitlines()[-1].split(",")[2] == str(
        last.loss
    )


def test_the_command_line_serves_and_replays(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.delenv(token.VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))

    def use(server: ChipServer) -> None:
        chip = RemoteChip(server.address, token.find())
        chip.program("input", PulsePlan.build(torch.tensor([1])), 0.0, 5, 1)
        raise KeyboardInterrupt

    monkeypatch.setattr(ChipServer, "wait", use)
    (tmp_path / "run.yaml").write_text(CONFIG.to_yaml(), encoding="utf-8")
    path = str(tmp_path / "log")
    assert main(["chip", "serve", str(tmp_path / "run.yaml"), "--port", "0", "--log", path]) == 0
    assert f"token in {token.default_file()}" in capsys.readouterr().err
    assert main(["chip", "replay", path]) == 0
    assert "1 exchanges, all answers the same; program 1" in capsys.readouterr().out


def test_a_token_nobody_gave_is_made_for_the_user_alone(tmp_path) -> None:
    made, place = token.ensure(str(tmp_path / "new" / "token"))
    assert len(made) >= 32
    assert stat.S_IMODE(os.stat(place).st_mode) == 0o600
    assert token.ensure(place) == (made, place)
    assert token.find(place) == made
    os.chmod(place, 0o644)
    with pytest.raises(FileError, match="is empty or open to others"):
        token.find(place)


def test_no_token_at_all(tmp_path, monkeypatch) -> None:
    monkeypatch.delenv(token.VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    with pytest.raises(PCMLabError, match="token: expected in PCMLAB_CHIP_TOKEN, in a file"):
        token.find()
    with pytest.raises(FileError, match="cannot be read as a token"):
        token.find(str(tmp_path / "none"))
    (tmp_path / "file").touch()
    with pytest.raises(FileError, match="cannot be written"):
        token.ensure(str(tmp_path / "file" / "token"))


@pytest.mark.parametrize("value", [
    None, 3, 1.5, "word", b"bytes", [1, [2.0]], {"a": 1}, np.arange(6, dtype=np.int32).reshape(2, 3),
    torch.ones(2, 2), np.zeros((0, 4), np.float32),
], ids=str)  # fmt: skip
def test_values_travel_unchanged(value) -> None:
    back = wire.unpack(wire.pack(value))
    assert type(back) is type(value)
    assert repr(back) == repr(value)


def test_nothing_but_the_protocols_own_records_arrives() -> None:
    for foreign in (
        wire.msgpack.packb(wire.msgpack.ExtType(3, wire.pack(["Popen", {"args": "true"}]))),
        wire.msgpack.packb(wire.msgpack.ExtType(1, wire.pack(["|O", [1], b"12345678"]))),
        wire.msgpack.packb(wire.msgpack.ExtType(1, wire.pack(["<f4", [1000], b"1234"]))),
        wire.msgpack.packb(wire.msgpack.ExtType(9, b"")),
    ):
        with pytest.raises(ChipError, match="message: expected"):
            wire.unpack(foreign)


def test_who_lacks_the_extra_is_told(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "msgpack", None)
    monkeypatch.delitem(sys.modules, "training.chip.extra")
    with pytest.raises(
        PCMLabError, match=r"chip: expected grpcio and msgpack installed \(pip install 'pcmlab\[chip\]'\)"
    ):
        importlib.import_module("training.chip.extra")


def test_calls_are_those_of_the_chip() -> None:
    assert CALLS == ("clock", "info", "mvm", "program", "read", "wait")


def nested(depth: int) -> bytes:
    """A record in a record, so many times."""
    message = msgpack.packb(1)
    for _ in range(depth):
        message = msgpack.packb(msgpack.ExtType(wire.RECORD, message))
    return message


@pytest.mark.parametrize(
    "message",
    [nested(9), nested(20_000), b"\x91" * 100_000 + b"\x01", b"\x81\xa1a" * 100_000, b"\xdd\xff\xff\xff\xff"],
    ids=["records", "many records", "lists", "mappings", "claims a list of 4e9"],
)
def test_a_message_that_is_deep_or_claims_much_is_refused(message: bytes) -> None:
    with pytest.raises(ChipError, match="message: expected (records at most 8 deep|one of the chip protocol)"):
        wire.unpack(message)


def test_a_log_of_deep_messages_is_refused(tmp_path, capsys) -> None:
    (tmp_path / "log").write_bytes(framed(nested(20_000)))
    assert main(["chip", "replay", str(tmp_path / "log")]) == 2
    assert "records at most 8 deep in each other" in capsys.readouterr().err


ENTRIES = {
    "no list": (5, "is damaged: expected a call, its arguments and its answer, got 5"),
    "short": (["program", [1]], "is damaged: expected a call, its arguments and its answer"),
    "no call": (["erase", [], 1], "is damaged: expected one of clock, info, mvm, program, read, wait, got 'erase'"),
    "arguments": (["wait", [], 1.0], "does not fit the chip: .*missing 1 required positional argument"),
    "answer": (["wait", [5.0], None], "does not fit the chip: "),
    "another answer": (["wait", [5.0], 9.0], r"holds another answer to wait of 5.0 than this chip gives"),
}


@pytest.mark.parametrize("case", ENTRIES)
def test_entries_that_are_none_are_told(case: str, tmp_path) -> None:
    entry, text = ENTRIES[case]
    path = tmp_path / "log"
    with contextlib.closing(LoggedChip(SimulatedChip(CONFIG), path, {"config": {}, "cores": 64})):
        pass
    data = wire.pack(entry)
    with path.open("ab") as file:
        file.write(framed(data))
    with pytest.raises(FileError, match=text):
        log.replay(path, SimulatedChip(CONFIG))


def test_a_log_of_another_chip_is_not_replayed(tmp_path) -> None:
    with contextlib.closing(LoggedChip(SimulatedChip(CONFIG), tmp_path / "log", {"lab": 1})):
        pass
    with pytest.raises(FileError, match="is a log of another kind of chip; expected a simulated one"):
        serving.replayed(str(tmp_path / "log"))


@pytest.mark.parametrize("until", [1e308, 10**400, 2e18, float("inf"), True])
def test_device_time_has_an_end(until) -> None:
    with pytest.raises(FieldError, match="until: must be a finite number >= 0 s and <= 1e[+]18 s, got "):
        SimulatedChip(CONFIG).wait(until)


def test_sums_of_gigabytes_are_not_worked_out() -> None:
    steps = 10**6
    rows = Spikes(np.zeros(steps + 1, np.int64), np.zeros(0, np.int32))
    chip = SimulatedChip(CONFIG.with_values({"network.hidden": 200}))
    with pytest.raises(FieldError, match="rows: must be so few steps that their sums take at most 536870912 bytes"):
        chip.mvm("recurrent", rows, 0, 0.0, 1)
