"""The plots of the Race page, arranged; draws what is known of a race."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

import panel as pn
from bokeh.plotting import figure

from app import lanes
from app.pages.cards import LISTING, WORDS, card, head, head_html, plot
from app.racer import Heat
from app.theme import LIGHT, palette
from app.views import race_curves, race_rows, ranking
from app.views.status import duration, html
from app.words import Words

CURVES_TURNS, ROWS_TURN, RANKING_TURN = (0, 2, 4), 1, 3
"""Turns of `app.stream.Stream` in which each is drawn."""


class RaceBoard:
    """All plots of a race."""

    def __init__(self) -> None:
        self._dark, self._palette = False, palette(False)
        self.curves, self.rows = race_curves.build(self._palette), race_rows.build(self._palette)
        self._heat: Heat | None = None
        self._shown: tuple[object, ...] = ()
        self._addresses: dict[str, str] = {}
        self.legend = head("Learning")
        self.table = Words(
            html="", sizing_mode="stretch_both", margin=(0, 12, 4, 12), stylesheets=[WORDS, LISTING, TABLE]
        )
        self.strip = Words(html="", sizing_mode="stretch_width", height=20, margin=0, stylesheets=[WORDS])
        self.view = self._arrange()

    def carrier(self) -> figure:
        """A figure that lives as long as the page."""
        return self.curves.figures["curves"]

    def figures(self) -> dict[str, list[figure]]:
        """The plots by name."""
        return {"curves": list(self.curves.figures.values()), **{name: [f] for name, f in self.rows.figures.items()}}

    def paint(self, dark: bool | None = None, large: bool | None = None) -> None:
        """Take on the colours of a mode, or another size of text."""
        self._dark = self._dark if dark is None else dark
        self._palette = palette(self._dark, bool(large))
        self.curves.paint(self._palette)
        self.rows.paint(self._palette)
        self._shown = ()
        if self._heat is not None:
            self.draw(self._heat, None)

    def draw(self, heat: Heat, turn: int | None) -> None:
        """Bring the plots up to date; `turn` as in `app.stream.Stream`."""
        self._heat = heat
        self._draw_lanes(heat)
        if turn is None or turn in CURVES_TURNS:
            self.curves.show(race_curves.columns(heat))
            race_curves.fit(self.curves, heat)
        if turn in (None, ROWS_TURN):
            self.rows.show(race_rows.columns(heat, self._palette))
            race_rows.fit(self.rows, heat)
        if turn in (None, RANKING_TURN):
            self.table.show(f'<div class="listing ranking">{ranking.html(heat, self._addresses)}</div>')
        self.strip.show(status(heat))

    def _draw_lanes(self, heat: Heat) -> None:
        """What changes with the lanes alone: the key to the colours, and where they lead."""
        if self._shown != (heat.race,):
            self._shown = (heat.race,)
            self._addresses = {} if heat.race is None else lanes.addresses(heat.race)
            self.legend.show(head_html("Learning", key(heat, self._addresses)))
            self.curves.show(race_curves.leading(heat, self._addresses))

    def _arrange(self) -> pn.Column:
        figures = self.rows.figures
        panes = [plot(shown) for shown in figures.values()]
        for name, pane in zip(figures, panes, strict=True):
            pane.styles = {"flex": f"{WIDTHS.get(name, 1.0)} 1 0px", "min-width": "0"}
        inside = pn.Row(*panes, sizing_mode="stretch_both", margin=0)
        return pn.Column(
            card("l", self.legend, plot(self.curves.figures["curves"])),
            card("r", head("Ranking"), self.table),
            card("i", head("Inside the lanes", NOTE), inside),
            pn.Column(self.strip, margin=0, sizing_mode="stretch_width", styles={"grid-area": "s"}),
            sizing_mode="stretch_both", margin=0, css_classes=["race"], stylesheets=[BOARD],
        )  # fmt: skip


NOTE = "weights of all seeds, log; elsewhere a dot per seed, a bar at their mean"
WIDTHS = {"weights": 2.2}
"""Share of the row's width that a plot takes; 1 unless told."""


def key(heat: Heat, addresses: Mapping[str, str]) -> str:
    """The lanes in their colours, each with its link to Live."""
    if heat.race is None:
        return ""
    titles = lanes.titles(list(heat.race.lanes))
    parts = []
    for lane, place in lanes.places(heat.race).items():
        link = f' href="{escape(addresses[lane])}" target="_blank" title="Open in Live"' if addresses[lane] else ""
        parts.append(f'<a class="lane lane{place}"{link}>━ {escape(titles[lane])}</a>')
    return " ".join(parts)


def status(heat: Heat) -> str:
    """The strip below the plots."""
    state = (
        "running"
        if heat.running
        else ("finished" if heat.over and heat.done else "paused" if not heat.over else "ready")
    )
    ended = heat.over and heat.done < heat.total and heat.done > 0
    entries = {"state": "stopped" if ended else state}
    if heat.total:
        entries["done"] = f"{heat.done:,} of {heat.total:,} trials"
    if heat.done and heat.seconds > 1.0:
        speed = heat.done / heat.seconds
        entries["speed"] = f"{speed:.0f} trials/s"
        entries["time"] = (
            f"{duration(heat.seconds)} so far" if heat.over else f"{duration((heat.total - heat.done) / speed)} left"
        )
    if heat.name:
        entries["kept"] = f"kept as {heat.name}"
    return html(entries)


BOARD = """
:host(.race) { display: grid; gap: 8px; padding: 8px; box-sizing: border-box; height: 100%; width: 100%;
  position: relative; grid-template-columns: minmax(0, 1.35fr) minmax(0, 1fr);
  grid-template-rows: minmax(0, 1.15fr) minmax(230px, 1fr) auto; background: var(--panel-background-color) }
:host(.race) > [style*="grid-area: l"] { grid-area: 1 / 1 / 2 / 2 !important }
:host(.race) > [style*="grid-area: r"] { grid-area: 1 / 2 / 2 / 3 !important }
:host(.race) > [style*="grid-area: i"] { grid-area: 2 / 1 / 3 / 3 !important }
:host(.race) > [style*="grid-area: s"] { grid-area: 3 / 1 / 4 / 3 !important }
@media (max-width: 1180px) {
  :host(.race) { grid-template-columns: minmax(0, 1fr); grid-template-rows: 360px auto 320px auto;
    height: auto !important; overflow: visible }
  :host(.race) > [style*="grid-area: l"] { grid-area: 1 / 1 / 2 / 2 !important }
  :host(.race) > [style*="grid-area: r"] { grid-area: 2 / 1 / 3 / 2 !important; min-height: 300px }
  :host(.race) > [style*="grid-area: i"] { grid-area: 3 / 1 / 4 / 2 !important }
  :host(.race) > [style*="grid-area: s"] { grid-area: 4 / 1 / 5 / 2 !important }
}
"""
TABLE = """
.ranking td.place { font-weight: 700; font-size: calc(14px * var(--text, 1)) }
.ranking .place { text-align: right; font-variant-numeric: tabular-nums; padding-right: 12px }
.swatch { display: inline-block; width: 12px; height: 12px; border-radius: 3px; margin-right: 8px;
  vertical-align: -1px }
.interval { vertical-align: middle } .interval line { stroke-width: 4; stroke-opacity: .45 }
""" + "".join(
    f".swatch.lane{place} {{ background: var(--lane{place}) }}\n"
    f".interval .lane{place} {{ stroke: var(--lane{place}); fill: var(--lane{place}) }}\n"
    for place in range(len(LIGHT.lanes))
)
