"""The learning card: the loss over trials; of a classifier also its accuracy, its confusions and examples."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import panel as pn
import panel_material_ui as pmui
from bokeh.plotting import figure

from app.controls import responsive
from app.exam import Scores
from app.history import SMOOTHING
from app.pages.cards import CHOICE, card, head, head_html, plot, row
from app.pages.comparison import Comparison
from app.shot import Shot
from app.theme import Palette
from app.views import accuracy, confusion, gallery, learning
from app.views.base import View
from app.words import Words

LOSS, ACCURACY, CONFUSION, EXAMPLES = "Loss", "Accuracy", "Confusion", "Examples"
CALM = 100.0
"""Trials over which accuracies are smoothed at first: single decisions are right or wrong."""

LOSS_KEY = '<i class="run">━━ run</i> &nbsp; ╍╍ silent'
ACCURACY_KEY = '<i class="run"><b>━ </b>{}</i> <i class="plus"><b>━ unseen </b>{}</i>'
"""What is in bold is left out where there is no room for it."""


class Progress:
    """What the run has learned so far; the parts of a classifier are made when one runs.

    Parameters
    ----------
    palette : Palette
        Colours to begin with.

    Attributes
    ----------
    view : pn.Column
        The card.
    views : dict of str to View
        Plots that were made, by name.
    comparison : Comparison
        What the run is compared with.
    kind : pmui.Select
        Which part is shown.
    """

    def __init__(self, palette: Palette) -> None:
        self._palette, self._shot = palette, None
        self.views: dict[str, View] = {"learning": learning.build(palette)}
        self.comparison = Comparison(self.redraw)
        self._head = head("Learning", LOSS_KEY)
        self.kind = pmui.Select(
            options=[ACCURACY, LOSS, CONFUSION, EXAMPLES], value=LOSS, size="small", label="Learning view", width=94,
            margin=0, stylesheets=[CHOICE], visible=False,
        )  # fmt: skip
        responsive(self.kind).param.watch(lambda _: self.redraw(), "value")
        self._parts: dict[str, Any] = {LOSS: plot(self.views["learning"].figures["curve"])}
        self.view = card(
            "l", row(self._head, self.kind, self.comparison.ideal, self.comparison.smoothing), self.comparison.pins,
            self._parts[LOSS],
        )  # fmt: skip

    def paint(self, palette: Palette) -> None:
        """Take on the colours of a mode."""
        self._palette = palette
        for view in self.views.values():
            view.paint(palette)

    def figures(self) -> dict[str, list[figure]]:
        """The plots that are on the screen, by name."""
        shown = {LOSS: "learning", ACCURACY: "accuracy", CONFUSION: "confusion"}.get(self.kind.value)
        return {shown: list(self.views[shown].figures.values())} if shown in self.views else {}

    def draw(self, shot: Shot) -> None:
        """Bring the part that is shown up to date."""
        self._shot = shot
        scores = None if shot.look is None else shot.look.scores
        self._offer(scores)
        self.comparison.ideal.visible = not shot.config.scheme.digital
        PARTS[self.kind.value](self, shot, scores)
        for name, part in self._parts.items():
            part.visible = name == self.kind.value

    def redraw(self) -> None:
        """The same run, shown otherwise."""
        if self._shot is not None and self._shot.record is not None:
            # Together, as in a frame: else what a new plot shows would reach the browser before the plot.
            with pn.io.hold(policy="collect"):
                self.draw(self._shot)

    def _offer(self, scores: Scores | None) -> None:
        """A classifier shows its accuracy first; what a person chose then stays. Regression has its loss alone."""
        if (scores is not None) == self.kind.visible:
            return
        self.kind.visible = scores is not None
        usual, other = (CALM, SMOOTHING) if scores is not None else (SMOOTHING, CALM)
        if self.comparison.smoothing.value == round(other):
            self.comparison.smoothing.value = round(usual)
        self.kind.value = LOSS if scores is None else ACCURACY

    def _part(self, name: str, build: Callable[[], Any]) -> Any:
        """A part of the card; made and added when first wanted."""
        if name not in self._parts:
            self._parts[name] = build()
            self.view.append(self._parts[name])
        return self._parts[name]

    def _plot(self, name: str, module: Any) -> View:
        """The view of a part that is a plot."""
        key = name.lower()

        def build() -> pn.pane.Bokeh:
            self.views[key] = module.build(self._palette)
            return plot(self.views[key].figures[key])

        self._part(name, build)
        return self.views[key]

    def _draw_loss(self, shot: Shot, scores: Scores | None) -> None:
        view, trials = self.views["learning"], self.comparison.trials
        table = learning.smoothed(shot.curve.columns(), trials)
        ghosts = [ghost.smoothed(trials) for ghost in self.comparison.ghosts(shot)]
        view.show(learning.columns(table, ghosts))
        learning.fit(view, table)
        self._head.show(head_html("Learning", LOSS_KEY))

    def _draw_accuracy(self, shot: Shot, scores: Scores | None) -> None:
        if scores is None:
            return
        view, trials = self._plot(ACCURACY, accuracy), self.comparison.trials
        table = learning.smoothed(shot.curve.columns(), trials, "correct")
        ghosts = [ghost.smoothed(trials, "correct") for ghost in self.comparison.ghosts(shot)]
        view.show(accuracy.columns(table, len(scores.names), ghosts))
        accuracy.fit(view, table)
        told = ACCURACY_KEY.format(_percent(scores.accuracy), _percent(scores.held_accuracy))
        self._head.show(head_html("Learning", told))

    def _draw_confusion(self, shot: Shot, scores: Scores | None) -> None:
        if scores is None:
            return
        view = self._plot(CONFUSION, confusion)
        view.show(confusion.columns(scores, self._palette))
        confusion.fit(view, scores)
        self._head.show(head_html("Learning", f"%, {confusion.source_of(scores)}"))

    def _draw_examples(self, shot: Shot, scores: Scores | None) -> None:
        if scores is None:
            return
        words = self._part(EXAMPLES, lambda: Words(sizing_mode="stretch_both", stylesheets=[gallery.STYLE]))
        words.show(gallery.html(scores))
        self._head.show(head_html("Learning"))


def _percent(share: float) -> str:
    return "–" if math.isnan(share) else f"{share:.0%}"


PARTS: dict[str, Callable[[Progress, Shot, Scores | None], None]] = {
    LOSS: Progress._draw_loss,
    ACCURACY: Progress._draw_accuracy,
    CONFUSION: Progress._draw_confusion,
    EXAMPLES: Progress._draw_examples,
}
