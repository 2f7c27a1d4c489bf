"""Presets hold the published constants, the ideal device is exact, and nonsense is refused in words."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from pcmsim.closed_loop import ClosedLoopModel
from pcmsim.crossbar import Crossbar
from pcmsim.energy import PCM_COSTS
from pcmsim.errors import FieldError, FileError, UnknownNameError
from pcmsim.foundation.documents import read_mapping
from pcmsim.hermes import HermesModel
from pcmsim.mismatch import Spread
from pcmsim.plan import PulsePlan
from pcmsim.presets import DEVICES, device_model, ideal
from pcmsim.pulse import PulseModel
from pcmsim.quantity import quantities
from pcmsim.state import DeviceState

BITS = range(2, 9)


def noisy(_: int) -> torch.Tensor:
    return torch.full((1,), 3.0)


class TestConstants:
    def test_nandakumar2018(self) -> None:
        """As the code of Demirag et al. 2021 (arXiv:2108.01804) attributes them to Nandakumar 2018."""
        assert dataclasses.asdict(DEVICES["nandakumar2018"](4)) == {
            "g_min": 0.1,
            "g_max": 12.0,
            "step_slope": -0.084,
            "step_offset": 0.880,
            "step_history": 1.40,
            "spread_slope": 0.091,
            "spread_offset": 0.260,
            "spread_history": 2.15,
            "history_decay": 2.6,
            "nominal_step": 0.75,
            "write_noise": 1.0,
            "reset_conductance": 0.1,
            "reset_spread": 0.01,
            "initial_spread": 0.1,
            "drift_exponent": 0.04,
            "drift_reference": 38.6,
            "read_slope": 0.03,
            "read_offset": 0.13,
            "read_noise": 1.0,
            "read_delay": 0.5e-3,
            "costs": dataclasses.asdict(PCM_COSTS),
        }

    def test_joshi2020(self) -> None:
        """Ranges and times as IBM's analog hardware kit documents Joshi et al. 2020; 4 bits of 25 µS."""
        model = DEVICES["joshi2020"](4)
        assert isinstance(model, ClosedLoopModel)
        assert (model.g_min, model.g_max, model.drift_reference, model.read_time) == (0.0, 25.0, 20.0, 250e-9)
        assert model.nominal_step == 1.5625

    def test_hermes(self) -> None:
        """Range and times of a single device as the kit documents the chip; one published round of programming."""
        model = DEVICES["hermes"](4)
        assert isinstance(model, HermesModel)
        assert (model.g_min, model.g_max, model.drift_reference, model.read_time) == (0.0, 10.35, 200.0, 512e-9)
        assert (model.nominal_step, model.iterations, model.readback_bits) == (0.75, 1, 8)

    def test_hermes_pulses_are_those_of_nandakumar2018(self) -> None:
        ours, theirs = (dataclasses.asdict(DEVICES[preset](4)) for preset in ("hermes", "nandakumar2018"))
        pulses = [name for name in theirs if name.split("_")[0] in ("step", "spread", "history", "reset", "initial")]
        assert len(pulses) == 10
        assert [ours[name] for name in pulses] == [theirs[name] for name in pulses]

    @pytest.mark.parametrize("bits", BITS)
    def test_joshi2020_step_follows_the_bits(self, bits: int) -> None:
        assert DEVICES["joshi2020"](bits).nominal_step == 25.0 / 2**bits

    @pytest.mark.parametrize("preset", DEVICES)
    def test_every_constant_says_what_it_is(self, preset: str) -> None:
        model: Any = DEVICES[preset](4)
        described = quantities(model)
        assert {*described, "costs"} == {f.name for f in dataclasses.fields(model)}
        for name, about in {**described, **quantities(PCM_COSTS)}.items():
            assert about.doc, name
            assert about.source, name
            assert about.maximum is not None, name
            assert about.minimum is not None or about.above is not None, name


@pytest.mark.parametrize("bits", BITS)
class TestIdeal:
    def test_each_pulse_adds_exactly_one_level(self, bits: int) -> None:
        """12 / 2**bits is exact in binary, so pulse k from 0.75 µS ends at k levels more, up to 12 µS."""
        model, step = DEVICES["ideal"](bits), 12.0 / 2**bits
        assert model.nominal_step == step
        cells = DeviceState.fresh(torch.full((1,), 0.75), 0.0)
        for k in range(1, 2**bits + 1):
            cells = model.set_pulses(cells, torch.ones(1, dtype=torch.int64), Spread(), float(k), noisy)
            assert cells.conductance.item() == min(0.75 + k * step, 12.0)
        assert cells.conductance.item() == model.g_max

    @pytest.mark.parametrize("age", [0.0, 1.0, 3.15e7])
    def test_reads_are_exact_and_do_not_drift(self, bits: int, age: float) -> None:
        model = DEVICES["ideal"](bits)
        levels = torch.arange(1, 2**bits + 1) * (12.0 / 2**bits)
        levels = levels[levels >= 0.1]
        mean, variance = model.read(DeviceState.fresh(levels, 0.0), Spread(), age).moments()
        assert torch.equal(mean, levels)
        assert variance is None
        assert model.largest_exponent == 0.0

    def test_weights_in_a_crossbar_move_by_whole_levels(self, bits: int) -> None:
        """1, 2 and 3 pulses from a balanced pair, read a week of device time later: n / 2**bits of full scale."""
        array = Crossbar(
            (4, 3),
            DEVICES["ideal"](bits),
            devices=1,
            scale=12.0,
            initial_conductance=1.0,
            generator=torch.Generator().manual_seed(1),
        )
        array.state.conductance.fill_(1.5)
        plan = PulsePlan.build(torch.tensor([0, 5, 7]), torch.tensor([1, 2, 3]))
        array.apply(plan, 7.0, generator=torch.Generator().manual_seed(2))
        levels = torch.zeros(12)
        levels[[0, 5, 7]] = torch.tensor([1.0, 2.0, 3.0])
        assert torch.equal(array.moments(6e5).mean.view(-1), levels / 2**bits)


def test_noise_factors_at_zero_leave_the_mean() -> None:
    """The published model then follows its noise-free recursion whatever is drawn, and reads what it stored."""
    off = device_model("nandakumar2018", {"write_noise": 0.0, "read_noise": 0.0, "drift_exponent": 0.0})
    cells = DeviceState.fresh(torch.full((1,), 0.1), 0.0)
    after = off.set_pulses(cells, torch.full((1,), 4), Spread(), 0.0, noisy)
    assert after.conductance.item() == pytest.approx(5.15, abs=0.005)
    assert torch.equal(off.read(after, Spread(), 1e5).moments()[0], after.conductance)


class TestOverrides:
    def test_constants_by_name(self) -> None:
        model = device_model("nandakumar2018", {"g_max": 20, "drift_exponent": 0.1})
        assert model == PulseModel(g_max=20.0, drift_exponent=0.1)
        assert type(model.g_max) is float

    def test_bits_reach_the_ideal_device(self) -> None:
        assert device_model("ideal", bits=6).nominal_step == 12.0 / 64
        assert device_model("ideal").nominal_step == 0.75
        assert device_model("ideal", {"nominal_step": 0.5}, bits=6).nominal_step == 0.5

    def test_unknown_preset_lists_the_known(self) -> None:
        text = (
            r"^unknown device preset 'nandakumar2081' \(did you mean 'nandakumar2018'\?\); "
            r"known: hermes, ideal, joshi2020, nandakumar2018$"
        )
        with pytest.raises(UnknownNameError, match=text):
            device_model("nandakumar2081")

    def test_unknown_constant_lists_the_known(self) -> None:
        text = (
            r"^unknown constant of device preset joshi2020 'g_mx' \(did you mean 'g_max'\?\); "
            r"known: drift_reference, drift_scale, g_max, g_min, nominal_step, read_noise, read_time, write_noise$"
        )
        with pytest.raises(UnknownNameError, match=text):
            device_model("joshi2020", {"g_mx": 20.0})

    @pytest.mark.parametrize("value", [-1.0, 0.0, 201.0, float("nan"), True, "12", None, [12.0]])
    def test_constant_out_of_bounds(self, value: object) -> None:
        with pytest.raises(FieldError) as caught:
            device_model("ideal", {"g_max": value})
        expected = f"PulseModel.g_max: must be a finite number > 0 µS and <= 200 µS, got {value!r}"
        assert str(caught.value) == expected


class TestFiles:
    def write(self, folder: Path, name: str, text: str) -> str:
        path = folder / name
        path.write_text(text, encoding="utf-8")
        return str(path)

    def test_json(self, tmp_path: Path) -> None:
        path = self.write(tmp_path, "chip.json", json.dumps({"preset": "joshi2020", "g_max": 20.7}))
        assert device_model(path) == ClosedLoopModel(g_max=20.7, nominal_step=20.7 / 16)

    @pytest.mark.parametrize("suffix", [".yaml", ".yml"])
    def test_yaml_with_numbers_as_people_write_them(self, tmp_path: Path, suffix: str) -> None:
        text = "# a chip\ng_max: 20\nread_delay: 1e-4\nread_slope: 3.e-2\nstep_slope: -5E-2\n"
        model = device_model(self.write(tmp_path, f"chip{suffix}", text))
        assert model == PulseModel(g_max=20.0, read_delay=1e-4, read_slope=0.03, step_slope=-0.05)

    def test_overrides_win_over_the_file(self, tmp_path: Path) -> None:
        path = self.write(tmp_path, "chip.yaml", "preset: ideal\ng_max: 10\nread_noise: 1\n")
        model = device_model(path, {"g_max": 8.0}, bits=2)
        assert model == dataclasses.replace(ideal(2, 8.0), read_noise=1.0)
        assert (model.g_max, model.nominal_step) == (8.0, 2.0)

    def test_constant_out_of_bounds(self, tmp_path: Path) -> None:
        with pytest.raises(FieldError, match=r"^PulseModel\.g_max: must be .*, got -3.0$"):
            device_model(self.write(tmp_path, "chip.yaml", "g_max: -3"))

    def test_unknown_preset_in_a_file(self, tmp_path: Path) -> None:
        with pytest.raises(UnknownNameError, match="^unknown device preset 'flash'; known: hermes, ideal, joshi2020, "):
            device_model(self.write(tmp_path, "chip.json", '{"preset": "flash"}'))

    def test_missing(self, tmp_path: Path) -> None:
        with pytest.raises(FileError, match=r"chip\.yaml: cannot be read \(No such file or directory\)$"):
            device_model(str(tmp_path / "chip.yaml"))

    def test_folder(self, tmp_path: Path) -> None:
        (tmp_path / "chip.json").mkdir()
        with pytest.raises(FileError, match=r"chip\.json: cannot be read \(Is a directory\)$"):
            read_mapping(tmp_path / "chip.json")

    def test_binary(self, tmp_path: Path) -> None:
        (tmp_path / "chip.yaml").write_bytes(b"\xff\xfe\x00\x81")
        with pytest.raises(FileError, match=r"chip\.yaml: cannot be read \(is not UTF-8 text\)$"):
            read_mapping(tmp_path / "chip.yaml")

    @pytest.mark.parametrize(
        ("name", "text"),
        [
            ("chip.json", "{'g_max': 3}"),
            ("chip.json", ""),
            ("chip.yaml", "g_max: [1, 2"),
            ("chip.yaml", "a: b: c"),
            ("chip.yaml", "g_max: !!python/object/apply:os.getcwd []"),
        ],
    )
    def test_malformed(self, tmp_path: Path, name: str, text: str) -> None:
        with pytest.raises(
            FileError, match=rf"{name}: (is not valid (JSON|YAML) \(.+\)|line 1: the tag .+ is not read.+)$"
        ) as caught:
            read_mapping(self.write(tmp_path, name, text))
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize(
        ("name", "text", "kind"),
        [
            ("chip.json", "[1, 2]", "list"),
            ("chip.json", "3.5", "float"),
            ("chip.yaml", "fast", "text"),
            ("chip.yaml", "", "NoneType"),
        ],
    )
    def test_not_a_mapping(self, tmp_path: Path, name: str, text: str, kind: str) -> None:
        with pytest.raises(FileError, match=rf"{name}: must hold a mapping of names to values, holds {kind}$"):
            read_mapping(self.write(tmp_path, name, text))

    @pytest.mark.parametrize(
        ("name", "text"),
        [
            pytest.param("chip.json", '{"g_max": ' + "1" * 5000 + "}", id="5000 digits"),
            pytest.param("chip.json", "[" * 100_000, id="nested too deeply"),
        ],
    )
    def test_malformed_in_rarer_ways(self, tmp_path: Path, name: str, text: str) -> None:
        with pytest.raises(FileError, match="is not valid JSON"):
            read_mapping(self.write(tmp_path, name, text))
