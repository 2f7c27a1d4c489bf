"""The cells of a sweep as a table, each with its link to Live."""

from __future__ import annotations

from html import escape

from app.cells import Cells, Statistics
from app.views.sweep_scale import number, short, title, written

MOST = 200
"""Rows that are shown."""


def html(cells: Cells, metric: str) -> str:
    """The table.

    Parameters
    ----------
    cells : Cells
        The sweep.
    metric : str
        What is measured.

    Returns
    -------
    str
        HTML; names are escaped.
    """
    known = cells.statistics(metric)
    heads = [("", title(cells, name), short(cells, name)) for name in cells.names] or [("", "", "cell")]
    heads += [("number", "mean over seeds", metric), ("number", "standard deviation", "SD"), ("number", "runs", "n")]
    head = "".join(
        f'<th scope=col class="{kind}" title="{escape(tip)}">{escape(text)}</th>' for kind, tip, text in heads
    )
    rows = "".join(_row(cells, cell, known) for cell in range(min(cells.number, MOST)))
    more = cells.number - MOST
    rest = f"<p class=caution>… and {more:,} more cells: Export has all of them.</p>" if more > 0 else ""
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{rest}{_troubles(cells)}"


def _row(cells: Cells, cell: int, known: Statistics) -> str:
    labels = [escape(written(value)) for value in cells.labels(cell).values()] or ["all"]
    url = cells.urls[cell]
    if url:
        labels[0] = f'<a href="{escape(url)}" target="_blank" rel="noopener" title="Open in Live">{labels[0]}</a>'
    first = "".join(f"<td>{text}</td>" for text in labels)
    numbers = (number(float(known.mean[cell]), 4), number(float(known.sd[cell]), 2), str(known.number[cell]))
    kind = "" if known.number[cell] else " class=pending"
    return f"<tr{kind}>{first}{''.join(f'<td class=number>{text}</td>' for text in numbers)}</tr>"


def _troubles(cells: Cells) -> str:
    """What runs that ended badly have to say, one sentence per cell."""
    lines = [
        f"<li><b>{escape(', '.join(map(written, cells.labels(cell).values())))}</b>, {escape(text)}</li>"
        for cell, text in sorted(cells.notes.copy().items())[:MOST]
    ]
    return f"<ul class=troubles>{''.join(lines)}</ul>" if lines else ""
