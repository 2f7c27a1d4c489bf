"""Files that a browser brings, piece by piece: all of a file or nothing, and no more than all visitors may hold."""

from __future__ import annotations

import gc
from typing import Any

import panel_material_ui as pmui
import pytest

from app.patches import file_input
from app.patches.file_input import MIB, receive


class Browser:
    """Sends what panel-material-ui's script sends."""

    def __init__(self, *, multiple: bool = True, endings: tuple[str, ...] = (".csv", ".h5")) -> None:
        self.widget, self.warned, self.heard = pmui.FileInput(multiple=multiple), [], []
        self.widget._send_msg = self.heard.append
        receive(self.widget, endings, self.warned.append)

    def say(self, **message: Any) -> None:
        self.widget._handle_msg(message)

    def piece(self, data: Any = b"1", name: str = "a.csv", chunk: Any = 1, total: Any = 1) -> None:
        self.say(status="upload_event", name=name, chunk=chunk, total_chunks=total, data=data, mime_type="text/csv")

    def bring(self, **files: list[bytes]) -> None:
        self.say(status="initializing", type="status")
        for name, pieces in files.items():
            for number, data in enumerate(pieces, 1):
                self.piece(data, f"{name}.csv", number, len(pieces))
        self.say(status="finished", type="status")


@pytest.fixture
def browser() -> Browser:
    gc.collect()
    return Browser()


def test_pieces_become_files(browser: Browser) -> None:
    browser.bring(a=[b"12", b"3"], b=[b"4"])
    assert (browser.widget.filename, browser.widget.value) == (["a.csv", "b.csv"], [b"123", b"4"])
    assert (browser.warned, browser.heard) == ([], [{"status": "finished"}])
    browser.bring(c=[memoryview(b"5")])
    assert browser.widget.value == [b"5"]
    one = Browser(multiple=False)
    one.bring(a=[b"12", b"3"])
    assert (one.widget.filename, one.widget.value) == ("a.csv", b"123")


WRONG = {
    "a number for bytes": ({"data": 3 * 10**9}, "the browser sent something else than files"),
    "a list for bytes": ({"data": [1, 2]}, "something else than files"),
    "no name": ({"name": 5}, "something else than files"),
    "another ending": ({"name": "a.exe"}, r"expected a file whose name ends with .csv or .h5"),
    "a long name": ({"name": "a" * 300 + ".csv"}, "whose name ends with"),
    "a name that cannot be shown": ({"name": "a\n.csv"}, "whose name ends with"),
    "not the first piece": ({"chunk": 2, "total": 2}, "a piece of a file is missing"),
    "more than all pieces": ({"chunk": 1, "total": 0}, "a piece of a file is missing"),
    "no number of pieces": ({"total": "many"}, "a piece of a file is missing"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_no_piece_ends_the_upload_and_is_told(case: str, browser: Browser) -> None:
    message, reason = WRONG[case]
    browser.piece(**message)
    (sentence,) = browser.warned
    assert sentence.startswith("upload: ") and len(sentence) < 120
    with pytest.raises(AssertionError, match=reason):
        raise AssertionError(sentence)
    assert browser.heard == [{"status": "error", "error": sentence}]
    assert browser.widget.value is None


@pytest.mark.parametrize("message", [None, 5, {}, {"status": "magic"}])
def test_other_messages_are_told_of(message: Any, browser: Browser) -> None:
    browser.widget._handle_msg(message)
    assert browser.warned == ["upload: the browser sent something else than files"]


def test_a_refusal_of_the_browsers_own_changes_nothing(browser: Browser) -> None:
    browser.say(status="error", error="too large")
    assert browser.warned == browser.heard == []


def test_an_upload_without_its_end_is_told_of(browser: Browser) -> None:
    browser.piece(total=2)
    browser.say(status="finished")
    assert browser.warned == ["upload: a piece of a file is missing; try again"]
    assert browser.widget.value is None


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything in pieces of one MiB."""
    for name, value in {"LARGEST": 3 * MIB, "ALL": 4 * MIB, "EVERYBODYS": 6 * MIB, "FORGOTTEN": 1e9}.items():
        monkeypatch.setattr(file_input, name, value)


PIECE = bytes(MIB)


@pytest.mark.usefixtures("small")
def test_a_file_all_files_and_their_number_are_bounded(browser: Browser) -> None:
    browser.bring(a=[PIECE] * 4)
    assert browser.warned[0] == "upload: a file has at most 3 MiB"
    browser.warned.clear()
    browser.bring(a=[PIECE] * 3, b=[PIECE] * 2)
    assert browser.warned[0] == "upload: all files have at most 4 MiB together"
    browser.warned.clear()
    browser.bring(**{f"f{k}": [b"1"] for k in range(9)})
    assert browser.warned[0] == "upload: at most 8 files at once"


@pytest.mark.usefixtures("small")
def test_all_visitors_together_are_bounded_and_what_was_left_lying_gives_way(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, third = Browser(), Browser()
    browser.bring(a=[PIECE] * 3)
    for number in (1, 2, 3):
        other.piece(PIECE, chunk=number, total=9)
    third.piece(PIECE)
    assert third.warned == ["upload: others are bringing files; try again in a minute"]
    monkeypatch.setattr(file_input, "FORGOTTEN", -1.0)
    third.bring(a=[PIECE])
    assert third.widget.value == [PIECE]
    assert browser.widget.value == [PIECE * 3]
    browser.widget.clear()
    del other
    gc.collect()
    monkeypatch.setattr(file_input, "FORGOTTEN", 1e9)
    third.bring(a=[PIECE] * 3)
    assert third.widget.value == [PIECE * 3]


def test_panel_material_ui_still_needs_this_patch() -> None:
    """It fails when the widget bounds what it takes: then `app.patches.file_input` can go."""
    widget = pmui.FileInput()
    widget._handle_msg({"status": "upload_event", "name": "a", "chunk": 1, "total_chunks": 10**9, "mime_type": "",
                        "data": 1000})  # fmt: skip
    assert widget._file_buffer["a"]["chunks"] == {1: bytes(1000)}
