"""Names, tokens, proxies and sockets of a server, each by itself."""

from __future__ import annotations

import socket
import stat
from types import SimpleNamespace

import pytest
from tornado.httputil import HTTPHeaders

from app.server import browser, listening, token
from app.server.access import Access
from app.server.origins import Origin, Origins
from app.server.proxies import Proxies
from pcmsim.errors import FieldError, PCMLabError


def test_port_zero_takes_a_free_one_for_all_addresses_of_a_name() -> None:
    sockets = listening.listen("localhost", 0)
    ports = {one.getsockname()[1] for one in sockets}
    for one in sockets:
        one.close()
    assert len(ports) == 1
    assert 1024 <= ports.pop() < 65_536


@pytest.mark.parametrize("host", ["localhost", "::1"])
def test_a_taken_port_is_refused_in_words(host: str) -> None:
    taken = listening.listen(host, 0)
    port = taken[0].getsockname()[1]
    name = f"\\[{host}\\]" if ":" in host else host
    with pytest.raises(PCMLabError, match=rf"cannot listen on {name}:{port} \(.*\); choose another"):
        listening.listen(host, port)
    for one in taken:
        one.close()


def test_an_address_that_this_machine_lacks_may_be_missing_beside_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many machines know ``localhost`` as an address of the sixth version and have none."""
    both = [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET, "192.0.2.1")]
    monkeypatch.setattr(listening, "_addresses", lambda host, port: both)
    (one,) = listening.listen("localhost", 0)
    one.close()
    monkeypatch.setattr(listening, "_addresses", lambda host, port: both[1:])
    with pytest.raises(PCMLabError, match="cannot listen on localhost:0"):
        listening.listen("localhost", 0)


def test_a_host_that_is_not_here_is_refused_in_words() -> None:
    with pytest.raises(PCMLabError, match="cannot listen on 192.0.2.1:0"):
        listening.listen("192.0.2.1", 0)


@pytest.mark.parametrize("port", [-1, 65_536])
def test_a_port_that_does_not_exist_is_refused_in_words(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def create_server(address: tuple[str, int], family: int) -> socket.socket:
        """As the real one, which leaves a socket open behind it."""
        raise OverflowError("bind(): port must be 0-65535.")

    monkeypatch.setattr(listening.socket, "create_server", create_server)
    monkeypatch.setattr(listening, "_addresses", lambda host, port: [(socket.AF_INET, "127.0.0.1")])
    with pytest.raises(PCMLabError, match=f"localhost:{port}"):
        listening.listen("localhost", port)


ALLOWED = [
    ("lab.example:80", "http://lab.example", True),
    ("lab.example:80", "https://lab.example", True),
    ("lab.example:80", "http://lab.example:8080", False),
    ("lab.example", "https://lab.example", True),
    ("https://lab.example", "https://lab.example", True),
    ("https://lab.example", "https://lab.example:443", True),
    ("https://lab.example", "http://lab.example", False),
    ("https://lab.example:8443", "https://lab.example:8443", True),
    ("HTTPS://Lab.Example/", "https://lab.example", True),
    ("lab.example:8000", "https://lab.example:8000", True),
    ("*.example", "http://lab.example", True),
    ("*.example", "http://a.lab.example", False),
    ("*.example", "http://example", False),
    ("lab.example:*", "http://lab.example:1234", True),
    ("*", "http://anything", True),
    ("*", "http://anything:5006", False),
    ("*:*", "http://anything:5006", True),
    ("[fd00::1]:5006", "http://[fd00::1]:5006", True),
    ("http://[fd00::1]:5006", "http://[fd00::2]:5006", False),
    ("lab.example", "http://lab.example.evil.org", False),
    ("lab.example", "http://evil.org/lab.example", False),
    ("lab.example", "null", False),
    ("lab.example", "", False),
    ("lab.example", "http://lab.example:x", False),
    ("lab.example", "ftp://lab.example", False),
]


@pytest.mark.parametrize(("named", "origin", "allowed"), ALLOWED)
def test_origins_that_an_operator_names(named: str, origin: str, allowed: bool) -> None:
    origins = Origins("localhost", 5006, [Origin.read("--allow-origin", named)])
    assert origins.allows(origin) is allowed


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
def test_a_server_knows_its_own_names(host: str) -> None:
    origins = Origins("::1", 5006)
    assert origins.allows(f"http://{host}:5006")
    assert not origins.allows(f"http://{host}:5007")
    assert origins.knows(f"{host}:5006")
    assert not origins.knows(host)


@pytest.mark.parametrize(
    "text", ["", ":80", "ftp://lab.example", "lab.example:x", "lab.example/a", "http://u@lab", "[::1"]
)
def test_what_is_no_origin_is_refused_in_words(text: str) -> None:
    with pytest.raises(FieldError, match="--allow-embed: must be an origin such as lab.example:80"):
        Access.asked("a-secret", embedding=[text])


def test_the_token_comes_from_the_command_line_or_the_environment_or_is_new() -> None:
    assert token.asked("from-a-person", {"PCMLAB_TOKEN": "from-outside"}) == "from-a-person"
    assert token.asked(None, {"PCMLAB_TOKEN": " from-outside\n"}) == "from-outside"
    assert token.asked(None, {}) != token.asked(None, {"PCMLAB_TOKEN": ""})
    assert len(token.asked(None, {})) >= 32


@pytest.mark.parametrize(("given", "variable"), [("short", ""), ("with space", ""), ("", ""), (None, "a&b=c&d=e")])
def test_what_is_no_token_is_refused_and_not_repeated(given: str | None, variable: str) -> None:
    source = "PCMLAB_TOKEN" if given is None else "--token"
    with pytest.raises(FieldError, match=f"^{source}: must be 8 to 200 letters, digits, .*characters") as refused:
        token.asked(given, {"PCMLAB_TOKEN": variable})
    assert (given or variable or "nothing to repeat") not in str(refused.value)


def test_a_token_and_none_exclude_each_other() -> None:
    with pytest.raises(PCMLabError, match="--token and --no-token exclude each other"):
        Access.asked("a-secret", no_token=True)


def test_a_server_without_a_token_needs_to_be_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PCMLAB_TOKEN", "")
    assert Access.asked().token
    assert not Access.asked(no_token=True).token


@pytest.mark.parametrize(("given", "path"), [("", ""), ("/", ""), ("lab", "/lab"), ("/a/b/", "/a/b")])
def test_prefixes(given: str, path: str) -> None:
    assert Access.asked("a-secret", prefix=given).prefix == path


@pytest.mark.parametrize("given", ["a//b", "a b", "../x?", "(.*)", "a/..%2f"])
def test_what_is_no_prefix_is_refused_in_words(given: str) -> None:
    with pytest.raises(FieldError, match="--prefix: must be a path such as /lab, got"):
        Access.asked("a-secret", prefix=given)


def request(peer: str, **headers: str) -> SimpleNamespace:
    named = HTTPHeaders({name.replace("_", "-"): value for name, value in headers.items()})
    return SimpleNamespace(remote_ip=peer, protocol="http", headers=named)


FORWARDED = [
    ("10.0.0.1", "203.0.113.9", "203.0.113.9"),
    ("10.0.0.1", "1.2.3.4, 203.0.113.9", "203.0.113.9"),
    ("10.0.0.1", "1.2.3.4, 203.0.113.9, 10.0.0.2", "203.0.113.9"),
    ("10.0.0.1", "", "10.0.0.1"),
    ("192.0.2.7", "203.0.113.9", "192.0.2.7"),
]


@pytest.mark.parametrize(("peer", "said", "address"), FORWARDED)
def test_only_named_proxies_say_whom_a_request_comes_from(peer: str, said: str, address: str) -> None:
    asked = request(peer, X_Forwarded_For=said, X_Forwarded_Proto="https")
    Proxies(["10.0.0.0/24"]).reveal(asked)
    assert asked.remote_ip == address
    assert asked.protocol == ("https" if peer.startswith("10.") else "http")


def test_what_is_no_proxy_is_refused_in_words() -> None:
    with pytest.raises(
        FieldError, match="--trusted-proxy: must be an IP address or a network such as 10.0.0.0/24, got"
    ):
        Proxies(["my-proxy"])


def test_the_browser_is_led_by_a_file_that_nobody_else_can_read(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr(browser.webbrowser, "open", opened.append)
    file = browser.show("http://localhost:5006/?token=a-secret")
    assert opened == [file.as_uri()]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "url=http://localhost:5006/?token=a-secret" in file.read_text("utf-8")
    file.unlink()
    assert browser.show("http://localhost:5006/") is None
    assert opened[1:] == ["http://localhost:5006/"]
