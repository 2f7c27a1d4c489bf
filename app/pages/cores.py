"""What the crossbar's card shows of the cores: a part that is made when cores are first switched on."""

from __future__ import annotations

import panel as pn
from bokeh.plotting import figure

from app.pages.cards import WORDS, plot
from app.theme import Palette
from app.views import cores
from app.views.base import View
from app.words import Words
from training.records import LayerSnapshot


class Cores:
    """Cores of one array, beside each other what they hold and what they have converted.

    Parameters
    ----------
    palette : Palette
        Colours to begin with.

    Attributes
    ----------
    view : pn.Column
        The part; hidden, and empty until it is first drawn.
    views : dict of str to View
        The plots, once they are made.
    """

    def __init__(self, palette: Palette) -> None:
        self._palette = palette
        self.views: dict[str, View] = {}
        self._words = Words(html="", margin=(2, 12, 4, 12), sizing_mode="stretch_width", stylesheets=[WORDS, SMALL])
        self.view = pn.Column(sizing_mode="stretch_both", margin=0, visible=False, styles=SHARE)

    def paint(self, palette: Palette) -> None:
        """Take on the colours of a mode."""
        self._palette = palette
        for view in self.views.values():
            view.paint(palette)

    def figures(self) -> dict[str, list[figure]]:
        """The plots, by name."""
        return {name: list(view.figures.values()) for name, view in self.views.items()}

    def draw(self, layer: LayerSnapshot, write_error: float | None, *, coded: bool) -> None:
        """Bring the part up to date; a snapshot from before the cores were switched on leaves it as it is.

        Parameters
        ----------
        layer : LayerSnapshot
            One array.
        write_error, coded : float or None, bool
            As in `cores.html`.
        """
        if layer.core is None:
            return
        view = self._made()
        view.show(cores.columns(layer.core, layer.weights.shape, self._palette))
        cores.fit(view, layer.core)
        self._words.show(cores.html(layer.core, write_error, coded=coded))

    def _made(self) -> View:
        if not self.views:
            view = self.views["cores"] = cores.build(self._palette)
            plots = [plot(shown) for shown in view.figures.values()]
            self.view.objects = [self._words, pn.Row(*plots, sizing_mode="stretch_both", margin=0, styles=SHARE)]
        return self.views["cores"]


SHARE = {"flex": "1 1 0px", "min-height": "0"}
SMALL = """
:host { height: calc(34px * var(--text, 1)) !important; flex: none !important }
.cores { display: grid; grid-template-columns: 1fr auto; gap: 0 6px; font-size: calc(12px * var(--text, 1));
  line-height: 1.35; white-space: nowrap; font-variant-numeric: tabular-nums }
.cores span:nth-child(even) { text-align: right; color: var(--panel-on-secondary-color) }
"""
"""Of a height that is known beforehand: the plots below would not follow one that changes."""
