"""One contract for every update scheme, and what each of them promises."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from pcmsim.array import ArrayView
from pcmsim.crossbar import Crossbar
from pcmsim.digital import quantise
from pcmsim.errors import FieldError, UnknownNameError
from pcmsim.plan import PulsePlan, WeightPlan
from pcmsim.presets import device_model
from pcmsim.streams import Streams
from training.precision import PrecisionConfig
from training.schemes import (
    SCHEMES,
    Adam,
    MixedPrecision,
    MixedPrecisionAdam,
    MultiMemristor,
    RefreshConfig,
    Sign,
    Stochastic,
    UpdateReady,
    WithRefresh,
)
from training.schemes.base import Asked, UpdateScheme

FLOAT = PrecisionConfig(weight_bits=None)
FOUR_BITS = PrecisionConfig(weight_bits=4)
SHAPE = (6, 5)

SUBJECTS: dict[str, UpdateScheme] = {
    **{name: kind() for name, kind in SCHEMES.items()},
    "multi-memristor, global": MultiMemristor(counter="global"),
    "mixed-precision, refreshed": WithRefresh(MixedPrecision(), RefreshConfig(enabled=True)),
}


def view(devices: int = 1, conductance: float | torch.Tensor = 1.0, shape: tuple[int, int] = SHAPE) -> ArrayView:
    full = (2, devices, *shape)
    values = conductance if isinstance(conductance, torch.Tensor) else torch.full(full, conductance)
    return ArrayView(shape, devices, 12.0, 0.75, values)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def ask(
    scheme: UpdateScheme,
    gradient: torch.Tensor,
    *,
    lr: float = 1.0,
    devices: int = 1,
    precision=FLOAT,
    state=None,
    array=None,
    seed: int = 0,
):
    array = array or view(devices, shape=tuple(gradient.shape))
    state = scheme.init(array) if state is None else state
    return scheme.update(Asked(gradient, lr, array, precision), state, generator=generator(seed))


def signed(plan: PulsePlan, devices: int = 1, shape: tuple[int, int] = SHAPE) -> torch.Tensor:
    """Pulses per synapse: positive on G+, negative on G-."""
    flat = torch.zeros(2 * devices * shape[0] * shape[1], dtype=torch.int64)
    flat[plan.set_devices] = plan.set_counts
    sides = flat.view(2, devices, *shape).sum(1)
    return sides[0] - sides[1]


@pytest.mark.parametrize("name", SUBJECTS)
@pytest.mark.parametrize("devices", [1, 4])
class TestContract:
    def test_zero_gradient_asks_for_nothing(self, name: str, devices: int) -> None:
        plan = ask(SUBJECTS[name], torch.zeros(SHAPE), devices=devices)
        if isinstance(plan, WeightPlan):
            assert not plan.change.any()
        else:
            assert plan.sets == plan.resets == 0

    def test_zero_learning_rate_asks_for_nothing(self, name: str, devices: int) -> None:
        plan = ask(SUBJECTS[name], torch.full(SHAPE, 50.0), lr=0.0, devices=devices)
        assert (not plan.change.any()) if isinstance(plan, WeightPlan) else plan.sets == 0

    def test_same_seed_same_plan(self, name: str, devices: int) -> None:
        gradient = torch.randn(SHAPE, generator=generator(3)) * 3
        first, second = (ask(SUBJECTS[name], gradient, devices=devices, seed=7) for _ in range(2))
        for a, b in zip(vars(first).values(), vars(second).values(), strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=0)

    def test_plans_address_each_device_once_and_within_the_array(self, name: str, devices: int) -> None:
        plan = ask(SUBJECTS[name], torch.randn(SHAPE, generator=generator(4)) * 9, devices=devices)
        if isinstance(plan, PulsePlan):
            assert plan.set_devices.unique().numel() == plan.set_devices.numel()
            assert (plan.set_counts > 0).all()
            assert int(plan.set_devices.min()) >= 0 and int(plan.set_devices.max()) < 2 * devices * math.prod(SHAPE)

    def test_pulses_oppose_the_gradient(self, name: str, devices: int) -> None:
        gradient = torch.randn(SHAPE, generator=generator(5)) * 3
        plan = ask(SUBJECTS[name], gradient, devices=devices)
        change = plan.change if isinstance(plan, WeightPlan) else signed(plan, devices).float()
        assert change.abs().sum() > 0
        assert ((change * gradient) <= 0).all()

    def test_state_is_made_of_tensors_for_the_checkpoint(self, name: str, devices: int) -> None:
        assert all(isinstance(value, torch.Tensor) for value in SUBJECTS[name].init(view(devices)).values())


def test_unknown_scheme_lists_the_known_ones() -> None:
    with pytest.raises(
        UnknownNameError, match=r"unknown update scheme 'sgin' .did you mean 'sign'.*known: adam, float32, mixed"
    ):
        SCHEMES["sgin"]


@pytest.mark.parametrize(("make", "text"), [
    (lambda: Sign(threshold=-1.0), "Sign.threshold: must be a finite number >= 0"),
    (lambda: Stochastic(probability_scale=0.0), "Stochastic.probability_scale: must be a finite number > 0 µS"),
    (lambda: MultiMemristor(counter="local"), "MultiMemristor.counter: must be one of synapse, global, got 'local'"),
    (lambda: UpdateReady(headroom=float("nan")), "UpdateReady.headroom: must be .*got nan"),
    (lambda: RefreshConfig(saturation=0.0), "RefreshConfig.saturation: must be"),
    (lambda: PrecisionConfig(weight_bits=1), "PrecisionConfig.weight_bits: must be a whole number >= 2 and <= 16 or none, got 1"),
])  # fmt: skip
def test_settings_out_of_bounds_are_named(make, text: str) -> None:
    with pytest.raises(FieldError, match=text):
        make()


def test_sign_pulses_every_device_once_above_the_threshold() -> None:
    gradient = torch.tensor([[2.0, -2.0, 0.9, 0.0]])
    plan = ask(Sign(threshold=0.9), gradient, devices=4)
    assert signed(plan, 4, (1, 4)).tolist() == [[-4, 4, 0, 0]]
    assert (plan.set_counts == 1).all()


def test_stochastic_pulses_are_as_frequent_as_asked() -> None:
    """dG = lr g scale = 0.01 * 1.5 * 12 = 0.18 uS of 0.75: one pulse in 4.17, a binomial count."""
    shape = (200, 200)
    plan = ask(Stochastic(), torch.full(shape, -1.5), lr=0.01, array=view(shape=shape))
    probability, number = 0.18 / 0.75, shape[0] * shape[1]
    assert plan.sets == pytest.approx(number * probability, abs=4 * math.sqrt(number * probability * (1 - probability)))


def test_stochastic_mean_change_is_the_asked_one_for_any_number_of_devices() -> None:
    shape = (100, 100)
    for devices in (1, 4):
        array = view(devices, shape=shape)
        plan = ask(Stochastic(), torch.full(shape, -1.0), lr=0.02, array=array)
        assert float(signed(plan, devices, shape).float().mean()) * array.weight_step == pytest.approx(0.02, rel=0.04)


def test_multi_memristor_deals_whole_pulses_in_turn() -> None:
    """Step of one of four devices: 0.75 / 12 / 4 = 1/64; 0.12 holds 7 of them."""
    scheme, array = MultiMemristor(), view(4, shape=(1, 1))
    state = scheme.init(array)
    gradient = torch.tensor([[-0.12]])
    first = ask(scheme, gradient, array=array, state=state)
    assert dict(zip(first.set_devices.tolist(), first.set_counts.tolist(), strict=True)) == {0: 2, 1: 2, 2: 2, 3: 1}
    second = ask(scheme, gradient, array=array, state=state)
    assert dict(zip(second.set_devices.tolist(), second.set_counts.tolist(), strict=True)) == {3: 2, 0: 2, 1: 2, 2: 1}


def test_multi_memristor_polarities_have_their_own_counters() -> None:
    scheme, array = MultiMemristor(), view(4, shape=(1, 1))
    state = scheme.init(array)
    ask(scheme, torch.tensor([[-0.04]]), array=array, state=state)
    down = ask(scheme, torch.tensor([[0.02]]), array=array, state=state)
    assert down.set_devices.tolist() == [4]


def test_global_counter_programs_one_device_per_update() -> None:
    scheme, array = MultiMemristor(counter="global"), view(3, shape=(1, 2))
    state = scheme.init(array)
    places = [
        ask(scheme, torch.tensor([[-0.1, -0.1]]), array=array, state=state).set_devices.tolist() for _ in range(4)
    ]
    assert places == [[0, 1], [2, 3], [4, 5], [0, 1]]


def test_mixed_precision_truncates_toward_zero() -> None:
    """The slip of a flooring quantiser: a tiny negative accumulator must not write a full quantum."""
    plan = ask(MixedPrecision(), torch.tensor([[0.001, -0.001, 0.124, -0.124]]), precision=FOUR_BITS)
    assert plan.sets == 0


def test_mixed_precision_writes_published_quanta() -> None:
    """Quantum 0.125 at scale 11.825: 1.48 uS is one pulse of 0.75; two quanta are three."""
    array = ArrayView((1, 3), 1, 11.82503, 0.75, torch.ones(2, 1, 1, 3))
    plan = ask(MixedPrecision(), torch.tensor([[-0.13, 0.26, -0.38]]), precision=FOUR_BITS, array=array)
    assert signed(plan, 1, (1, 3)).tolist() == [[1, -3, 5]]


@pytest.mark.parametrize("precision", [FLOAT, FOUR_BITS, PrecisionConfig(weight_bits=8)])
def test_mixed_precision_loses_nothing(precision: PrecisionConfig) -> None:
    """What was asked is in the accumulator or was handed to the pulses, quantum by quantum."""
    scheme, array = MixedPrecision(), view()
    state, asked, written = scheme.init(array), torch.zeros(SHAPE), torch.zeros(SHAPE)
    draw = generator(8)
    for _ in range(200):
        gradient = torch.randn(SHAPE, generator=draw) * 0.02
        before = state["accumulator"].clone() - gradient
        ask(scheme, gradient, array=array, state=state, precision=precision)
        asked, written = asked - gradient, written + before - state["accumulator"]
    torch.testing.assert_close(written + state["accumulator"], asked, rtol=1e-4, atol=1e-5)
    quantum = precision.weight_grain or array.weight_step
    torch.testing.assert_close(written / quantum, (written / quantum).round(), rtol=0, atol=1e-3)


def test_mixed_precision_waits_until_a_quantum_is_worth_a_pulse() -> None:
    """8 bits: quantum 1/128 = 0.094 uS at scale 12; 8 quanta make a pulse of 0.75."""
    scheme, array, precision = MixedPrecision(), view(shape=(1, 1)), PrecisionConfig(weight_bits=8)
    state = scheme.init(array)
    pulses = [
        ask(scheme, torch.tensor([[-1 / 128]]), array=array, state=state, precision=precision).sets for _ in range(16)
    ]
    assert pulses == [0, 0, 0, 0, 0, 0, 0, 1] * 2


def test_coarse_accumulators_lose_small_gradients() -> None:
    scheme, array = MixedPrecision(), view()
    lost = {bits: scheme.init(array) for bits in (None, 4)}
    for bits, state in lost.items():
        for _ in range(50):
            ask(
                scheme,
                torch.full(SHAPE, -1e-3),
                array=array,
                state=state,
                precision=PrecisionConfig(weight_bits=2, accumulator_bits=bits),
            )
    assert lost[None]["accumulator"].mean() == pytest.approx(0.05, rel=1e-3)
    assert not lost[4]["accumulator"].any()


def test_adams_steps_gather_to_what_adam_asks_of_digital_weights() -> None:
    """Written quanta and what is left in the accumulator add up to torch's own Adam."""
    scheme, array = MixedPrecisionAdam(), view()
    state, draw = scheme.init(array), generator(9)
    weights = torch.nn.Parameter(torch.zeros(SHAPE))
    reference, written = torch.optim.Adam([weights], lr=0.02, eps=1e-12), torch.zeros(SHAPE)
    for _ in range(50):
        weights.grad = torch.randn(SHAPE, generator=draw) + 0.5
        plan = ask(MixedPrecisionAdam(epsilon=1e-12), weights.grad, lr=0.02, array=array, state=state)
        reference.step()
        written += signed(plan) * array.weight_step
    assert written.any()
    torch.testing.assert_close(written + state["accumulator"], weights.detach(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", SUBJECTS)
def test_what_does_the_same_on_digital_weights_is_digital(name: str) -> None:
    assert SUBJECTS[name].ideal.digital


def test_adams_ideal_is_adam_with_the_same_settings() -> None:
    assert MixedPrecisionAdam(momentum=0.5, memory=0.99).ideal == Adam(momentum=0.5, memory=0.99)
    assert Adam(momentum=0.5).ideal == Adam(momentum=0.5)


def test_update_ready_resets_a_spent_side_and_keeps_the_difference() -> None:
    """G+ 9.5, G- 4.0, asked +1.5: no headroom below 10, so G+ is RESET and rewritten to 4.0 + 5.5 + 1.5 = 11."""
    conductance = torch.tensor([9.5, 4.0]).view(2, 1, 1, 1)
    plan = ask(UpdateReady(), torch.tensor([[-1.5 / 12]]), array=view(1, conductance, (1, 1)))
    assert plan.reset_devices.tolist() == [0]
    assert signed(plan, 1, (1, 1)).item() == int(11.0 / 0.75)


def test_update_ready_just_pulses_where_there_is_headroom() -> None:
    plan = ask(UpdateReady(), torch.tensor([[-1.5 / 12]]), array=view(1, 3.0, (1, 1)))
    assert plan.resets == 0
    assert plan.sets == 2


def test_refresh_rewrites_the_difference_of_saturated_pairs_only() -> None:
    conductance = torch.tensor([[9.5, 9.5, 5.0], [8.0, 2.0, 5.0]]).view(2, 1, 1, 3)
    scheme = WithRefresh(MixedPrecision(), RefreshConfig(enabled=True))
    plan = ask(scheme, torch.zeros(1, 3), array=view(1, conductance, (1, 3)))
    assert sorted(plan.reset_devices.tolist()) == [0, 3]
    assert signed(plan, 1, (1, 3)).tolist() == [[2, 0, 0]]


def test_refresh_lets_a_saturated_pair_move_again() -> None:
    """A pair stuck at the top answers no pulse; after the refresh the next pulses move the weight."""
    streams = Streams(5)
    stuck = Crossbar(
        (20, 20),
        device_model("nandakumar2018"),
        devices=1,
        scale=12.0,
        initial_conductance=11.0,
        generator=streams.at("initial"),
    )
    scheme = WithRefresh(MixedPrecision(), RefreshConfig(enabled=True))
    plan = ask(scheme, torch.zeros(20, 20), array=stuck.view())
    stuck.apply(plan, 1.0, generator=streams.at("write"))
    assert plan.resets > 700
    assert float(stuck.state.conductance.mean()) < 2.0


def test_pulse_trains_are_limited() -> None:
    plan = ask(MultiMemristor(), torch.tensor([[-1e6]]), devices=1)
    assert plan.set_counts.tolist() == [100]


def test_gradient_bits_round_to_the_largest_magnitude() -> None:
    gradient = torch.tensor([1.0, 0.49, 0.26, -1.0])
    rounded = PrecisionConfig(gradient_bits=2).round_gradient(gradient)
    np.testing.assert_allclose(rounded.numpy(), [1.0, 0.5, 0.5, -1.0])
    assert PrecisionConfig(gradient_bits=2).round_gradient(torch.zeros(3)).tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("largest", [0.13, 1.0, 10.0])
def test_bits_are_spread_over_the_weights_range(largest: float) -> None:
    """Digital weights and the quanta of an accumulator have the same grain."""
    precision = PrecisionConfig(weight_bits=4, weight_range=largest)
    assert precision.weight_grain == pytest.approx(largest / 8)
    steps = quantise(torch.linspace(-largest, largest, 1001), 4, largest).unique().diff()
    torch.testing.assert_close(steps, torch.full_like(steps, precision.weight_grain))
