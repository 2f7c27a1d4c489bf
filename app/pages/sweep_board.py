"""The plots of the Sweep page, arranged; draws what is known of a sweep."""

from __future__ import annotations

from collections.abc import Callable
from html import escape

import panel as pn
from bokeh.plotting import figure

from app.pages.cards import LISTING, WORDS, card, head, head_html, plot, row
from app.pages.looking import Looking
from app.sweeper import Harvest
from app.theme import Palette, palette
from app.views import sweep_lines, sweep_map, sweep_table
from app.views.status import duration, html
from app.views.sweep_scale import colours, written
from app.words import Words
from training.jobs import METRICS

MAP_TURNS, LINES_TURN, TABLE_TURN = (0, 3), 1, 2
"""Turns of `app.stream.Stream` in which each is drawn."""

MOST_NAMED = 8
"""Lines that the key names."""


BETTER = {"minimize": "less is better", "maximize": "more is better"}


class SweepBoard:
    """All plots of a sweep.

    Parameters
    ----------
    changed : callable
        Called when something else of the sweep is looked at.
    """

    def __init__(self, changed: Callable[[], None]) -> None:
        self._palette = palette(False)
        self.map, self.lines = sweep_map.build(self._palette), sweep_lines.build(self._palette)
        self.looking = Looking(changed)
        self._harvest: Harvest | None = None
        self.legend, self.listed = head("Lines"), head("Cells")
        self.table = Words(
            html="", sizing_mode="stretch_both", margin=(0, 12, 4, 12), stylesheets=[WORDS, LISTING, FAINT]
        )
        self.strip = Words(html="", sizing_mode="stretch_width", height=20, margin=0, stylesheets=[WORDS])
        self.view = self._arrange()

    def carrier(self) -> figure:
        """A figure that lives as long as the page."""
        return self.map.figures["map"]

    def figures(self) -> dict[str, list[figure]]:
        """The plots by name."""
        return {name: [shown] for name, shown in (self.map.figures | self.lines.figures).items()}

    def paint(self, dark: bool) -> None:
        """Take on the colours of a mode."""
        self._palette = palette(dark)
        self.map.paint(self._palette)
        self.lines.paint(self._palette)
        if self._harvest is not None:
            self.draw(self._harvest, None)

    def draw(self, harvest: Harvest, turn: int | None) -> None:
        """Bring the plots up to date; `turn` as in `app.stream.Stream`."""
        self._harvest, cells = harvest, harvest.cells
        self.strip.show(html(status(harvest)))
        if cells is None or harvest.sweep is None:
            return
        self.looking.offer(cells, harvest.metrics, harvest.sweep.metric)
        look = self.looking.look()
        if turn is None or turn in MAP_TURNS:
            self.map.show(sweep_map.columns(cells, look, self._palette))
            sweep_map.fit(self.map, cells, look)
        if turn in (None, LINES_TURN):
            self.lines.show(sweep_lines.columns(cells, look, self._palette))
            sweep_lines.fit(self.lines, cells, look)
            self.legend.show(head_html("Lines", key(cells.along(look.down), self._palette), "mean ± SD over seeds"))
        if turn in (None, TABLE_TURN):
            self.listed.show(head_html("Cells", f"{look.metric}: {BETTER[METRICS[look.metric].direction]}"))
            self.table.show(f'<div class="listing">{sweep_table.html(cells, look.metric)}</div>')

    def _arrange(self) -> pn.Column:
        name = head("Heat map")
        name.param.update(sizing_mode="fixed", width=80)
        top = row(name, *self.looking.view)
        return pn.Column(
            card("m", top, plot(self.map.figures["map"])),
            card("l", self.legend, plot(self.lines.figures["lines"])),
            card("t", self.listed, self.table),
            pn.Column(self.strip, margin=0, sizing_mode="stretch_width", styles={"grid-area": "s"}),
            sizing_mode="stretch_both", margin=0, css_classes=["sweep"], stylesheets=[BOARD],
        )  # fmt: skip


def key(values: tuple[object, ...], shown: Palette) -> str:
    """The lines in their colours; of many, the first and the last."""
    named = [escape(written(value)) for value in values]
    if named == [""]:
        return ""
    if len(named) <= MOST_NAMED:
        return " ".join(f'<a class="lane lane{place}">━ {name}</a>' for place, name in enumerate(named))
    first, *_, last = colours(len(named), shown)
    return f'<i style="color:{first}">━ {named[0]}</i> … <i style="color:{last}">━ {named[-1]}</i>'


def status(harvest: Harvest) -> dict[str, str]:
    """Entries of the strip below the plots."""
    cells = harvest.cells
    if cells is None:
        return {"state": "starting" if harvest.running else "ready"}
    whole = cells.finished == cells.total
    state = "running" if harvest.running else ("finished" if whole else "stopped" if harvest.over else "ready")
    entries = {"state": state, "done": f"{cells.finished:,} of {cells.total:,} runs"}
    if harvest.running and harvest.width:
        entries["width"] = f"{harvest.width:,} at a time"
        left = harvest.left()
        entries["time"] = f"{duration(float(f'{left:.2g}'))} left" if left is not None else "first runs under way"
    elif harvest.over and harvest.seconds >= 1.0:
        entries["time"] = f"took {duration(float(f'{harvest.seconds:.3g}'))}"
    if harvest.begun and harvest.sweep is not None and cells.finished:
        entries["kept"] = f"runs kept in {harvest.folder}"
    return entries


BOARD = """
:host(.sweep) { display: grid; gap: 8px; padding: 8px; box-sizing: border-box; height: 100%; width: 100%;
  position: relative; grid-template-columns: minmax(0, 1.3fr) minmax(0, 1fr);
  grid-template-rows: minmax(0, 1fr) minmax(0, 1fr) auto; background: var(--panel-background-color) }
:host(.sweep) > [style*="grid-area: m"] { grid-area: 1 / 1 / 3 / 2 !important }
:host(.sweep) > [style*="grid-area: l"] { grid-area: 1 / 2 / 2 / 3 !important }
:host(.sweep) > [style*="grid-area: t"] { grid-area: 2 / 2 / 3 / 3 !important }
:host(.sweep) > [style*="grid-area: s"] { grid-area: 3 / 1 / 4 / 3 !important }
@media (max-width: 1180px) {
  :host(.sweep) { grid-template-columns: minmax(0, 1fr); grid-template-rows: 420px 320px 340px auto;
    height: auto !important; overflow: visible }
  :host(.sweep) > [style*="grid-area: m"] { grid-area: 1 / 1 / 2 / 2 !important }
  :host(.sweep) > [style*="grid-area: l"] { grid-area: 2 / 1 / 3 / 2 !important }
  :host(.sweep) > [style*="grid-area: t"] { grid-area: 3 / 1 / 4 / 2 !important }
  :host(.sweep) > [style*="grid-area: s"] { grid-area: 4 / 1 / 5 / 2 !important }
}
"""
FAINT = ".listing tr.pending td { color: var(--panel-on-secondary-color) }"
