"""The way from page to page: links in the top bar. Each opens a tab of its own, so that no run or race is lost."""

from __future__ import annotations

import panel as pn

PAGES = {"Live": "./", "Race": "race", "Sweep": "sweep"}
"""Pages by name, with their address relative to each other's."""


def links(current: str) -> pn.pane.HTML:
    """Links to all pages, the present one marked.

    Parameters
    ----------
    current : str
        Name of the page that they stand on.
    """
    return pn.pane.HTML(html(current), margin=(0, 6), align="center", stylesheets=[LOOK])


def html(current: str) -> str:
    """The links.

    Examples
    --------
    >>> html("Race")  # doctest: +ELLIPSIS
    '<nav aria-label="Pages"><a href="./" target="_blank" rel="noopener">Live</a><a aria-current="page">Race</a>...'
    """
    parts = [
        f'<a aria-current="page">{name}</a>'
        if name == current
        else f'<a href="{place}" target="_blank" rel="noopener">{name}</a>'
        for name, place in PAGES.items()
    ]
    return f'<nav aria-label="Pages">{"".join(parts)}</nav>'


LOOK = """
nav { display: flex; gap: 4px; font-size: 13px; white-space: nowrap }
a { color: #c9d5de; text-decoration: none; padding: 4px 8px; border-radius: 4px }
a[href]:hover { background: #22303c; color: #fff }
a:focus-visible { outline: 2px solid #c9d5de }
a[aria-current] { color: #fff; font-weight: 500; box-shadow: inset 0 -2px #4aa8e0; border-radius: 0 }
"""
