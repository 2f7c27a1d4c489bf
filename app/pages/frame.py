"""What pages with a top bar, a sidebar and a board share: the page around them, its buttons, and what it says."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import panel as pn
import panel_material_ui as pmui
from bokeh.document import Document
from panel.util import edit_readonly

from app import theme
from app.controls import responsive
from app.keyboard import Keyboard
from app.pages import navigation
from app.pages.header import BUTTON
from app.stream import Stream

LONGEST = 400
"""Characters of a notification."""


def page(
    bar: Any, sidebar: Any, board: Any, paint: Callable[[bool], None], width: int = theme.SIDEBAR_WIDTH
) -> pmui.Page:
    """A page.

    Parameters
    ----------
    bar, sidebar, board : panel.viewable.Viewable
        What stands in it.
    paint : callable
        Takes on the dark colours, or the light ones.
    width : int
        Of the sidebar [px].
    """
    made = pmui.Page(
        title="pcmlab",
        header=[bar],
        sidebar=[sidebar],
        main=[board],
        sidebar_width=width,
        sidebar_resizable=False,
        busy_indicator=None,
        theme_config=theme.MUI,
        sx=theme.PAGE,
    )
    with edit_readonly(made):
        made.busy = False
    made.param.watch(lambda change: paint(change.new), "dark_theme")
    return made


def bar(name: str, *buttons: Any) -> pn.Row:
    """The top bar of the page `name`: links to the others at the left, its buttons at the right."""
    return pn.Row(
        navigation.links(name), pn.Spacer(sizing_mode="stretch_width"), *buttons,
        sizing_mode="stretch_width", margin=0, align="center",
    )  # fmt: skip


def button(label: str, icon: str, act: Callable[[], Any], *classes: str) -> Any:
    """A button of the top bar."""
    made = pmui.Button(
        label=label, icon=icon, size="small", variant="contained", color="primary",
        margin=(0, 3), stylesheets=[BUTTON], css_classes=list(classes),
    )  # fmt: skip
    made.on_click(lambda _: act())
    return responsive(made)


def menu(label: str, icon: str, entries: Iterable[str], act: Callable[[str], Any]) -> Any:
    """A button of the top bar that opens a list."""
    made = pmui.MenuButton(
        label=label, icon=icon, size="small", variant="contained", color="primary", margin=(0, 3),
        items=[{"label": entry} for entry in entries], stylesheets=[BUTTON],
    )  # fmt: skip
    made.on_click(lambda item: act(item["label"]))
    return made


def attach(
    document: Document, stream: Stream, keyboard: Keyboard, close: Callable[[], None], problems: Sequence[str] = ()
) -> None:
    """Begin to stream into a browser session, say what was wrong with its address, and end with it."""
    document.theme = theme.OWN
    stream.start(document)
    keyboard.listen(document)
    document.on_event("document_ready", lambda _: [warn(problem) for problem in problems])
    document.on_session_destroyed(lambda _: close())


def tell(sentence: str) -> None:
    """Say what happened."""
    if pn.state.notifications is not None:
        pn.state.notifications.info(sentence, duration=4000)


def warn(sentence: str) -> None:
    """Say what went wrong, at most a paragraph of it."""
    if pn.state.notifications is not None:
        short = sentence if len(sentence) <= LONGEST else f"{sentence[: LONGEST - 1]}…"
        pn.state.notifications.error(short, duration=7000)
