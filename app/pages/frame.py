"""What all pages share: the title bar, the way from one page to another, light and dark, and words to the person.

Links open a tab of their own: a run or a race belongs to its tab.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import panel as pn
import panel_material_ui as pmui
import param
from bokeh.document import Document
from panel.custom import JSComponent
from panel.util import edit_readonly

from app import theme
from app.delivery import once_ready
from app.keyboard import Keyboard
from app.stream import Stream
from app.url import Arguments

COOKIE = "pcmlab-theme"
"""Where the browser keeps the mode between pages: the server sees it before it draws."""

LONGEST = 400
"""Characters of a notification."""

A_WHILE, LONGER = 7.0, 30.0
"""Seconds for which it stays; longer where it meets a page that still loads, perhaps in a tab that nobody sees yet."""

MODES = {"dark": True, "default": False, "light": False}


class Served(Protocol):
    """A page of one visitor, as `app.pages.register` builds it."""

    page: pmui.Page

    def attach(self, document: Document) -> None:
        """Begin to stream into a browser session; end with it."""

    def arrive(self) -> None:
        """Begin what costs a processor: a browser has connected, and there is a place for it."""


class Navigation(JSComponent):
    """Plain links to all pages; keeps the mode for the page that comes next.

    Parameters
    ----------
    links : list of tuple of str
        Address and title of each page.
    here : str
        Address of this one.
    dark : bool
        The mode.
    """

    links = param.List([])
    here = param.String("")
    dark = param.Boolean(False)

    _esm = f"""
    export function render({{model, el}}) {{
      const nav = document.createElement('nav')
      nav.setAttribute('aria-label', 'Pages')
      for (const [address, title] of model.links) {{
        const link = document.createElement('a')
        link.href = address
        link.textContent = title
        if (address === model.here) link.setAttribute('aria-current', 'page')
        else Object.assign(link, {{target: '_blank', rel: 'noopener'}})
        nav.appendChild(link)
      }}
      el.appendChild(nav)
      model.on('dark', () => {{
        document.cookie = `{COOKIE}=${{model.dark ? 'dark' : 'light'}}; path=/; max-age=31536000; samesite=lax`
      }})
    }}
    """

    @property
    def _linked_properties(self) -> tuple[str, ...]:
        """What browsers may change: nothing."""
        return ()


def is_dark(arguments: Arguments, cookies: Mapping[str, str]) -> bool:
    """Whether a page begins dark: as its address says, else as the last page was.

    Examples
    --------
    >>> is_dark({}, {"pcmlab-theme": "dark"}), is_dark({"theme": [b"default"]}, {"pcmlab-theme": "dark"})
    (True, False)
    """
    asked = (arguments.get("theme") or [b""])[-1].decode("utf-8", "replace")
    return MODES.get(asked, cookies.get(COOKIE) == "dark")


def template(
    header: Any, sidebar: Any, main: list[Any], paint: Callable[[bool], Any], width: int = theme.SIDEBAR_WIDTH
) -> pmui.Page:
    """A page with its title bar.

    Parameters
    ----------
    header, sidebar : panel.viewable.Viewable
        What stands in the title bar, and beside the page.
    main : list
        What fills the page.
    paint : callable
        Gives the plots the colours of a mode: gets whether it is dark.
    width : int
        Of the sidebar [px].
    """
    page = pmui.Page(
        title="pcmlab",
        site_url="./",
        header=[header],
        sidebar=[sidebar],
        main=main,
        sidebar_width=width,
        sidebar_resizable=False,
        busy_indicator=None,
        theme_config=theme.MUI,
        sx=theme.PAGE,
    )
    _cut_busy(page)
    page.param.watch(lambda change: paint(change.new), "dark_theme")
    if page.dark_theme:
        paint(True)
    return page


def navigate(page: pmui.Page, titles: Mapping[str, str], here: str) -> None:
    """Put links to all pages beside the title.

    Parameters
    ----------
    page : panel_material_ui.Page
        From `template`.
    titles : mapping of str to str
        Titles by path, such as ``/race``.
    here : str
        Path of this page.
    """
    links = [(relative(path), title) for path, title in titles.items()]
    bar = Navigation(
        links=links, here=relative(here), dark=page.dark_theme, margin=(0, 0, 0, 14), align="center",
        stylesheets=[LINKS],
    )  # fmt: skip
    page.param.watch(lambda change: bar.param.update(dark=change.new), "dark_theme")
    page.header = [bar, *page.header]


def relative(path: str) -> str:
    """Address of a page as seen from any other: a proxy may serve them all below some folder.

    Examples
    --------
    >>> relative("/"), relative("/race")
    ('./', './race')
    """
    return f".{path}"


def tell(sentence: str, stay: bool = False) -> None:
    """Say what happened; for whoever comes back later, it can `stay` until it is closed."""
    if pn.state.notifications is not None:
        pn.state.notifications.info(sentence, duration=0 if stay else 4000)


def warn(sentence: str, seconds: float = A_WHILE) -> None:
    """Say what went wrong, at most a paragraph of it."""
    if pn.state.notifications is not None:
        short = sentence if len(sentence) <= LONGEST else f"{sentence[: LONGEST - 1]}…"
        pn.state.notifications.error(short, duration=round(1000 * seconds))


def attach(
    document: Document, stream: Stream, keyboard: Keyboard, close: Callable[[], None], problems: Sequence[str] = ()
) -> None:
    """Begin to stream into a browser session, say what was wrong with its address, and end with it."""
    document.theme = theme.OWN
    stream.start(document)
    keyboard.listen(document)
    once_ready(document, lambda: [warn(problem, LONGER) for problem in problems])
    document.on_session_destroyed(lambda _: close())


def _cut_busy(page: pmui.Page) -> None:
    """Stop the page from following the process-wide busy flag.

    Every widget event of every session toggles that flag twice, and each toggle walks the whole
    model tree of every open page.
    """
    with edit_readonly(page):
        page.busy = False


LINKS = """
nav { display: flex; gap: 2px }
a { color: #b9c6d0; text-decoration: none; font-size: 13.5px; line-height: 22px; padding: 14px 10px 11px;
  border-bottom: 3px solid transparent; white-space: nowrap }
a:hover { color: #fff }
a[aria-current] { color: #fff; font-weight: 500; border-color: #4ba9e4 }
a:focus-visible { outline: 2px solid #4ba9e4; outline-offset: -4px; border-radius: 6px }
@media (max-width: 1180px) { a { padding: 14px 6px 11px } }
"""
