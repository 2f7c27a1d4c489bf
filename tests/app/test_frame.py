"""The frame of the pages: links to each of them, the mode that goes along, and a place only while training."""

from __future__ import annotations

import panel as pn
import pytest

from app.pages import frame
from app.pages.register import PAGES


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
