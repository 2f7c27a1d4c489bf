"""The dialog for data of one's own."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from pathlib import Path
from typing import Any, Protocol

import panel as pn
import panel_material_ui as pmui

from app.controls import responsive
from app.delivery import aside
from app.patches.file_input import ALL, LARGEST, receive
from app.uploads import KINDS, Uploads
from training.config import RunConfig

ENDINGS = ("ubyte", ".gz", ".h5", ".hdf5", ".csv")
"""Of the names of files that a task reads."""

PLAIN = """
:host { font-size: calc(14px * var(--text, 1)) } p { margin: 4px 0 }
button, .MuiButton-root, .MuiToggleButton-root { text-transform: none !important;
  font-size: calc(13px * var(--text, 1)) }
"""


class Begins(Protocol):
    """What the dialog needs of the page."""

    def configs(self) -> Iterable[RunConfig]:
        """The configurations in force and asked for."""

    def begin(self, config: RunConfig) -> None:
        """Begin a new run with other settings."""

    def warn(self, sentence: str) -> None:
        """Say what went wrong."""


class DataDialog:
    """Built when first opened.

    Parameters
    ----------
    page : Begins
        The page.
    folder : Path
        For the files.
    """

    def __init__(self, page: Begins, folder: Path) -> None:
        self._page, self._uploads = page, Uploads(folder)
        self.view = pmui.Dialog(
            title="Data of your own", open=False, show_close_button=True, close_on_click=True, width_option="sm"
        )

    def open(self) -> None:
        """Show the dialog."""
        if not self.view.objects:
            self.view.objects = self._parts()
        self.view.open = True

    def _parts(self) -> list[Any]:
        labels = {kind.label: name for name, kind in KINDS.items()}
        self.kind = responsive(
            pmui.RadioButtonGroup(
                options=labels, value="mnist", size="small", label="Kind of data", margin=0, stylesheets=[PLAIN]
            )
        )
        self.expected = pn.pane.HTML(self._expected(), sizing_mode="stretch_width", margin=(6, 0), stylesheets=[PLAIN])
        self.kind.param.watch(lambda _: self.expected.param.update(object=self._expected()), "value")
        self.files = pmui.FileInput(
            label="Choose the files", multiple=True, size="small", variant="outlined", max_file_size=LARGEST,
            max_total_file_size=ALL, margin=0, stylesheets=[PLAIN], align="center",
        )  # fmt: skip
        receive(self.files, ENDINGS, self._page.warn)
        self.train = pmui.Button(
            label="Check and train", size="small", variant="contained", margin=(0, 12), stylesheets=[PLAIN],
            align="center",
        )  # fmt: skip
        self.train.on_click(lambda _: self._train())
        note = "The files stay on this server while the page is open. What does not fit is said; the run lives on."
        return [
            self.kind,
            self.expected,
            pn.Row(self.files, responsive(self.train), margin=0),
            pn.pane.HTML(f"<p>{note}</p>", sizing_mode="stretch_width", margin=(6, 0), stylesheets=[PLAIN]),
        ]

    def _expected(self) -> str:
        return f"<p>{escape(KINDS[self.kind.value].expected)}</p>"

    def _train(self) -> None:
        """Begin a run on what was uploaded; the worker reads it, and says what is wrong with it."""
        contents, names = self.files.value or [], self.files.filename or []
        if isinstance(names, str):
            contents, names = [contents], [names]
        kind, files, used = self.kind.value, dict(zip(names, contents, strict=True)), self._page.configs()
        self.train.disabled = True
        aside(pn.state.curdoc, lambda: self._uploads.take(kind, files, used), self._begin, self._refuse)

    def _begin(self, config: RunConfig) -> None:
        self.train.disabled = self.view.open = False
        self.files.clear()
        self._page.begin(config)

    def _refuse(self, sentence: str) -> None:
        """The files stay chosen: perhaps only their kind was wrong."""
        self.train.disabled = False
        self._page.warn(sentence)
