"""What can be known of the server before it serves."""

from __future__ import annotations

import socket
from unittest.mock import PropertyMock

import panel as pn
import pytest

from app import serve
from app.pages.live import DEFAULT_PRESET
from pcmsim.errors import PCMLabError
from training.presets import PRESETS


def address(monkeypatch: pytest.MonkeyPatch, **arguments: list[bytes]) -> None:
    monkeypatch.setattr(type(pn.state), "session_args", PropertyMock(return_value=arguments))


def test_port_zero_takes_a_free_one() -> None:
    port = serve._bindable("localhost", 0)
    assert 1024 <= port < 65_536
    with socket.create_server(("localhost", port)) as server:
        assert server.getsockname()[1] == port


def test_a_taken_port_is_refused_in_words() -> None:
    with socket.create_server(("localhost", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(PCMLabError, match=rf"cannot listen on localhost:{port} \(.*\); choose another"):
            serve._bindable("localhost", port)


def test_a_host_that_is_not_here_is_refused_in_words() -> None:
    with pytest.raises(PCMLabError, match="cannot listen on 192.0.2.1:0"):
        serve._bindable("192.0.2.1", 0)


@pytest.mark.parametrize("port", [-1, 65_536])
def test_a_port_that_does_not_exist_is_refused_in_words(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def create_server(address: tuple[str, int]) -> socket.socket:
        """As the real one, which leaves a socket open behind it."""
        raise OverflowError("bind(): port must be 0-65535.")

    monkeypatch.setattr(serve.socket, "create_server", create_server)
    with pytest.raises(PCMLabError, match=f"localhost:{port}"):
        serve._bindable("localhost", port)


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_can_be_asked_for(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    address(monkeypatch, preset=[name.encode()])
    assert serve._asked_preset() == (name, "")


@pytest.mark.parametrize(
    "asked", [b"best", b"\xff\xfe", b"<script>alert(1)</script>", b"../../etc/passwd", b"x" * 10_000, b"__class__"]
)
def test_a_hostile_preset_gives_the_default_and_a_sentence(asked: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    address(monkeypatch, preset=[asked])
    name, problem = serve._asked_preset()
    assert name == DEFAULT_PRESET
    assert problem.startswith("unknown preset ")
    assert "mixed-precision" in problem


def test_without_an_address_the_default_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    address(monkeypatch)
    assert serve._asked_preset() == (DEFAULT_PRESET, "")


@pytest.mark.parametrize(
    ("arguments", "plays"), [({}, False), ({"autoplay": [b"0"]}, False), ({"autoplay": [b"1"]}, True)]
)
def test_autoplay_is_honoured(arguments: dict[str, list[bytes]], plays: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[tuple[str, bool]] = []

    class Seen:
        page = "page"

        def __init__(self, preset: str, autoplay: bool) -> None:
            built.append((preset, autoplay))

    address(monkeypatch, **arguments)
    monkeypatch.setattr(serve, "Live", Seen)
    monkeypatch.setattr(type(pn.state), "curdoc", None)
    assert serve.page() == "page"
    assert built == [(DEFAULT_PRESET, plays)]


def test_serving_listens_where_asked_and_lets_only_named_origins_in(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, object] = {}
    monkeypatch.setattr(serve, "prepare", lambda: None)
    monkeypatch.setattr(serve.pn, "serve", lambda pages, **options: asked.update(options, pages=pages))
    serve.serve(port=0, open_browser=False, allow_origin=["lab.example:80"])
    port = asked["port"]
    assert asked["pages"] == {"/": serve.page}
    assert asked["address"] == "localhost"
    assert asked["show"] is False
    assert set(asked["websocket_origin"]) == {f"localhost:{port}", f"127.0.0.1:{port}", "lab.example:80"}
