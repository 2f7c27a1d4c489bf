"""Files from the server to the person's disk, and text to the clipboard, without leaving the page."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from bokeh.models import ColumnDataSource, CustomJS
from bokeh.plotting import figure

from app import picture

SAVE = """
const {name: [name], kind: [kind], body: [body]} = cb_obj.data
if (name === undefined) return
const link = document.createElement('a')
link.href = URL.createObjectURL(new Blob([body], {type: kind}))
link.download = name
link.click()
setTimeout(() => URL.revokeObjectURL(link.href), 10000)
cb_obj.data = {count: [], name: [], kind: [], body: []}
"""
"""Saves a file; from then on neither the browser nor, as it hears of that, the server keeps it."""

KINDS = {"py": "text/x-python", "yaml": "application/yaml", "csv": "text/csv", "txt": "text/plain"}
BINARY = "application/octet-stream"


class Downloads:
    """Hands files to the browser, which saves them.

    Parameters
    ----------
    plots : mapping of str to sequence of bokeh.plotting.figure
        Plots of which the browser can save pictures.
    """

    def __init__(self, plots: Mapping[str, Sequence[figure]]) -> None:
        self._wishes = itertools.count(1)
        self.pictures = ColumnDataSource({"plot": [""], "kind": [""], "name": [""], "count": [0]}, name="pictures")
        self._known, self._saver = set(plots), picture.wished(plots)
        self.pictures.js_on_change("data", self._saver)
        self.files = ColumnDataSource({"count": [], "name": [], "kind": [], "body": []}, name="files")
        self.files.js_on_change("data", CustomJS(code=SAVE))

    def know(self, plots: Mapping[str, Sequence[figure]]) -> None:
        """Let the browser save pictures of these plots: some are made later than the page."""
        if set(plots) != self._known:
            self._known, self._saver.args = set(plots), picture.wished(plots).args

    def give(self, name: str, content: bytes | str) -> None:
        """Save `content` as a file called `name`.

        Parameters
        ----------
        name : str
            File name; its ending tells the kind.
        content : bytes or str
            Text is written as UTF-8.
        """
        raw = np.frombuffer(content.encode("utf-8") if isinstance(content, str) else content, np.uint8)
        kind = KINDS.get(name.rsplit(".", 1)[-1], BINARY)
        self.files.data = self._wish(name=name, kind=kind, body=raw)

    def picture(self, plot: str, kind: str, name: str) -> None:
        """Save a plot as a picture.

        Parameters
        ----------
        plot : str
            One of the plots.
        kind : str
            ``png`` or ``svg``.
        name : str
            File name without its ending.
        """
        self.pictures.data = self._wish(plot=plot, kind=kind, name=name)

    def _wish(self, **columns: Any) -> dict[str, list[Any]]:
        """Counted, so that the same wish for the second time is a change, which the browser hears of.

        The count comes first: where it differs, Bokeh compares no contents.
        """
        return {"count": [next(self._wishes)], **{name: [value] for name, value in columns.items()}}
