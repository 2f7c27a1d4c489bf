"""What is to be swept, and with what: the text, what is known of it, workers, store, earlier sweeps; in the sidebar."""

from __future__ import annotations

import math
from collections.abc import Callable
from html import escape
from typing import Any

import panel as pn
import panel_material_ui as pmui

from app.controls import STYLE, heading, note, responsive
from app.pages.cards import WORDS
from app.scout import Draft
from app.sweep.grants import Grants
from app.sweep_text import EXAMPLE, LONGEST
from app.sweeper import Means
from app.views.status import duration
from app.words import Words
from training.store import folder
from training.workers import cores

WIDTH = 396
"""Of the sidebar [px]."""

NONE = "–"

NOTE = (
    "Every combination of the fields is run for every seed. What is finished is kept in the run store: a "
    "sweep that was stopped goes on where it was, here or with <code>pcmlab sweep</code>. A click on a cell "
    "opens it in Live."
)


class Plan:
    """The sidebar.

    Parameters
    ----------
    changed : callable
        Called when another text or store is to be looked at.
    opened : callable
        Called with the name of an earlier sweep that is to be opened.
    grants : Grants
        What the person may name.
    """

    def __init__(self, changed: Callable[[], None], opened: Callable[[str], None], grants: Grants) -> None:
        self._changed, self._opened, self._grants, self._quiet = changed, opened, grants, False
        self.text = EXAMPLE
        self.editor = responsive(
            pmui.TextAreaInput(
                label="Sweep (YAML)", value=EXAMPLE, rows=12, max_length=LONGEST, size="small",
                sizing_mode="stretch_width", margin=(9, 0, 3, 0), stylesheets=[STYLE, EDITOR],
            )
        )  # fmt: skip
        self.found = Words(html="", sizing_mode="stretch_width", margin=(0, 0, 4, 0), stylesheets=[WORDS, FOUND])
        self.workers = responsive(
            pmui.IntSlider(
                label="Workers", value=cores(), start=1, end=max(cores(), 2), step=1, size="small",
                sizing_mode="stretch_width", margin=(1, 0), stylesheets=[STYLE],
            )
        )  # fmt: skip
        self.scheduler = _line(
            "Dask scheduler, host:port", grants.address, "--allow-scheduler", granted=grants.scheduler
        )
        self.folder = _line("Run store, a folder", str(folder()), "--allow-paths", granted=grants.paths)
        self.earlier = responsive(
            pmui.Select(
                label="Earlier sweeps", options=[NONE], value=NONE, size="small", sizing_mode="stretch_width",
                margin=(9, 0, 3, 0), stylesheets=[STYLE],
            )
        )  # fmt: skip
        for event in ("value", "value_input"):
            self.editor.param.watch(self._typed, event)
        self.folder.param.watch(lambda _: self._changed(), "value")
        self.earlier.param.watch(self._picked, "value")
        self.view = pn.Column(
            heading("What is swept"), self.editor, self.found, self.earlier, heading("With what"), self.workers,
            self.scheduler, self.folder, note(NOTE), margin=(4, 14, 10, 14), sizing_mode="stretch_width",
        )  # fmt: skip

    def means(self) -> Means:
        """What the sweep is to be done with; a browser may send what its widgets do not let a person enter."""
        workers = min(max(1, self.workers.value), cores())
        named = self.folder.value.strip() if self._grants.paths else ""
        scheduler = self.scheduler.value.strip() if self._grants.scheduler else self._grants.address
        return Means(named or str(folder()), workers, scheduler)

    def show(self, draft: Draft) -> None:
        """Say what is known of the text."""
        self.found.show(found(draft, self.text, self.means()))
        options = [NONE, *draft.earlier]
        if self.earlier.options != options:
            self._silently(
                self.earlier, options=options, value=self.earlier.value if self.earlier.value in options else NONE
            )

    def write(self, text: str) -> None:
        """Put another text into the editor."""
        self.text = text
        self._silently(self.editor, value=text)

    def _typed(self, change: Any) -> None:
        if not self._quiet and change.new != self.text:
            self.text = change.new
            self._silently(self.earlier, value=NONE)
            self._changed()

    def _picked(self, change: Any) -> None:
        if not self._quiet and change.new != NONE:
            self._opened(change.new)

    def _silently(self, widget: Any, **values: Any) -> None:
        self._quiet = True
        try:
            widget.param.update(**values)
        finally:
            self._quiet = False


def found(draft: Draft, text: str, means: Means) -> str:
    """What is known of a text, as HTML.

    Parameters
    ----------
    draft : Draft
        The latest that is known.
    text : str
        What stands in the editor.
    means : Means
        What it would be done with.
    """
    if draft.text != text or (not draft.problem and draft.cells is None):
        return '<p role="status" class="quiet">looking …</p>'
    if draft.problem or draft.sweep is None or draft.cells is None:
        return f'<p role="alert" class="problem">{escape(draft.problem)}</p>'
    cells, seeds = draft.cells.number, len(draft.cells.seeds)
    parts = [f"{draft.sweep.size:,} runs: {_many(cells, 'cell')} × {_many(seeds, 'seed')}"]
    if done := draft.cells.finished:
        parts.append(f"{done:,} finished before")
    if math.isfinite(draft.seconds) and done < draft.cells.total:
        width = 1 if means.scheduler else min(means.workers, draft.sweep.size)
        left = draft.seconds / width * (1.0 - done / draft.cells.total)
        parts.append(f"about {duration(float(f'{left:.2g}'))} on {_many(width, 'worker')}")
    return f'<p role="status">{", ".join(parts)}</p>'


def _many(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _line(name: str, value: str, option: str, *, granted: bool) -> Any:
    tip = {} if granted else {"description": f"Fixed, unless the server is started with {option}."}
    widget = pmui.TextInput(
        label=name, value=value, size="small", disabled=not granted, sizing_mode="stretch_width", margin=(9, 0, 3, 0),
        stylesheets=[STYLE], **tip,
    )  # fmt: skip
    return responsive(widget)


EDITOR = """
textarea { font-family: ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace !important;
  font-size: calc(12px * var(--text, 1)) !important; line-height: 1.45 !important; white-space: pre !important;
  overflow: auto !important; tab-size: 2 }
"""
FOUND = """
p { margin: 2px 0; line-height: 1.4; font-size: calc(12px * var(--text, 1)); color: var(--panel-on-secondary-color);
  overflow-wrap: anywhere }
p.problem { color: var(--minus); max-height: 9em; overflow: auto }
"""
