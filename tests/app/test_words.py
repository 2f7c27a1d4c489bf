"""Text that is shown goes to the browser, once, and nowhere else."""

from __future__ import annotations

from bokeh.document import Document
from bokeh.document.events import ModelChangedEvent

from app.words import Words


def shown(words: Words, document: Document) -> list[str]:
    """What the browser is told, in order."""
    told: list[str] = []

    def note(event: object) -> None:
        if isinstance(event, ModelChangedEvent) and event.attr == "html":
            told.append(event.new)

    document.on_change(note)
    return told


def test_the_browser_is_told_what_changes_and_only_that() -> None:
    words, document = Words(html="a"), Document()
    document.add_root(words.get_root(document))
    told = shown(words, document)
    for text in ("a", "b", "b", "c"):
        words.show(text)
    assert told == ["b", "c"]
    assert words.html == "c"


def test_a_page_that_opens_later_begins_with_what_was_shown_last() -> None:
    words = Words(html="a")
    words.show("b")
    assert words.get_root(Document()).data.html == "b"


def test_a_browser_cannot_change_it() -> None:
    words, document = Words(html="a"), Document()
    model = words.get_root(document)
    document.add_root(model)
    model.data.html = "<script>"
    assert words.html == "a"
