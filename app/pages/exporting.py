"""The export dialog: the run as code, the plots as pictures and data, the checkpoint both ways."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Iterable
from functools import partial
from html import escape
from pathlib import Path
from typing import Any, Protocol

import panel as pn
import panel_material_ui as pmui
from bokeh.plotting import figure

from app import tables
from app.controls import responsive
from app.delivery import soon
from app.download import Downloads
from app.limits import check_size
from app.picture import KINDS
from app.runner import Runner
from app.tables import Curves
from app.trainer import Trainer
from pcmsim.errors import FileError, PCMLabError
from pcmsim.presets import DEVICES
from training import checkpoint, export
from training.config import RunConfig
from training.results import CHECKPOINT

WRITERS = {"CSV": export.to_csv, "Parquet": export.to_parquet}
CODE: dict[str, tuple[str, Callable[[RunConfig, str, int], str]]] = {
    "Python": ("pcmlab_run.py", export.snippet),
    "Command": ("pcmlab_run.txt", export.command),
    "YAML": ("pcmlab_run.yaml", lambda config, preset, trials: config.to_yaml()),
}


class Exports(Protocol):
    """What the dialog needs of the page."""

    runner: Runner

    @property
    def preset(self) -> str:
        """The preset that the run began with."""

    def figures(self) -> dict[str, list[figure]]:
        """The plots by name, each from top to bottom."""

    def curves(self) -> Curves:
        """The curves that the run is compared with."""

    def loaded(self, config: RunConfig) -> None:
        """A checkpoint's run is in force."""

    def tell(self, sentence: str) -> None:
        """Say what happened."""

    def warn(self, sentence: str) -> None:
        """Say what went wrong."""


class ExportDialog:
    """Built when first opened.

    Parameters
    ----------
    page : Exports
        The page.
    downloads : Downloads
        The way to the person's disk.
    """

    def __init__(self, page: Exports, downloads: Downloads) -> None:
        self._page, self._downloads = page, downloads
        self.view = pmui.Dialog(
            title="Export", open=False, show_close_button=True, close_on_click=True, width_option="md"
        )

    def open(self) -> None:
        """Show the dialog for the run as it is now."""
        if not self.view.objects:
            self.view.objects = [self._code(), self._plots(), self._checkpoint()]
        self._write()
        self._downloads.know(plots := self._page.figures())
        self.plot.options = list(plots)
        self.view.open = True

    def _code(self) -> Any:
        self.kind = responsive(
            pmui.RadioButtonGroup(options=list(CODE), value="Python", size="small", label="Kind", margin=0)
        )
        self.text = pn.pane.HTML("", sizing_mode="stretch_width", margin=0, stylesheets=[CODE_LOOK])
        self.kind.param.watch(lambda _: self._write(), "value")
        save = self._button("Download code", self._save_code)
        return pn.Column(_title("This run as code"), pn.Row(self.kind, save), self.text, sizing_mode="stretch_width")

    def _plots(self) -> Any:
        self.plot = self._choice("Plot", self._page.figures())
        self.table = self._choice("Data", tables.TABLES)
        pictures = [self._button(kind.upper(), lambda kind=kind: self._save_picture(kind)) for kind in KINDS]
        data = [self._button(kind, lambda kind=kind: self._save_table(kind)) for kind in WRITERS]
        return pn.Column(
            _title("Pictures and data"),
            pn.Row(self.plot, *pictures, align="end"),
            pn.Row(self.table, *data, align="end"),
            sizing_mode="stretch_width",
        )

    def _checkpoint(self) -> Any:
        self.upload = pmui.FileInput(
            label="Upload checkpoint", accept=".safetensors", multiple=False, size="small", variant="outlined"
        )
        self.upload.param.watch(self._uploaded, "value", onlychanged=False)
        return pn.Column(
            _title("Checkpoint"),
            pn.Row(self._button("Download checkpoint", self._save_checkpoint), self.upload),
            sizing_mode="stretch_width",
        )

    def _write(self) -> str:
        """Show the program as of now."""
        program = self._program()
        self.text.object = f"<pre tabindex=0>{escape(program)}</pre>"
        return program

    def _program(self) -> str:
        shot = self._page.runner.latest
        trials = 1 if shot.record is None else shot.record.trial + 1
        return CODE[self.kind.value][1](shot.config, self._page.preset, trials)

    def _save_code(self) -> None:
        self._downloads.give(CODE[self.kind.value][0], self._write())

    def _save_table(self, kind: str) -> None:
        shot, name = self._page.runner.latest, self.table.value
        if shot.record is not None:
            columns = tables.TABLES[name](shot, self._page.curves())
            self._downloads.give(f"pcmlab_{name}.{kind.lower()}", WRITERS[kind](columns))

    def _save_picture(self, kind: str) -> None:
        self._downloads.picture(self.plot.value, kind, f"pcmlab_{self.plot.value}")

    def _save_checkpoint(self) -> None:
        """The worker writes it between two trials; the page goes on meanwhile."""
        document = pn.state.curdoc

        def hand_over(future: Any) -> None:
            if future.exception() is None:
                soon(document, lambda: self._downloads.give(CHECKPOINT, future.result()))

        self._page.runner.ask(saved).add_done_callback(hand_over)

    def _uploaded(self, change: Any) -> None:
        if not change.new:
            return
        content, name, document = bytes(change.new), str(self.upload.filename), pn.state.curdoc

        def done(future: Any) -> None:
            if future.exception() is None:
                soon(document, lambda: self._page.loaded(future.result()))

        def send() -> None:
            self._page.runner.ask(partial(resume, content=content, name=name)).add_done_callback(done)

        # A large file takes its time to the worker.
        threading.Thread(target=send, daemon=True).start()

    @staticmethod
    def _choice(label: str, options: Iterable[str]) -> Any:
        """As quick as a button: else a click on one could overtake it, and get what was chosen before."""
        return responsive(pmui.Select(label=label, options=list(options), size="small", width=200))

    @staticmethod
    def _button(label: str, act: Callable[[], None]) -> Any:
        button = pmui.Button(label=label, size="small", variant="outlined", margin=(0, 4))
        button.on_click(lambda _: act())
        return responsive(button)


def saved(trainer: Trainer) -> bytes:
    """A checkpoint of the run."""
    with tempfile.TemporaryDirectory() as folder:
        trainer.save(path := str(Path(folder) / CHECKPOINT))
        return Path(path).read_bytes()


def resume(trainer: Trainer, content: bytes, name: str) -> RunConfig:
    """Go on with the run of an uploaded checkpoint; nothing of it makes the server open another file.

    Parameters
    ----------
    trainer : Trainer
        On the worker's thread.
    content : bytes
        The file.
    name : str
        What the person calls it.

    Raises
    ------
    PCMLabError
        If it is no checkpoint, is damaged, or is too large a run for the page; the old run goes on.
    """
    with tempfile.TemporaryDirectory() as folder:
        (path := Path(folder) / CHECKPOINT).write_bytes(content)
        try:
            if checkpoint.device_preset(path) not in DEVICES:
                raise PCMLabError(f"{name}: its device comes from a file; resume it with pcmlab resume")
            check_size(checkpoint.read(path)[0])
            return trainer.resume(str(path))
        except FileError as error:
            raise PCMLabError(f"{name}: {error.problem}") from error


def _title(text: str) -> pn.pane.HTML:
    return pn.pane.HTML(f"<h3>{text}</h3>", margin=(8, 0, 0, 0), sizing_mode="stretch_width")


CODE_LOOK = """
pre { max-height: 260px; overflow: auto; margin: 0; padding: 10px; font-size: 12px; border: 1px solid var(--line, #ccc);
  border-radius: 6px }
"""
