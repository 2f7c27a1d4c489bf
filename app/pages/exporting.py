"""The export dialog: the run as code, the plots as pictures and data, the checkpoint both ways."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future
from functools import partial
from html import escape
from operator import methodcaller
from pathlib import Path
from typing import Any, Protocol

import panel as pn
import panel_material_ui as pmui
from bokeh.plotting import figure

from app import tables
from app.controls import responsive
from app.delivery import aside, soon
from app.download import Downloads
from app.limits import check_size
from app.patches.file_input import LARGEST, receive
from app.picture import KINDS
from app.runner import Runner
from app.tables import Curves
from app.trainer import Trainer
from app.uploads import check_room
from pcmsim.errors import FileError, PCMLabError
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
            label="Upload checkpoint", accept=".safetensors", multiple=False, size="small", variant="outlined",
            max_file_size=LARGEST,
        )  # fmt: skip
        receive(self.upload, (".safetensors",), self._page.warn)
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
            curves = self._page.curves()
            self._hand_out(f"pcmlab_{name}.{kind.lower()}", lambda: WRITERS[kind](tables.TABLES[name](shot, curves)))

    def _hand_out(self, name: str, make: Callable[[], bytes]) -> None:
        aside(pn.state.curdoc, make, lambda content: self._downloads.give(name, content), self._page.warn)

    def _save_picture(self, kind: str) -> None:
        self._downloads.picture(self.plot.value, kind, f"pcmlab_{self.plot.value}")

    def _save_checkpoint(self) -> None:
        """The worker writes it between two trials; the page goes on meanwhile."""
        path = self._page.runner.path()
        self._ask(methodcaller("save", str(path)), lambda _: self._hand_out(CHECKPOINT, partial(taken, path)))

    def _uploaded(self, change: Any) -> None:
        """The worker reads it between two trials; what is wrong with it is among the runner's notices."""
        if not change.new:
            return
        content, name, path = change.new, str(self.upload.filename), self._page.runner.path()
        self.upload.clear()
        aside(
            pn.state.curdoc,
            lambda: kept(path, content),
            lambda _: self._ask(partial(resume, path=path, name=name), self._page.loaded),
            self._page.warn,
        )

    def _ask(self, action: Callable[[Trainer], Any], then: Callable[[Any], None]) -> None:
        """What comes of it is for the session's turn; what goes wrong is told by the runner."""
        document = pn.state.curdoc

        def done(future: Future[Any]) -> None:
            if future.exception() is None:
                soon(document, lambda: then(future.result()))

        self._page.runner.ask(action).add_done_callback(done)

    @staticmethod
    def _choice(label: str, options: Iterable[str]) -> Any:
        """As quick as a button: else a click on one could overtake it, and get what was chosen before."""
        return responsive(pmui.Select(label=label, options=list(options), size="small", width=200))

    @staticmethod
    def _button(label: str, act: Callable[[], None]) -> Any:
        button = pmui.Button(label=label, size="small", variant="outlined", margin=(0, 4))
        button.on_click(lambda _: act())
        return responsive(button)


def kept(path: Path, content: bytes) -> None:
    """Put an upload where the worker finds it; raises `PCMLabError` if the disk has no room for it."""
    check_room(path.parent, len(content))
    path.write_bytes(content)


def taken(path: Path) -> bytes:
    """What is in a file, which is then removed."""
    content = path.read_bytes()
    path.unlink()
    return content


def resume(trainer: Trainer, path: Path, name: str) -> RunConfig:
    """Go on with the run of an uploaded checkpoint; the worker's bounds hold for the files that it names.

    Parameters
    ----------
    trainer : Trainer
        On the worker's thread.
    path : Path
        Where it lies; it is removed.
    name : str
        What the person calls it.

    Raises
    ------
    PCMLabError
        If it is no checkpoint, is damaged, or is too large a run for the page; the old run goes on.
    """
    try:
        check_size(checkpoint.read(path)[0])
        return trainer.resume(str(path))
    except FileError as error:
        raise PCMLabError(f"{name}: {error.problem}") from error
    finally:
        path.unlink(missing_ok=True)


def _title(text: str) -> pn.pane.HTML:
    return pn.pane.HTML(f"<h3>{text}</h3>", margin=(8, 0, 0, 0), sizing_mode="stretch_width")


CODE_LOOK = """
pre { max-height: 260px; overflow: auto; margin: 0; padding: 10px; font-size: 12px; border: 1px solid var(--line, #ccc);
  border-radius: 6px }
"""
