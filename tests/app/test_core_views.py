"""The cores' picture against the snapshot that it shows; the card offers it while there are cores."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest

from app.pages.board import CORES, KINDS, Board
from app.shot import Shot
from app.theme import DARK, LIGHT
from app.views import cores
from pcmsim.core import BINS
from training.config import RunConfig
from training.records import CoreSnapshot
from training.session import Session

SMALL: dict[str, Any] = {
    "network.hidden": 20,
    "task": {"name": "pattern", "inputs": 10, "duration": 0.1, "rate": 100.0},
}


def core(tiles: tuple[int, int] = (2, 3), size: tuple[int, int] = (256, 256), **about: Any) -> CoreSnapshot:
    counted = np.zeros(BINS, np.int64)
    counted[[0, 1, 31, -2, -1]] = 10, 90, 9_800, 60, 40
    facts: dict[str, Any] = {
        "utilisation": 0.5, "adc_range": 2.0, "histogram": counted, "gain_error": 0.0014, "offset_error": 0.0006,
    }  # fmt: skip
    return CoreSnapshot(tiles, size, **{**facts, **about})


def test_every_square_is_a_core_and_its_use_the_share_of_its_cells() -> None:
    squares = cores.columns(core(), (300, 600), LIGHT)["tiles"]
    places = list(zip(squares["x"], squares["y"], strict=True))
    assert places == [(x, y) for y in (0, 256, 512) for x in (0, 256)]
    cells = np.array(squares["use"]) * 256 * 256
    assert cells.tolist() == pytest.approx([256 * 256, 44 * 256] * 2 + [256 * 88, 44 * 88])
    assert cells.sum() == pytest.approx(300 * 600)
    assert squares["text"] == ["100%", "17%", "100%", "17%", "34%", "6%"]
    assert (max(squares["used_right"]), max(squares["used_bottom"])) == (300, 600)


@pytest.mark.parametrize("colours", [LIGHT, DARK])
def test_words_on_a_full_core_can_be_read(colours: Any) -> None:
    squares = cores.columns(core((2, 1)), (300, 256), colours)["tiles"]
    assert squares["colour"] == [colours.surface, colours.text]


def test_many_cores_are_drawn_as_blocks_without_words() -> None:
    squares = cores.columns(core((4096, 50), (1, 2)), (4096, 99), LIGHT)["tiles"]
    assert len(squares["use"]) == 32 * 25
    assert set(squares["text"]) == {""}
    areas = [(r - x) * (b - y) for x, y, r, b in zip(*(squares[n] for n in ("x", "y", "right", "bottom")), strict=True)]
    assert np.dot(areas, squares["use"]) == pytest.approx(4096 * 99)


def test_bars_are_shares_and_those_that_saturated_stand_apart() -> None:
    shown = cores.columns(core(), (300, 600), LIGHT)
    held, ends = shown["held"], shown["saturated"]
    assert held["conversions"].tolist() == core().histogram[1:-1].tolist()
    assert ends["conversions"].tolist() == [10, 40]
    assert ends["top"] == pytest.approx(np.log10([0.001, 0.004]), abs=1e-6)
    assert held["top"][30] == pytest.approx(math.log10(0.98), abs=1e-6)
    assert held["top"][5] == cores.RAREST
    assert ends["right"][0] < held["left"][0] < -2.0 < held["right"][0]
    assert held["left"][-1] < 2.0 < held["right"][-1] < ends["left"][1]


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_each_code_lies_in_the_bin_that_counts_it(bits: int) -> None:
    """Codes -h to h of a converter stand for sums from one end of its range to the other."""
    highest, edges = 2 ** (bits - 1) - 1, cores.edges(2.0)
    for code in range(-highest, highest + 1):
        counted = 1 + int((code + highest) * (BINS - 3) / (2 * highest) + 0.5)
        total = 2.0 * code / highest
        assert edges[counted] - 1e-9 <= total <= edges[counted + 1] + 1e-9


def test_the_words_tell_cores_saturation_and_what_calibration_leaves() -> None:
    text = cores.html(core())
    assert "6 cores, 50.0% in use" in text and "Cores of 256 × 256 cells" in text
    assert "<b>0.5% saturated</b> of 10,000 sums" in text
    assert "gain ±0.14% offset ±0.06%" in text and "programming" not in text
    assert "programming error 21%" in cores.html(core(), 0.213)
    assert "1 core," in cores.html(core((1, 1)))
    none = core(histogram=np.zeros(BINS, np.int64))
    assert "no sums with these settings yet" in cores.html(none)
    assert "sums are not rounded to codes" in cores.html(none, coded=False)


@pytest.mark.parametrize(
    ("changed", "words"),
    [({"core.adc_range": 3.0}, "no sums with these settings yet"), ({"core.adc_bits": None}, "sums are not rounded")],
)
def test_converters_set_otherwise_while_paused_say_why_nothing_is_counted(changed: Any, words: str) -> None:
    config = RunConfig().with_values({**SMALL, "core.enabled": True})
    board, session = Board(dark=False, page=Nobody()), Session(config)
    record = session.step()
    shot = Shot(0, 1, False, config, 0, record, snapshot=session.snapshot(), snapshot_of=(1, 0, 0))
    board.draw(shot, None)
    assert " saturated</b> of " in board.cores._words.html
    session.configure(config.with_values(changed))
    later = dataclasses.replace(shot, config=session.config, config_version=1, snapshot=session.snapshot())
    board.draw(later, None)
    assert words in board.cores._words.html


def test_the_axes_hold_all_cores_and_the_whole_range() -> None:
    view = cores.build(LIGHT)
    view.show(cores.columns(core((1, 9)), (100, 2300), LIGHT))
    cores.fit(view, core((1, 9)))
    tiles, bars = view.figures["tiles"], view.figures["conversions"]
    assert (tiles.x_range.end, tiles.y_range.start) == (256.0, 9 * 256.0)
    assert list(tiles.yaxis[0].ticker.ticks) == [0.0, 768.0, 1536.0, 2304.0]
    ends = view.sources["saturated"].data
    assert bars.x_range.start < ends["left"][0] and ends["right"][1] < bars.x_range.end


def shot_of(config: RunConfig, version: int, trials: int = 1) -> Shot:
    session = Session(config)
    *_, record = session.run(trials)
    return Shot(version, 1, False, config, version, record, snapshot=session.snapshot(), snapshot_of=(1, 0, version))


class Nobody:
    """A page that does nothing of what is asked."""

    def __getattr__(self, name: str) -> Any:
        return lambda *_: None


def test_cores_are_shown_once_they_are_on_and_gone_once_they_are_off() -> None:
    off = RunConfig().with_values(SMALL)
    board, on = Board(dark=False, page=Nobody()), off.with_values({"core.enabled": True})
    board.draw(shot_of(off, 0), None)
    assert list(board.kind.options) == list(KINDS)
    assert board.cores.view.objects == [] and not board.cores.view.visible
    shown = shot_of(on, 1)
    board.draw(shown, None)
    assert (board.kind.value, board._heat_map.visible, board.cores.view.visible) == (CORES, False, True)
    held = board.cores.views["cores"].sources["held"].data["conversions"]
    assert held.sum() > 0
    assert np.array_equal(held, shown.snapshot["recurrent"].core.histogram[1:-1])
    assert "cores" in board.figures() and "crossbar" not in board.figures()
    board.layer.value = "input"
    held = board.cores.views["cores"].sources["held"].data["conversions"]
    assert np.array_equal(held, shown.snapshot["input"].core.histogram[1:-1])
    board.kind.value = "weight"
    board.draw(dataclasses.replace(shown, version=2), None)
    assert (board.kind.value, board._heat_map.visible, board.cores.view.visible) == ("weight", True, False)
    board.draw(shot_of(off, 3), None)
    assert list(board.kind.options) == list(KINDS)
    assert "cores" not in board.figures()


def test_of_digital_weights_no_devices_are_offered() -> None:
    devices = RunConfig().with_values(SMALL)
    digital = devices.with_values({"scheme": "float32"})
    board = Board(dark=False, page=Nobody())
    board.draw(shot_of(devices, 0), None)
    board.kind.value = "age"
    board.draw(shot_of(digital, 1), None)
    assert (list(board.kind.options), board.kind.value) == (["weight"], "weight")
    board.draw(shot_of(digital.with_values({"core.enabled": True}), 2), None)
    assert (list(board.kind.options), board.kind.value) == (["weight", CORES], CORES)
    board.draw(shot_of(devices.with_values({"core.enabled": True}), 3), None)
    assert board.kind.value == CORES
    board.kind.value = "G+"
    board.draw(shot_of(devices, 4), None)
    assert (list(board.kind.options), board.kind.value) == (list(KINDS), "G+")


@pytest.mark.parametrize("preset", ["nandakumar2018", "joshi2020", "hermes"])
def test_a_synapse_at_its_devices_maximum_is_saturated(preset: str) -> None:
    config = RunConfig().with_values({**SMALL, "device.preset": preset})
    board, shot = Board(dark=False, page=Nobody()), shot_of(config, 0)
    layer = shot.snapshot["recurrent"]
    layer.conductance[:] = config.device.model(None).g_max
    board.kind.value = "saturation"
    board.draw(shot, None)
    assert board.views["crossbar"].sources["weights"].data["image"][0] == pytest.approx(1.0)


def test_a_snapshot_from_before_the_cores_is_passed_over() -> None:
    off = RunConfig().with_values(SMALL)
    board, early = Board(dark=True, page=Nobody()), shot_of(off, 0)
    board.draw(dataclasses.replace(early, config=off.with_values({"core.enabled": True})), None)
    assert board.kind.value == CORES
    assert board.cores.view.objects == []
    board.paint(dark=False)
