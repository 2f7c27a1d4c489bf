"""The frame around a plot: a title, a note beside it, the plot, and words where there is nothing to plot."""

from __future__ import annotations

from typing import Any

import panel as pn
from bokeh.plotting import figure

from app.theme import LIGHT
from app.words import Words

CARD = """
:host { background: var(--panel-surface-color); border: 1px solid var(--line); border-radius: 8px;
  overflow: hidden; min-width: 0; min-height: 0; position: relative; align-self: stretch !important }
"""
HEAD = """
:host { container-type: inline-size }
.head { display: flex; align-items: baseline; gap: 10px; padding: 6px 8px 0 12px; white-space: nowrap; height: 22px }
.head h2 { font-size: calc(13px * var(--text, 1)); font-weight: 700; margin: 0; flex: none;
  color: var(--panel-on-surface-color) }
.head .note { font-size: calc(11.5px * var(--text, 1));
  color: var(--panel-on-secondary-color); overflow: hidden; text-overflow: ellipsis }
.head .note + .note { margin-left: auto }
.head i { font-style: normal; font-weight: 500 } .head b { font-weight: inherit }
@container (max-width: 150px) { .head { gap: 6px; padding-right: 0 } .head b { display: none } }
.head i.run { color: var(--run) } .head i.twin { color: var(--twin) }
.head a.lane { margin-right: 12px; font-weight: 500; text-decoration: none }
.head a.lane:hover { text-decoration: underline }
.head i.plus { color: var(--plus) } .head i.minus { color: var(--minus) }
""" + "".join(f".head .lane{place} {{ color: var(--lane{place}) }}\n" for place in range(len(LIGHT.lanes)))
COVER = """
:host { position: absolute !important; inset: 28px 0 0 0; width: auto !important; height: auto !important; z-index: 2;
  align-self: stretch !important; justify-self: stretch !important;
  background: var(--panel-surface-color) }
:host > div { height: 100% }
.cover { height: 100%; display: grid; place-items: center; padding: 0 24px; text-align: center;
  font-size: calc(13px * var(--text, 1)); line-height: 1.5; color: var(--panel-on-secondary-color) }
"""
BOARD = """
:host(.board) { display: grid; gap: 8px; padding: 8px; box-sizing: border-box; height: 100%; width: 100%;
  position: relative; grid-template-columns: repeat(60, minmax(0, 1fr));
  grid-template-rows: minmax(0, 1.25fr) minmax(0, 1fr) minmax(172px, .76fr) auto;
  background: var(--panel-background-color) }
@media (min-height: 800px) {  /* Large text has room for its words below a plot. */
  :host(.board) { grid-template-rows: minmax(0, 1.25fr) minmax(0, 1fr)
    minmax(calc(172px + 300px * (var(--text, 1) - 1)), .76fr) auto }
}
:host(.board) > [style*="grid-area: a"] { grid-area: 1 / 1 / 2 / 36 !important }
:host(.board) > [style*="grid-area: l"] { grid-area: 1 / 36 / 2 / 61 !important }
:host(.board) > [style*="grid-area: x"] { grid-area: 2 / 1 / 3 / 23 !important }
:host(.board) > [style*="grid-area: c"] { grid-area: 2 / 23 / 3 / 39 !important }
:host(.board) > [style*="grid-area: d"] { grid-area: 2 / 39 / 3 / 61 !important }
:host(.board) > [style*="grid-area: q"] { grid-area: 3 / 1 / 4 / 23 !important }
:host(.board) > [style*="grid-area: h"] { grid-area: 3 / 23 / 4 / 41 !important }
:host(.board) > [style*="grid-area: b"] { grid-area: 3 / 41 / 4 / 61 !important }
:host(.board) > [style*="grid-area: s"] { grid-area: 4 / 1 / 5 / 61 !important }
@media (max-width: 1180px) {
  :host(.board) { grid-template-rows: 330px 270px 280px 250px 250px auto; height: auto !important; overflow: visible }
  :host(.board) > [style*="grid-area: a"] { grid-area: 1 / 1 / 2 / 61 !important }
  :host(.board) > [style*="grid-area: l"] { grid-area: 2 / 1 / 3 / 61 !important }
  :host(.board) > [style*="grid-area: x"] { grid-area: 3 / 1 / 4 / 31 !important }
  :host(.board) > [style*="grid-area: c"] { grid-area: 3 / 31 / 4 / 61 !important }
  :host(.board) > [style*="grid-area: d"] { grid-area: 4 / 1 / 5 / 31 !important }
  :host(.board) > [style*="grid-area: q"] { grid-area: 4 / 31 / 5 / 61 !important }
  :host(.board) > [style*="grid-area: h"] { grid-area: 5 / 1 / 6 / 26 !important }
  :host(.board) > [style*="grid-area: b"] { grid-area: 5 / 26 / 6 / 61 !important }
  :host(.board) > [style*="grid-area: s"] { grid-area: 6 / 1 / 7 / 61 !important }
}
"""
SMALL_BUTTON = """
button.MuiButton-root { text-transform: none; font-size: calc(12px * var(--text, 1));
  padding: 0 3px; line-height: 1.6; white-space: nowrap }
"""
WORDS = """
:host { font-size: calc(12.5px * var(--text, 1)); color: var(--panel-on-surface-color) }
.happening { height: 100%; overflow: auto; scrollbar-width: thin }
.happening p { margin: 3px 0 6px; line-height: 1.4 }
.happening.alarm p:first-child { color: var(--minus) }
dl { display: grid; grid-template-columns: auto 1fr; gap: 1px 12px; margin: 0; font-variant-numeric: tabular-nums }
dt { color: var(--panel-on-secondary-color) } dd { margin: 0 }
.honesty { font-size: calc(12px * var(--text, 1)); color: var(--panel-on-secondary-color); margin: 0 }
.honesty b { color: var(--panel-on-surface-color); font-weight: 500 }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; width: 100% } td, th { padding: 0 0 1px }
th { font-weight: 400; text-align: left; color: var(--panel-on-secondary-color) } td { text-align: right }
.total td { font-weight: 600; border-top: 1px solid var(--line) } table + p { margin: 4px 0 0 }
.strip { display: flex; gap: 18px; padding: 1px 12px 0; min-height: 18px; white-space: nowrap; overflow: hidden;
  color: var(--panel-on-secondary-color); font-variant-numeric: tabular-nums }
.strip [data-status=state] { font-weight: 600; min-width: 68px }
.strip [data-status=state]::before { content: "●"; margin-right: 6px }
.strip.running [data-status=state] { color: var(--run) }
.strip [data-status=seed] { margin-left: auto }
@media (max-width: 1180px) { .strip { flex-wrap: wrap; gap: 0 14px } }
"""


LISTING = """
.listing { height: 100%; overflow: auto }
.listing table { width: 100%; border-collapse: collapse; font-size: calc(12.5px * var(--text, 1)) }
.listing td, .listing th { padding: 4px 6px 4px 0; text-align: left; white-space: nowrap;
  border-bottom: 1px solid var(--line) }
.listing thead th { font-weight: 400 }
.listing .number { text-align: right; font-variant-numeric: tabular-nums; padding-right: 12px }
.listing th.lane { color: var(--panel-on-surface-color); font-weight: 500 }
.listing a { color: inherit; text-decoration: underline; text-decoration-color: var(--line);
  text-underline-offset: 3px }
.listing a:hover { text-decoration-color: currentColor }
.listing .caution { color: var(--panel-on-secondary-color); margin: 8px 0 0; line-height: 1.4 }
.listing .troubles { margin: 8px 0 0; padding-left: 16px; line-height: 1.4 }
"""
"""A table that fills its card, and scrolls."""


def head(title: str, *notes: str) -> Words:
    """The line above a plot.

    Parameters
    ----------
    title : str
        Its name.
    *notes : str
        HTML: a key to the colours, a unit; the last stands at the right.
    """
    return Words(html=head_html(title, *notes), sizing_mode="stretch_width", height=28, margin=0, stylesheets=[HEAD])


def head_html(title: str, *notes: str) -> str:
    """The line's text."""
    spans = "".join(f'<span class="note">{note}</span>' for note in notes)
    return f'<div class="head"><h2>{title}</h2>{spans}</div>'


def card(area: str, top: Any, *plots: Any) -> pn.Column:
    """A card in the grid area `area`, its line `top` above the plots."""
    return pn.Column(top, *plots, sizing_mode="stretch_both", margin=0, stylesheets=[CARD], styles={"grid-area": area})


def plot(shown: figure, weight: float = 1.0) -> pn.pane.Bokeh:
    """A figure that takes a share `weight` of its card's height."""
    shown.styles = {"flex": f"{weight} 1 0px", "min-height": "0"}
    return pn.pane.Bokeh(shown, sizing_mode="stretch_both", margin=(0, 4, 2, 2))


def cover(text: str) -> pn.pane.HTML:
    """Words that hide a plot that has nothing to show."""
    return pn.pane.HTML(f'<div class="cover"><p>{text}</p></div>', visible=False, margin=0, stylesheets=[COVER])


def row(*parts: Any) -> pn.Row:
    """The top of a card, of several parts."""
    return pn.Row(*parts, margin=0, sizing_mode="stretch_width", stylesheets=[TOP])


TOP = ":host { height: 32px; flex: none !important; overflow: hidden; align-items: center }"
CHOICE = """
:host { margin: 4px 8px 0 0 !important }
.MuiInputBase-root { font-size: calc(12px * var(--text, 1)); height: 24px }
label, .MuiInputLabel-root, legend { display: none !important } fieldset { top: 0 !important }
.MuiSelect-select { padding: 2px 24px 2px 8px !important }
"""
"""A drop-down list that fits into a card's top."""
