"""The export dialog: files hold what the run is, checkpoints go on as if never stopped, bad ones change nothing."""

from __future__ import annotations

import csv
import hashlib
import html
import io
import json
import pickle
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from app_kit import until
from bokeh.document import Document
from bokeh.plotting import figure
from panel.io.state import set_curdoc
from pyarrow import parquet
from safetensors.torch import load_file, save

from app.download import Downloads
from app.history import CURVE, Table
from app.pages.exporting import WRITERS, ExportDialog
from app.runner import Runner
from app.tables import TABLES
from app.worker import Worker
from pcmsim.foundation import confinement
from training.checkpoint import BLANK
from training.config import RunConfig
from training.export import command
from training.session import Session

TINY = RunConfig().with_values(
    {
        "seed": 7,
        "network.hidden": 8,
        "network.threshold": 0.02,
        "core.enabled": True,
        "task": {"name": "pattern", "inputs": 5, "duration": 0.05},
    }
)


class Page:
    """What the dialog sees of a page."""

    preset = "mixed-precision"

    def __init__(self, runner: Runner | Worker | None = None) -> None:
        self.runner = runner or Runner(TINY)
        self.ghosts: list[tuple[str, Table]] = []
        self.plots: dict[str, list[figure]] = {"learning": [figure()], "activity": [figure(), figure()]}
        self.taken: list[RunConfig] = []

    def figures(self) -> dict[str, list[figure]]:
        return self.plots

    def curves(self) -> list[tuple[str, Table]]:
        return self.ghosts

    def loaded(self, config: RunConfig) -> None:
        self.taken.append(config)

    def tell(self, sentence: str) -> None: ...

    def warn(self, sentence: str) -> None: ...

    @property
    def trial(self) -> int:
        record = self.runner.latest.record
        return -1 if record is None else record.trial


class Bench:
    """A page, its dialog, and the session's document."""

    def __init__(self) -> None:
        self.page, self.document = Page(), Document()
        until(lambda: self.page.trial == 0)
        self.downloads = Downloads(self.page.figures())
        self.dialog = ExportDialog(self.page, self.downloads)
        with set_curdoc(self.document):
            self.dialog.open()

    def train(self, trials: int) -> None:
        goal = self.page.trial + trials
        for _ in range(trials):
            self.page.runner.step()
        until(lambda: self.page.trial == goal)

    def press(self, label: str) -> None:
        (button,) = [each for each in self.dialog.view.select(lambda each: getattr(each, "label", "") == label)]
        with set_curdoc(self.document):
            button.clicks += 1

    def file(self) -> tuple[str, str, bytes]:
        """The latest file that was handed to the browser."""
        (name,), (kind,), (body,) = (self.downloads.files.data[key] for key in ("name", "kind", "body"))
        return name, kind, body.tobytes()

    def table(self, kind: str) -> tuple[str, str, bytes]:
        """The chosen table as a file."""
        self.press(kind)
        self.later()
        return self.file()

    def later(self) -> None:
        """Do what waits for the document's next tick."""
        until(lambda: self.document.session_callbacks)
        with set_curdoc(self.document):
            for waiting in list(self.document.session_callbacks):
                waiting.callback()

    def checkpoint(self) -> bytes:
        self.press("Download checkpoint")
        self.later()
        self.later()
        return self.file()[2]

    def upload(self, content: bytes, name: str = "run.safetensors") -> None:
        """Until it lies where the worker finds it."""
        with set_curdoc(self.document):
            self.dialog.upload.param.update(filename=name, value=content)
        self.later()

    def refused(self, content: bytes, name: str = "run.safetensors") -> str:
        """What is said about an upload that does not work."""
        self.upload(content, name)
        until(lambda: self.page.runner.notices)
        return self.page.runner.notices.popleft()


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.page.runner.stop(timeout=20.0)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of another run after six trials."""
    path = tmp_path_factory.mktemp("saved") / "run.safetensors"
    session = Session(OTHER)
    for _ in session.run(6):
        pass
    session.save(path)
    return path


OTHER = TINY.with_values({"seed": 11, "scheme": "sign"})


def changed(
    saved: Path, header: Callable[[dict[str, str]], None], tensors: Callable[[dict], None] | None = None
) -> bytes:
    """A checkpoint with another header or other tensors, whose checksum is right."""
    raw = saved.read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    told = json.loads(raw[8 : 8 + length])["__metadata__"]
    header(told)
    values = load_file(saved)
    if tensors is not None:
        tensors(values)
    content = save(values, {**told, "checksum": BLANK})
    named = f'"checksum":"{hashlib.sha256(content).hexdigest()}"'
    return content.replace(f'"checksum":"{BLANK}"'.encode(), named.encode(), 1)


def configured(values: dict[str, Any]) -> Callable[[dict[str, str]], None]:
    """Change a header's configuration, field by field, without asking whether it makes sense."""

    def change(told: dict[str, str]) -> None:
        config = json.loads(told["config"])
        for name, value in values.items():
            *parents, last = name.split(".")
            place = config
            for parent in parents:
                place = place[parent]
            place[last] = value
        told["config"] = json.dumps(config)

    return change


def keep(told: dict[str, str]) -> None: ...


def test_the_code_shown_is_the_code_saved_and_counts_the_trials(bench: Bench, tmp_path: Path) -> None:
    bench.train(4)
    for kind, name, mime in (
        ("Python", "pcmlab_run.py", "text/x-python"),
        ("Command", "pcmlab_run.txt", "text/plain"),
        ("YAML", "pcmlab_run.yaml", "application/yaml"),
    ):
        bench.dialog.kind.value = kind
        bench.press("Download code")
        told, given, content = bench.file()
        assert (told, given) == (name, mime)
        shown = bench.dialog.text.object.removeprefix("<pre tabindex=0>").removesuffix("</pre>")
        assert html.unescape(shown) == content.decode()
    (path := tmp_path / name).write_bytes(content)
    assert RunConfig.from_yaml(path) == TINY
    bench.dialog.kind.value = "Command"
    bench.press("Download code")
    assert bench.file()[2].decode() == command(TINY, "mixed-precision", 5)


def test_the_saved_program_trains_the_run(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.train(3)
    bench.press("Download code")
    monkeypatch.chdir(tmp_path)
    exec(compile(bench.file()[2], "pcmlab_run.py", "exec"), {"__name__": "__main__"})
    (written,) = tmp_path.glob("*.safetensors")
    again = Session.resume(written)
    assert again.trial == 4
    for layer, taken in again.snapshot().items():
        assert np.array_equal(taken.weights, bench.page.runner.latest.snapshot[layer].weights)


def test_the_dialog_tells_the_run_as_it_is_when_opened(bench: Bench) -> None:
    assert '"seed": 7' in html.unescape(bench.dialog.text.object)
    bench.page.runner.reset(TINY.with_values({"seed": 8}), 1)
    until(lambda: bench.page.runner.latest.run == 2)
    bench.dialog.open()
    assert '"seed": 8' in html.unescape(bench.dialog.text.object)


def test_tables_hold_the_run_and_what_it_is_compared_with(bench: Bench) -> None:
    other = {name: np.arange(2.0) for name in CURVE}
    bench.page.ghosts = [("pinned <1>", other)]
    bench.train(3)
    assert bench.dialog.table.options == list(TABLES)
    name, mime, content = bench.table("CSV")
    assert (name, mime) == ("pcmlab_learning.csv", "text/csv")
    rows = list(csv.DictReader(io.StringIO(content.decode())))
    losses = [record.loss for record in Session(TINY).run(4)]
    assert [float(row["loss"]) for row in rows] == [*losses, 0.0, 1.0]
    assert [row["run"] for row in rows] == ["this run"] * 4 + ["pinned <1>"] * 2


@pytest.mark.parametrize("table", TABLES)
def test_parquet_and_csv_hold_the_same(table: str, bench: Bench) -> None:
    bench.dialog.table.value = table
    name, mime, content = bench.table("Parquet")
    assert (name, mime) == (f"pcmlab_{table}.parquet", "application/octet-stream")
    rows = parquet.read_table(io.BytesIO(content)).to_pylist()
    lines = list(csv.DictReader(io.StringIO(bench.table("CSV")[2].decode())))
    assert len(lines) == len(rows) > 0
    for line, row in zip(lines[:50], rows[:50], strict=True):
        assert {key: type(row[key])(text) for key, text in line.items()} == row


def test_pictures_are_wished_for_by_plot_and_kind(bench: Bench) -> None:
    bench.dialog.plot.value = "activity"
    for kind in ("png", "svg"):
        bench.press(kind.upper())
        wish = {"plot": ["activity"], "kind": [kind], "name": ["pcmlab_activity"]}
        assert bench.downloads.pictures.data.items() >= wish.items()


def test_plots_made_later_can_be_saved_too(bench: Bench) -> None:
    bench.page.plots = bench.page.plots | {"cell": [later := figure()]}
    with set_curdoc(bench.document):
        bench.dialog.open()
    assert bench.dialog.plot.options == ["learning", "activity", "cell"]
    (saver,) = bench.downloads.pictures.js_property_callbacks["change:data"]
    assert saver.args["plots"]["cell"] == [later]
    assert list(saver.args["plots"]) == bench.dialog.plot.options


def test_a_downloaded_checkpoint_goes_on_as_the_run_does(bench: Bench, tmp_path: Path) -> None:
    bench.train(4)
    (path := tmp_path / "mine").write_bytes(bench.checkpoint())
    assert bench.file()[0].endswith(".safetensors")
    assert bench.page.runner.latest.saved == 4
    losses = [record.loss for record in Session.resume(path).run(3)]
    bench.train(3)
    assert bench.page.runner.latest.curve.columns()["loss"][-3:].tolist() == losses


def test_an_uploaded_run_goes_on_as_if_it_had_never_stopped(bench: Bench, saved: Path) -> None:
    alone = Session(OTHER)
    losses = [record.loss for record in alone.run(12)]
    bench.upload(saved.read_bytes())
    bench.later()
    assert bench.page.taken == [OTHER]
    assert bench.page.runner.latest.config == OTHER
    bench.train(5)
    table = bench.page.runner.latest.curve.columns()
    assert table["trial"].tolist() == [6, 7, 8, 9, 10, 11]
    assert table["loss"].tolist() == losses[6:]
    for layer, taken in alone.snapshot().items():
        assert np.array_equal(taken.weights, bench.page.runner.latest.snapshot[layer].weights)


def test_the_same_file_can_be_uploaded_again(bench: Bench, saved: Path) -> None:
    for run in (2, 3):
        bench.upload(saved.read_bytes())
        bench.later()
        assert (bench.page.runner.latest.run, bench.page.trial) == (run, 6)
        bench.train(2)


def test_a_run_that_is_playing_plays_on_with_the_upload(bench: Bench, saved: Path) -> None:
    bench.page.runner.start()
    until(lambda: bench.page.trial > 5)
    bench.upload(saved.read_bytes())
    bench.later()
    until(lambda: bench.page.runner.latest.run == 2 and bench.page.trial > 10)
    assert bench.page.runner.latest.running


def test_no_copy_of_a_checkpoint_stays_behind_once_it_has_arrived(bench: Bench, saved: Path) -> None:
    bench.upload(saved.read_bytes())
    bench.later()
    assert bench.page.taken == [OTHER]
    assert not bench.dialog.upload.value
    bench.checkpoint()
    assert list(bench.page.runner.folder.iterdir()) == []


def test_nothing_large_is_made_or_sent_where_pages_are_served(
    bench: Bench, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads, sent, send = [], [], bench.page.runner._connection.send
    monkeypatch.setattr(bench.page.runner._connection, "send", lambda what: (sent.append(what), send(what)))
    monkeypatch.setitem(WRITERS, "CSV", lambda columns: threads.append(threading.current_thread()) or b"")
    monkeypatch.setattr(Path, "write_bytes", noted(threads, Path.write_bytes))
    monkeypatch.setattr(Path, "read_bytes", noted(threads, Path.read_bytes))
    content = saved.read_bytes()
    threads.clear()
    bench.table("CSV")
    bench.upload(content)
    bench.later()
    bench.checkpoint()
    assert len(threads) == 3
    assert threading.current_thread() not in threads
    assert max(len(pickle.dumps(what)) for what in sent) < 1000 < len(content)


def noted(threads: list[threading.Thread], act: Callable[..., Any]) -> Callable[..., Any]:
    """The same, and on which thread."""

    def noting(*arguments: Any) -> Any:
        threads.append(threading.current_thread())
        return act(*arguments)

    return noting


def test_a_table_that_cannot_be_written_is_told_of(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(columns: object) -> bytes:
        raise OSError("no space left")

    told: list[str] = []
    monkeypatch.setattr(bench.page, "warn", told.append)
    monkeypatch.setitem(WRITERS, "CSV", fail)
    bench.press("CSV")
    bench.later()
    assert told == ["OSError: no space left"]


def untouched(bench: Bench) -> None:
    """The old run is in force, and goes on as if nothing had been uploaded."""
    shot = bench.page.runner.latest
    assert (shot.run, shot.config, bench.page.taken) == (1, TINY, [])
    bench.train(2)
    alone = Session(TINY)
    expected = [record.loss for record in alone.run(bench.page.trial + 1)]
    assert bench.page.runner.latest.curve.columns()["loss"].tolist() == expected
    for layer, taken in alone.snapshot().items():
        assert np.array_equal(taken.weights, bench.page.runner.latest.snapshot[layer].weights)
    assert not bench.page.runner.notices
    assert not bench.document.session_callbacks


@pytest.mark.parametrize(
    "content",
    [b"\x00", b"PK\x03\x04" * 100, struct.pack("<Q", 2**60) + b"{}", struct.pack("<Q", 10**6), b"\x80\x04." * 9],
)
def test_what_is_no_checkpoint_is_refused_under_its_own_name(content: bytes, bench: Bench) -> None:
    said = bench.refused(content, "holiday.jpg")
    assert said.startswith("holiday.jpg: is damaged or not a checkpoint of pcmlab")
    assert "/tmp" not in said
    untouched(bench)


def test_a_checkpoint_cut_short_is_refused(bench: Bench, saved: Path) -> None:
    content = saved.read_bytes()
    for length in (7, 40, len(content) // 2, len(content) - 1):
        assert bench.refused(content[:length]).startswith("run.safetensors: is damaged or not a checkpoint")
    untouched(bench)


HEADERS: dict[str, tuple[Callable[[dict[str, str]], None], str]] = {
    "another program's": (lambda told: told.update(format="theirs"), "is not a checkpoint of pcmlab"),
    "of the future": (
        lambda told: told.update(version="3"),
        "has checkpoint version 3, this pcmlab reads versions 1 to 2",
    ),
    "no configuration": (lambda told: told.pop("config") and None, "header cannot be read"),
    "no progress": (lambda told: told.pop("progress") and None, "header cannot be read"),
    "configuration of nonsense": (
        lambda told: told.update(config="[1, 2"),
        "holds a value that does not fit: is not valid JSON",
    ),
    "a list for a configuration": (lambda told: told.update(config="[]"), "header cannot be read"),
    "too deep": (lambda told: told.update(config="[" * 10**5), ""),
    "negative trial": (lambda told: told.update(progress='{"trial": -1}'), "Progress.trial: must be"),
    "endless time": (lambda told: told.update(progress='{"device_time": Infinity}'), "Progress.device_time: must be"),
    "a trial beyond counting": (lambda told: told.update(progress=f'{{"trial": {10**40}}}'), ""),
    "unknown scheme": (configured({"scheme": {"name": "magic"}}), "unknown update scheme 'magic'"),
    "value out of bounds": (configured({"network.threshold": -1.0}), "threshold: must be"),
    "too many neurons": (configured({"network.hidden": 4000}), "at most 1,000 hidden neurons, got 4,000"),
    "too many steps": (configured({"task.duration": 99.0, "device.update_interval": 1e3}), "at most 20,000 time steps"),
    "too many devices": (
        configured({"network.hidden": 1000, "device.devices": 64}),
        "at most 10,000,000 memory devices",
    ),
    "another size": (configured({"network.hidden": 9}), "has the wrong shape or type"),
}


@pytest.mark.parametrize("name", HEADERS)
def test_a_hostile_header_is_refused_and_the_run_goes_on(name: str, bench: Bench, saved: Path) -> None:
    header, problem = HEADERS[name]
    assert problem in bench.refused(changed(saved, header))
    untouched(bench)


@pytest.mark.parametrize(
    ("tensors", "problem"),
    [
        (lambda values: values.pop("feedback") is None, "tensor 'feedback' is missing"),
        (lambda values: values.update(more=values["feedback"].clone()), "tensor 'more' is unknown"),
        (lambda values: values.update(feedback=values["feedback"].double()), "'feedback' has the wrong shape or type"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(
    tensors: Callable[[dict], None], problem: str, bench: Bench, saved: Path
) -> None:
    assert problem in bench.refused(changed(saved, keep, tensors))
    untouched(bench)


@pytest.mark.parametrize("field", ["device.preset", "task.spikes"])
def test_no_upload_makes_the_server_open_a_file(field: str, tmp_path: Path, saved: Path) -> None:
    """In the worker's process, whose bounds are those of the session's folder."""
    for name in ("other.yaml", "shadow.yaml"):
        (tmp_path / name).write_text("secret,words\n1,2")
    task = {"task": {"name": "csv", "targets": str(tmp_path / "other.yaml")}} if field == "task.spikes" else {}
    confinement.confine()
    bench = Bench()
    try:
        for path in (str(tmp_path / "shadow.yaml"), "../../etc/hostname.yaml", "/etc/passwd.yaml"):
            said = bench.refused(changed(saved, configured({**task, field: path})))
            assert "must be the path of a file that was uploaded here, got " in said
            assert "secret" not in said
        untouched(bench)
    finally:
        bench.page.runner.stop(timeout=20.0)


def test_a_run_that_never_began_has_no_checkpoint_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(config: RunConfig) -> None:
        raise MemoryError("too large")

    with monkeypatch.context() as broken:
        broken.setattr("app.trainer.Session", fail)
        page = Page(Worker(TINY))
        until(lambda: page.runner.notices)
    monkeypatch.setattr(page.runner, "path", lambda: tmp_path / "run", raising=False)
    page.runner.notices.clear()
    dialog, document = ExportDialog(page, downloads := Downloads(page.figures())), Document()
    try:
        with set_curdoc(document):
            dialog.open()
            dialog._save_checkpoint()
            dialog._save_table("CSV")
        until(lambda: page.runner.notices)
        assert list(page.runner.notices) == ["There is no run yet."]
        assert downloads.files.data["name"] == []
    finally:
        page.runner.stop(timeout=20.0)
