"""What the export dialog hands out is the run on the page: run again, read again and gone on with, it is the same."""

from __future__ import annotations

import csv
import hashlib
import io
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from browser_kit import WAIT, Live
from dialog_kit import code, download, open_export, pick
from PIL import Image
from playwright.sync_api import expect
from pyarrow import parquet

from app import tables
from app.history import Curve, Drift
from app.shot import Shot
from app.theme import LIGHT
from training.config import RunConfig
from training.presets import PRESETS
from training.records import TrialRecord
from training.session import Session

pytestmark = pytest.mark.browser

ROOT = Path(__file__).parents[2]
CHECKSUM = re.compile(rb'("checksum":")[0-9a-f]{64}')
CHANGES = {"seed": 5, "network.hidden": 40, "scheme.name": "sign", "precision.weight_bits": 3}
QUERY = "?" + "&".join(f"{name}={value}" for name, value in CHANGES.items())
CONFIG = PRESETS["mixed-precision"].config.with_values(
    {"seed": 5, "network.hidden": 40, "scheme": "sign", "precision.weight_bits": 3}
)


def trained(config: RunConfig, trials: int) -> tuple[Session, list[TrialRecord]]:
    """The library's own run, without a page."""
    session = Session(config)
    session.observe()
    return session, list(session.run(trials))


def losses(live: Live) -> list[float]:
    """The run's learning curve."""
    return list(live.drawn("Line", "trial", "loss", "smooth", colour=LIGHT.run)[0]["loss"])


def program(folder: Path, *words: str) -> str:
    """What a Python program prints that runs in `folder`."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_code_of_each_kind_gives_the_losses_of_the_page(stay, tmp_path: Path) -> None:
    live = stay(QUERY)
    live.step_to(4)
    live.becomes(lambda: len(losses(live)), 5)
    shown = pytest.approx(losses(live), rel=1e-6)
    dialog = open_export(live)

    (tmp_path / "run.py").write_text(code(dialog, "Python", "from training"), "utf-8")
    printed = [line.split() for line in program(tmp_path, "run.py").splitlines()]
    assert [int(trial) for trial, _ in printed] == list(range(5))
    assert [float(loss) for _, loss in printed] == shown

    command = (tmp_path / "line.sh").write_text(code(dialog, "Command", "pcmlab run"), "utf-8")
    assert command > 0
    words = subprocess.run(
        ["sh", "-c", f"printf '%s\\n' {(tmp_path / 'line.sh').read_text('utf-8')}"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    assert words[:3] == ["pcmlab", "run", "mixed-precision"]
    program(tmp_path, "-m", "training.cli", *words[1:], "--quiet")
    with (tmp_path / "runs" / "mixed-precision" / "trials.csv").open(encoding="utf-8") as file:
        assert [float(row["loss"]) for row in csv.DictReader(file)] == shown

    assert RunConfig.from_dict(yaml.safe_load(code(dialog, "YAML", "seed:"))) == CONFIG
    name, content = download(live, dialog, "Download code")
    assert name == "pcmlab_run.yaml"
    (tmp_path / name).write_bytes(content)
    assert RunConfig.from_yaml(tmp_path / name) == CONFIG
    close(live)


def rows(content: bytes) -> dict[str, list[str]]:
    """Columns of a CSV file."""
    names, *lines = csv.reader(io.StringIO(content.decode("utf-8")))
    columns = map(list, zip(*lines, strict=True)) if lines else ([] for _ in names)
    return dict(zip(names, columns, strict=True))


def test_tables_hold_what_the_library_gives_for_the_same_run(stay) -> None:
    live = stay(QUERY)
    live.page.get_by_role("switch", name="Ideal").click()
    live.step_to(4)
    session, records = trained(CONFIG, 5)
    curve, drift = Curve(), Drift()
    for record in records:
        curve.append(record)
        drift.append(record)
    shot = Shot(0, 0, False, CONFIG, record=records[-1], curve=curve, drift=drift, snapshot=session.snapshot())
    live.becomes(lambda: len(losses(live)), 5)
    dialog = open_export(live)
    for name, table in tables.TABLES.items():
        expected = {column: np.asarray(values) for column, values in table(shot, []).items()}
        pick(live, dialog, "Data", name)
        saved, content = download(live, dialog, "CSV")
        assert saved == f"pcmlab_{name}.csv"
        text = rows(content)
        assert list(text) == list(expected)
        saved, content = download(live, dialog, "Parquet")
        assert saved == f"pcmlab_{name}.parquet"
        typed = parquet.read_table(io.BytesIO(content))
        assert typed.column_names == list(expected)
        for column, values in expected.items():
            assert len(values) > 0 or name == "conversions"
            if values.dtype.kind == "U":
                assert text[column] == typed[column].to_pylist() == values.tolist(), (name, column)
            else:
                numbers = typed[column].to_numpy()
                np.testing.assert_array_equal(np.array(text[column], float), numbers.astype(float))
                np.testing.assert_allclose(numbers, values, rtol=1e-6, err_msg=f"{name}.{column}")
    close(live)


def test_every_plot_on_offer_is_saved_as_a_picture_as_often_as_wanted(visit) -> None:
    live = visit()
    live.step_to(2)
    live.pick(0.5, 0.5)
    expect(live.page.locator(".inspector").get_by_text("50 → 50 · recurrent")).to_be_visible(timeout=WAIT)
    dialog = open_export(live)
    dialog.get_by_role("combobox", name="Plot").click()
    expect(live.page.get_by_role("menuitem").first).to_be_visible(timeout=WAIT)
    names = live.page.get_by_role("menuitem").all_text_contents()
    live.page.keyboard.press("Escape")
    assert {"activity", "learning", "crossbar", "conductance", "drift", "asked", "budget", "cell"} <= set(names)
    for plot in names:
        pick(live, dialog, "Plot", plot)
        for kind, check in CHECKS.items():
            saved, content = download(live, dialog, kind)
            assert saved == f"pcmlab_{plot}.{kind.lower()}"
            check(content)
    assert download(live, dialog, kind)[0] == saved


def is_png(content: bytes) -> None:
    """A picture that shows something."""
    with Image.open(io.BytesIO(content)) as image:
        assert image.format == "PNG"
        assert min(image.size) > 80
        assert len(set(image.convert("L").getdata())) > 5


def is_svg(content: bytes) -> None:
    """A drawing with lines or text in it."""
    root = ET.fromstring(content)
    assert root.tag.endswith("svg")
    assert len(list(root.iter())) > 10


CHECKS: dict[str, Callable[[bytes], None]] = {"PNG": is_png, "SVG": is_svg}


def upload(live: Live, content: bytes, name: str = "checkpoint.safetensors") -> None:
    """Give the page a checkpoint."""
    file = {"name": name, "mimeType": "application/octet-stream", "buffer": content}
    live.page.get_by_role("dialog", name="Export").locator("input[type=file]").set_input_files(file)


def close(live: Live) -> None:
    """Close the dialog."""
    live.page.keyboard.press("Escape")
    expect(live.page.get_by_role("dialog")).to_have_count(0, timeout=WAIT)


def test_a_checkpoint_goes_on_as_if_the_run_had_never_stopped(stay, tmp_path: Path) -> None:
    live = stay(QUERY)
    run, version = live.begin(), live.frame("config_version")
    live.step_to(3)
    dialog = open_export(live)
    name, content = download(live, dialog, "Download checkpoint")
    assert name == "checkpoint.safetensors"
    assert live.page.evaluate("Bokeh.documents[0].get_model_by_name('files').data.body") == []
    close(live)
    live.step_to(6)
    live.slider("Write noise").focus()
    live.page.keyboard.press("End")
    live.wait(f"config > {version}")
    open_export(live)
    upload(live, content)
    live.says("goes on from where it was saved")
    live.wait(f"run === {run + 1} && trial === 4")
    close(live)
    live.step_to(7)
    _, records = trained(CONFIG, 8)
    live.becomes(lambda: losses(live), pytest.approx([record.loss for record in records[4:]], rel=1e-6))
    assert RunConfig.from_dict(yaml.safe_load(code(open_export(live), "YAML", "seed:"))) == CONFIG
    close(live)
    (tmp_path / name).write_bytes(content)
    resumed = Session.resume(tmp_path / name)
    assert [record.loss for record in resumed.run(4)] == pytest.approx(losses(live), rel=1e-6)


def test_the_same_checkpoint_can_be_uploaded_twice(stay) -> None:
    live = stay(QUERY)
    first = live.begin()
    live.step_to(1)
    dialog = open_export(live)
    _, content = download(live, dialog, "Download checkpoint")
    for run in (first + 1, first + 2):
        upload(live, content)
        live.wait(f"run === {run} && trial === 2")
    close(live)


DAMAGED: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "short": (lambda content: content[:-1000], "mine.safetensors: is damaged or not a checkpoint of pcmlab"),
    "text": (lambda content: b"not a checkpoint", "mine.safetensors: is damaged or not a checkpoint of pcmlab"),
    "header": (lambda content: content.replace(b'\\"seed\\": 5', b'\\"seed\\": x'), "mine.safetensors: holds a value that does not fit: is not valid JSON"),
    "changed": (lambda content: content.replace(b'\\"seed\\": 5', b'\\"seed\\": 6'), "mine.safetensors: is damaged: its content does not have the checksum"),
    "value": (lambda content: content.replace(b'\\"seed\\": 5', b'\\"seed\\":-5'), "mine.safetensors: holds a value that does not fit"),
    "shape": (lambda content: content.replace(b'\\"hidden\\": 40', b'\\"hidden\\": 41'), "mine.safetensors: is damaged: tensor"),
    "size": (lambda content: content.replace(b'\\"duration\\": 1.0', b'\\"duration\\": 9e8'), "mine.safetensors: holds a value that does not fit: Pattern.duration"),
    "file": (lambda content: content.replace(b'\\"nandakumar2018\\"', b'\\"/etc/host.yaml\\"'), "must be the path of a file that was uploaded here"),
}  # fmt: skip
UNSIGNED = {"short", "text", "changed"}


def signed(content: bytes) -> bytes:
    """With the checksum that this content has, as another tool could write it."""
    blank = CHECKSUM.sub(rb"\g<1>" + b"0" * 64, content)
    return CHECKSUM.sub(rb"\g<1>" + hashlib.sha256(blank).hexdigest().encode(), content)


def test_damaged_checkpoints_are_told_and_the_run_lives_on(stay) -> None:
    live = stay(QUERY)
    run = live.begin()
    live.step_to(2)
    dialog = open_export(live)
    _, content = download(live, dialog, "Download checkpoint")
    for kind, (spoil, sentence) in DAMAGED.items():
        spoiled = spoil(content)
        assert spoiled != content, kind
        upload(live, spoiled if kind in UNSIGNED else signed(spoiled), "mine.safetensors")
        live.says(sentence)
    close(live)
    live.step_to(4)
    assert live.frame("run") == run
    live.becomes(lambda: len(losses(live)), 5)
    _, records = trained(CONFIG, 5)
    assert losses(live) == pytest.approx([record.loss for record in records], rel=1e-6)
