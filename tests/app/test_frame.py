"""The frame of the pages: links to each of them, the mode that goes along, and a place only while training."""

from __future__ import annotations

from types import SimpleNamespace

import panel as pn
import pytest
from bokeh.document import Document

from app.pages import frame
from app.pages.register import PAGES
from app.visitors import Place, Visitors
from pcmsim.errors import PCMLabError


@pytest.mark.parametrize(
    ("asked", "kept", "dark"),
    [("", "", False), ("", "dark", True), ("", "light", False), ("dark", "light", True), ("default", "dark", False),
     ("light", "dark", False), ("<b>", "dark", True), ("", "<script>", False)],
)  # fmt: skip
def test_the_address_says_the_mode_else_the_last_page_does(asked: str, kept: str, dark: bool) -> None:
    arguments = {"theme": [asked.encode()]} if asked else {}
    assert frame.is_dark(arguments, {frame.COOKIE: kept} if kept else {}) is dark


def test_a_page_links_to_all_pages_and_follows_its_mode() -> None:
    painted: list[bool] = []
    page = frame.template(pn.Row(), pn.Row(), [], painted.append)
    frame.navigate(page, {entry.path: entry.title for entry in PAGES}, "/race")
    bar = page.header[0]
    assert dict(bar.links)["./race"] == "Race"
    assert [address for address, _ in bar.links] == [f".{entry.path}" for entry in PAGES]
    assert bar.here == "./race"
    page.dark_theme = True
    page.dark_theme = False
    assert painted == [True, False]
    assert bar.dark is False


def test_paths_and_titles_are_each_once() -> None:
    assert PAGES[0].path == "/"
    for names in ([entry.path for entry in PAGES], [entry.title for entry in PAGES]):
        assert len({*names}) == len(names)


def session(key: str) -> Document:
    document = Document()
    document._session_context = lambda: SimpleNamespace(id=key)
    return document


def test_a_page_that_only_looks_takes_no_place_until_it_trains() -> None:
    visitors, first, second = Visitors(most=1), session("a"), session("b")
    one, other = Place(visitors, first), Place(visitors, second)
    assert visitors.live == 0
    one.take()
    one.take()
    with pytest.raises(PCMLabError, match="1 live session runs on this server and the limit is 1"):
        other.take()
    one.leave()
    other.take()
    assert visitors.live == 1
    for callback in second.session_destroyed_callbacks:
        callback(None)
    assert visitors.live == 0


def test_without_a_server_there_is_a_place() -> None:
    Place().take()
    Place().leave()
