"""Networks that leave as NIR graphs and come back, held to an independent simulator and to NIR's own equations."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import nir
import numpy as np
import pytest
import snntorch
import torch
from command_kit import call
from scipy.integrate import solve_ivp
from snntorch.export_nir import export_to_nir
from snntorch.import_nir import import_from_nir

from pcmsim.errors import FieldError, FileError, UnknownNameError
from training import spikes
from training.config import RunConfig
from training.interchange import Imported, from_nir, load, save_nir, to_nir
from training.kernels import Activity
from training.network import Network, ReadNoise
from training.nir_graph import DIALECTS
from training.presets import PRESETS
from training.session import Session

DIGITAL = PRESETS["float32"].config.with_values({"precision.weight_bits": None})
SMALL = {"network.hidden": 12, "task.inputs": 10, "task.duration": 0.1}


def trained(values: dict[str, Any], trials: int = 3, base: RunConfig = DIGITAL) -> Session:
    session = Session(base.with_values(values))
    list(session.run(trials))
    return session


def answered(session: Session, inputs: spikes.Spikes, dtype: str = "float32") -> Activity:
    """What the session's network does with input spikes, from rest."""
    network = Network(session.config.network, session.sampler.outputs, streams=session.streams, dtype=dtype)
    shape = (inputs.steps, session.config.network.hidden, session.sampler.outputs)
    return network.run(session.arrays, inputs, ReadNoise.none(shape, np.dtype(dtype)), 0.0)


def as_here(made: torch.nn.Module) -> torch.nn.Module:
    """snnTorch's neuron that subtracts its threshold a step after the spike, with the constants of an imported one."""
    rest = {"threshold": made.threshold, "init_hidden": True, "spike_grad": lambda over: (over > 0).to(over.dtype)}
    if isinstance(made, snntorch.Synaptic):
        return snntorch.Synaptic(made.alpha, made.beta, **rest)
    return snntorch.Leaky(made.beta, **rest)


def in_snntorch(graph: nir.NIRGraph, raster: np.ndarray, dtype: torch.dtype) -> tuple[np.ndarray, np.ndarray]:
    """Hidden spikes and the readout's voltage, ``time, unit``, from snnTorch's importer and neurons."""
    net = import_from_nir(graph)
    net.hidden.lif = as_here(net.hidden.lif)
    net.to(dtype)
    fired, voltages, state = [], [], None
    net.hidden.register_forward_hook(lambda module, given, out: fired.append(out[0][0].numpy()))
    with torch.no_grad():
        for row in torch.from_numpy(raster).to(dtype):
            _, state = net(row[None], state)
            voltages.append(net.readout.mem[0].clone().numpy())
    return np.array(fired), np.array(voltages)


CASES = {
    "pattern": {},
    "filtered synapses": {"network.tau_synapse": 5e-3, "network.threshold": 0.05},
    "normalised": {"network.input_normalised": True, "network.readout_normalised": True, "network.threshold": 0.003},
    "own time constants": {"network.tau_mismatch": 0.2},
    "4 bits": {"precision.weight_bits": 4, "network.initial_gain": 0.5},
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", CASES)
def test_snntorch_gives_the_same_spikes(case: str, dtype: str, tmp_path: Path) -> None:
    """Spike for spike; readouts to the single precision that snnTorch's importer keeps constants in."""
    session = trained({"task.duration": 0.5, **CASES[case]}, trials=5)
    save_nir(session, tmp_path / "net.nir", "snntorch")
    sample = session.sampler.sample(session.trial)
    here = answered(session, sample.inputs, dtype)
    raster = spikes.to_raster(sample.inputs, session.sampler.inputs)
    fired, voltages = in_snntorch(nir.read(tmp_path / "net.nir"), raster, getattr(torch, dtype))
    mine = spikes.to_raster(here.hidden, session.config.network.hidden)
    assert mine.sum() > 100
    np.testing.assert_array_equal(fired, mine)
    gain = session.network.dynamics.out.gain
    np.testing.assert_allclose(voltages * gain, here.output, rtol=1e-5, atol=2e-6 * np.abs(here.output).max())


def test_network_that_snntorch_exports_gives_the_same_spikes_here(tmp_path: Path) -> None:
    torch.manual_seed(3)
    hidden, steps = 20, 300
    rest = {"init_hidden": True, "reset_mechanism": "subtract"}
    cell = snntorch.RLeaky(
        torch.full((hidden,), 0.95), linear_features=hidden, threshold=torch.full((hidden,), 0.5), **rest
    )
    torch.nn.init.zeros_(cell.recurrent.bias)
    never = torch.full((3,), torch.finfo(torch.float32).max)
    readout = snntorch.Leaky(torch.full((3,), 0.9), threshold=never, output=True, **rest)
    linear = torch.nn.Linear
    net = torch.nn.Sequential(linear(5, hidden, bias=False), cell, linear(hidden, 3, bias=False), readout)
    nir.write(tmp_path / "theirs.nir", export_to_nir(net, torch.zeros(1, 5), ignore_dims=[0]))
    snntorch.RLeaky.reset_hidden(), snntorch.Leaky.reset_hidden()

    found = from_nir(tmp_path / "theirs.nir", dt=1e-3, dialect="snntorch")
    session = Session(found.run_config(PRESETS["yin-yang"].config))
    load(session, found)
    raster = (np.random.default_rng(0).random((steps, 5)) < 0.2).astype(np.uint8)
    here = answered(session, spikes.from_raster(raster))
    fired, voltages = [], []
    with torch.no_grad():
        for row in torch.from_numpy(raster).float():
            voltages.append(net(row[None])[1][0].numpy())
            fired.append(cell.spk[0].numpy())
    assert here.hidden.neuron.size > 100
    np.testing.assert_array_equal(np.array(fired), spikes.to_raster(here.hidden, hidden))
    np.testing.assert_allclose(np.array(voltages), here.output, rtol=1e-4, atol=1e-5)
    assert "subtracts the threshold" in found.notes[0]


def test_exact_dialect_solves_nirs_equations() -> None:
    """One step of ours is the differential equation over dt with the input held."""
    session = trained(
        {**SMALL, "network.tau_synapse": 4e-3, "network.tau_mismatch": 0.1, "network.gain_mismatch": 0.1}, 1
    )
    graph, network = to_nir(session), session.config.network
    lif, li = graph.nodes["hidden"].nodes["lif"], graph.nodes["readout"]
    cell, out = session.network.dynamics.cell, session.network.dynamics.out

    def after_a_step(tau: float, gain: float, before: float, held: float) -> float:
        solved = solve_ivp(lambda t, v: (gain * held - v) / tau, (0.0, network.dt), [before], rtol=1e-10, atol=1e-12)
        return float(solved.y[0, -1])

    for j in range(3):
        voltage = after_a_step(lif.tau_mem[j], lif.r[j], 0.04, 0.3)
        assert voltage == pytest.approx(cell.alpha[j] * 0.04 + cell.gain[j] * 0.3, rel=1e-5)
        current = after_a_step(lif.tau_syn[j], lif.w_in[j], 0.2, 0.7)
        assert current == pytest.approx(cell.synapse[j] * 0.2 + 0.7, rel=1e-5)
    assert after_a_step(li.tau[0], li.r[0], 0.1, 0.5) == pytest.approx(out.kappa[0] * 0.1 + out.gain[0] * 0.5, rel=1e-5)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("bits", [None, 4])
def test_round_trip_through_a_file_is_exact(dialect: str, bits: int | None, tmp_path: Path) -> None:
    """The same configuration, weights and answers to the bit; the seed brings the neurons' differences back."""
    differ = {"network.tau_mismatch": 0.2, "network.readout_normalised": True}
    session = trained({**SMALL, **differ, "precision.weight_bits": bits, "network.initial_gain": 1.0})
    save_nir(session, tmp_path / "net.nir", dialect)
    found = from_nir(tmp_path / "net.nir")
    again = Session(found.run_config())
    load(again, found)
    assert again.config == session.config
    assert found.notes == ()
    for mine, theirs in zip(session.arrays, again.arrays, strict=True):
        assert torch.equal(mine.stored_weights(), theirs.stored_weights())
    sample = session.sampler.sample(7)
    before, after = answered(session, sample.inputs), answered(again, sample.inputs)
    assert before.hidden.neuron.size > 0
    for mine, theirs in zip(before[:1] + before[2:], after[:1] + after[2:], strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_imported_network_trains_on() -> None:
    session = trained(SMALL, 5)
    found = from_nir(to_nir(session))
    again = Session(found.run_config())
    load(again, found)
    sample = session.sampler.sample(0)
    assert again.step().loss == session.sampler.objective.loss(answered(session, sample.inputs).output, sample)
    assert not torch.equal(again.arrays.output.stored_weights(), session.arrays.output.stored_weights())


def test_another_task_takes_neurons_and_seed_of_the_graph() -> None:
    session = trained({**SMALL, "network.tau_mismatch": 0.2, "seed": 9}, 2)
    found = from_nir(to_nir(session))
    again = Session(found.run_config(PRESETS["mixed-precision"].config.with_values({"task.inputs": 10})))
    load(again, found)
    assert again.config.scheme.digital
    np.testing.assert_array_equal(again.network.dynamics.cell.alpha, session.network.dynamics.cell.alpha)


def test_weight_mismatch_goes_into_the_weights() -> None:
    session = trained({**SMALL, "device.mismatch.weight": 0.2})
    graph = to_nir(session)
    np.testing.assert_allclose(graph.nodes["w_in"].weight.T, session.arrays.input.moments(0.0).mean, rtol=1e-6)
    with pytest.raises(
        FieldError, match=r"^DeviceMismatch.weight: must be 0, as imported weights hold their mismatch, got 0.2"
    ):
        load(session, from_nir(graph))


def test_dead_neurons_are_out_of_reach() -> None:
    session = trained({**SMALL, "network.dead": 0.25})
    threshold = to_nir(session).nodes["hidden"].nodes["lif"].v_threshold
    np.testing.assert_array_equal(threshold > 1e38, np.isinf(session.network.dynamics.cell.limit))
    assert np.isfinite(threshold).all()


CHAIN = [("in", "a"), ("a", "n"), ("n", "r"), ("r", "n"), ("n", "b"), ("b", "y"), ("y", "out")]


def foreign(**changes: Any) -> nir.NIRGraph:
    """A flat graph of NIR's primitives as somebody else might write it; node names with what differs."""
    rng = np.random.default_rng(1)
    zeros = np.zeros(4)
    nodes: dict[str, Any] = {
        "in": nir.Input([3]),
        "a": nir.Linear(rng.normal(size=(4, 3))),
        "n": nir.LIF(np.full(4, 0.02), np.full(4, 2.0), zeros, np.full(4, 0.05), zeros),
        "r": nir.Affine(rng.normal(size=(4, 4)), zeros),
        "b": nir.Linear(rng.normal(size=(3, 4))),
        "y": nir.LI(np.full(3, 0.01), np.full(3, 5.0), np.zeros(3)),
        "out": nir.Output([3]),
    }
    edges = changes.pop("edges", CHAIN)
    about = changes.pop("about", {})
    nodes = {name: node for name, node in {**nodes, **changes}.items() if node is not None}
    return nir.NIRGraph(nodes, edges, about, type_check=False)


def loaded(found: Imported) -> Session:
    session = Session(found.run_config(PRESETS["yin-yang"].config.with_values({"seed": 1})))
    arrays = [
        array.__class__(torch.from_numpy(w), form=array.form)
        for array, w in zip(session.arrays, found.weights, strict=True)
    ]
    session.arrays = type(session.arrays)(*arrays)
    return session


def test_foreign_graph_follows_its_equations() -> None:
    """Gains that our neurons do not have move into the weights."""
    graph, dt = foreign(), 1e-3
    session = loaded(from_nir(graph, dt))
    raster = (np.random.default_rng(2).random((200, 3)) < 0.3).astype(np.uint8)
    here = answered(session, spikes.from_raster(raster), "float64")
    w_in, w_rec, w_out = (graph.nodes[name].weight.astype(np.float32).astype(float) for name in "arb")
    alpha, kappa = np.exp(-dt / 0.02), np.exp(-dt / 0.01)
    v, z, y, fired = np.zeros(4), np.zeros(4), np.zeros(3), []
    for row in raster:
        v = alpha * v + (1 - alpha) * 2.0 * (w_in @ row + w_rec @ z) - 0.05 * z
        z = (v > 0.05).astype(float)
        y = kappa * y + (1 - kappa) * 5.0 * (w_out @ z)
        fired.append(z)
    assert np.sum(fired) > 50
    np.testing.assert_array_equal(fired, spikes.to_raster(here.hidden, 4))
    np.testing.assert_allclose(here.output[-1], y, rtol=1e-5)


def test_nested_recurrence_and_its_lack_are_understood() -> None:
    flat = from_nir(foreign(), 1e-3)
    nodes = foreign().nodes
    inner = {"i": nir.Input([4]), "n": nodes["n"], "r": nodes["r"], "o": nir.Output([4])}
    nested = nir.NIRGraph(inner, [("i", "n"), ("n", "r"), ("r", "n"), ("n", "o")])
    chain = [("in", "a"), ("a", "n"), ("n", "b"), ("b", "y"), ("y", "out")]
    np.testing.assert_array_equal(
        from_nir(foreign(n=nested, r=None, edges=chain), 1e-3).weights.recurrent, flat.weights.recurrent
    )
    assert not from_nir(foreign(r=None, edges=chain), 1e-3).weights.recurrent.any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
def test_tensors_that_are_learned_are_taken_as_their_numbers(dtype: torch.dtype) -> None:
    """What a module's parameters give is what arrays of the same numbers give."""
    arrays, tensors = foreign().nodes, foreign()
    for name, fields in {
        "a": ["weight"],
        "r": ["weight", "bias"],
        "b": ["weight"],
        "n": ["tau", "r", "v_threshold"],
    }.items():
        for field in fields:
            parameter = torch.nn.Parameter(torch.from_numpy(getattr(arrays[name], field)).to(dtype))
            setattr(tensors.nodes[name], field, parameter)
            setattr(arrays[name], field, parameter.detach().double().numpy())
    taken, plain = from_nir(tensors, 1e-3), from_nir(foreign(**arrays), 1e-3)
    assert taken.network == plain.network
    assert all(np.array_equal(mine, theirs) for mine, theirs in zip(taken.weights, plain.weights, strict=True))


@pytest.mark.parametrize(("weight", "got"), [
    (torch.ones((4, 3), dtype=torch.complex64), "complex64"), (torch.ones((4, 3), dtype=torch.bool), "bool"),
    (torch.ones((4, 3), device="meta"), "Tensor"), ([[1.0], [1.0, 2.0]], "list"),
], ids=str)  # fmt: skip
def test_weights_that_are_no_real_numbers_are_named(weight: Any, got: str) -> None:
    graph = foreign()
    graph.nodes["a"].weight = weight
    with pytest.raises(FieldError, match=f"NIRGraph.nodes.a.weight: must be real numbers, got '{got}'"):
        from_nir(graph, 1e-3)


def test_metadata_of_one_number_in_an_array_are_that_number() -> None:
    expected = from_nir(foreign(), 1e-3).network
    for dt in (np.array([1e-3]), np.array(1e-3), np.float64(1e-3), torch.tensor([1e-3], dtype=torch.float64)):
        about = {"dt": dt, "dialect": np.array(b"exact"), "reset": np.array(["subtract"])}
        found = from_nir(foreign(about=about))
        assert (found.network, found.notes) == (expected, ())


@pytest.mark.parametrize(("about", "said"), [
    ({"dt": np.array([1e-3, 1e-3])}, r"NIRGraph.metadata.dt: must be one value, got 'an array of shape \(2,\)'"),
    ({"dt": np.array([])}, r"NIRGraph.metadata.dt: must be one value, got 'an array of shape \(0,\)'"),
    ({"dialect": np.array([b"exact", b"euler"])}, "NIRGraph.metadata.dialect: must be one value"),
    ({"pcmlab": np.zeros(3)}, "NIRGraph.metadata.pcmlab: must be one value"),
    ({"reset": np.zeros((2, 2)), "dt": 1e-3}, "NIRGraph.metadata.reset: must be one value"),
    ({"dt": True}, "dt: must be above 0 and at most 1 s, got True"),
    ({"pcmlab": "9" * 5000}, "NIRGraph.metadata.pcmlab: must be a configuration as JSON"),
    ({"pcmlab": "[" * 10**5}, "NIRGraph.metadata.pcmlab: must be a configuration as JSON"),
], ids=str)  # fmt: skip
def test_metadata_that_cannot_be_taken_are_named(about: dict[str, Any], said: str) -> None:
    with pytest.raises(FieldError, match=said):
        from_nir(foreign(about=about))


def test_metadata_that_are_an_array_themselves_are_named() -> None:
    graph = foreign()
    graph.metadata = np.zeros(3)
    with pytest.raises(FieldError, match="NIRGraph.metadata: must be entries by name, got 'ndarray'"):
        from_nir(graph, 1e-3)


ONES, ZEROS = np.ones(4), np.zeros(4)


def lif(**fields: Any) -> nir.LIF:
    return nir.LIF(**{"tau": 0.02 * ONES, "r": ONES, "v_leak": ZEROS, "v_threshold": ONES, "v_reset": ZEROS, **fields})


MISFITS: dict[str, tuple[dict[str, Any], str]] = {
    "unknown node": ({"n": nir.IF(ONES, ONES, ZEROS)}, r"^NIRGraph.nodes.n: must be one of .*LIF.*, got 'IF'"),
    "two layers": ({"m": lif()}, r"^NIRGraph.nodes: must be a graph with one LIF or CubaLIF node, got '2 of them: n, m'"),
    "spiking output": ({"y": lif(v_threshold=ONES)}, r"^NIRGraph.nodes.y: must be leaky integrators that do not spike \(LI\), .* got 'LIF'"),
    "no readout": ({"y": None, "edges": [*CHAIN[:5], ("b", "out")]}, r"one LI node, got '0 of them'"),
    "bias": ({"r": nir.Affine(np.ones((4, 4)), -2 * ONES)}, r"^NIRGraph.nodes.r.bias: must be 0, .* got 2.0"),
    "leak": ({"n": lif(v_leak=0.1 * ONES)}, r"^NIRGraph.nodes.n.v_leak: must be 0, .* got 0.1"),
    "reset": ({"n": lif(v_reset=-0.2 * ONES)}, r"^NIRGraph.nodes.n.v_reset: must be 0, .* got -0.2"),
    "unlike": ({"n": lif(tau=np.array([0.02, 0.02, 0.03, 0.02]))}, r"^NetworkConfig.tau_membrane: must be the same in all"),
    "time constant": ({"n": lif(tau=ZEROS)}, r"^NIRGraph.nodes.n.tau: must be above 0, .* got 0.0"),
    "threshold": ({"n": lif(v_threshold=-ONES)}, r"^NetworkConfig.threshold: must be a finite number > 0"),
    "size": ({"n": lif(tau=np.ones(7), r=np.ones(7), v_leak=np.zeros(7), v_threshold=np.ones(7), v_reset=np.zeros(7))}, r"^NIRGraph.nodes.n.tau: must be 4 values, one per unit, got '7 of them'"),
    "not a number": ({"a": nir.Linear(np.full((4, 3), np.nan))}, r"^NIRGraph.nodes.a.weight: must be finite, got nan"),
    "text": ({"a": nir.Linear(np.full((4, 3), b"x"))}, r"^NIRGraph.nodes.a.weight: must be real numbers"),
    "tensor": ({"a": nir.Linear(np.ones((2, 4, 3)))}, r"^NIRGraph.nodes.a.weight: must be a matrix, post x pre, got \(2, 4, 3\)"),
    "shape": ({"r": nir.Linear(np.ones((4, 5)))}, r"^NIRGraph.nodes.r.weight: must be of shape \(4, 4\), got \(4, 5\)"),
    "shape out": ({"b": nir.Linear(np.ones((3, 5)))}, r"^NIRGraph.nodes.b.weight: must be of shape \(3, 4\), got \(3, 5\)"),
    "skip": ({"edges": [*CHAIN, ("a", "y")]}, r"^NIRGraph.edges: must be input, weights, .* got 'in -> y'"),
    "bare": ({"edges": [*CHAIN[1:], ("in", "n")]}, r"^NIRGraph.edges: must be .* got 'in -> n'"),
    "cut": ({"edges": CHAIN[:-1]}, r"^NIRGraph.edges: must be .* got 'no way from readout to output'"),
    "ports": ({"n": nir.NIRGraph({"n": lif(), "o": nir.Output([4])}, [("n", "o")], type_check=False)}, r"^NIRGraph.nodes.n: must be a subgraph with one Input node, got '0 of them'"),
    "own configuration": ({"about": {"pcmlab": "{"}}, r"^NIRGraph.metadata.pcmlab: must be a configuration as JSON, got '{'"),
    "step": ({"about": {"dt": -1.0}, "dt": None}, r"^dt: must be above 0 and at most 1 s, got -1.0"),
    "no step": ({"dt": None}, r"^dt: must be given in seconds, as the graph does not say it, got None"),
}  # fmt: skip


@pytest.mark.parametrize("case", MISFITS)
def test_graph_that_does_not_fit_names_what(case: str) -> None:
    changes, message = MISFITS[case]
    dt = changes.get("dt", 1e-3)
    with pytest.raises(FieldError, match=message):
        from_nir(foreign(**{name: value for name, value in changes.items() if name != "dt"}), dt)


def test_euler_needs_time_constants_of_a_step() -> None:
    with pytest.raises(FieldError, match=r"in forward Euler at least the step of 0.05 s, got 0.02"):
        from_nir(foreign(), 0.05, "euler")
    with pytest.raises(UnknownNameError, match="unknown dialect of NIR 'snntroch'"):
        from_nir(foreign(), 1e-3, "snntroch")


def test_graph_of_our_own_that_was_changed_is_refused() -> None:
    graph = to_nir(trained(SMALL, 1))
    graph.nodes["readout"].tau[0] *= 1.1
    with pytest.raises(FieldError, match=r"^NIRGraph.metadata.pcmlab: must be that of the neurons .*kappa differs"):
        from_nir(graph)
    with pytest.raises(FieldError, match=r"^dt: must be 0.001 s, as in the graph's own configuration, got 0.002"):
        from_nir(to_nir(trained(SMALL, 1)), 2e-3)


INEXPRESSIBLE: dict[str, tuple[dict[str, Any], str, str]] = {
    "adaptive": ({"network.adaptive": 0.5}, "exact", r"^NetworkConfig.adaptive: must be 0 for NIR"),
    "refractory": ({"network.refractory": 5e-3}, "exact", r"^NetworkConfig.refractory: must be at most one step for NIR"),
    "thresholds": ({"network.threshold_mismatch": 0.1}, "snntorch", r"^NetworkConfig: must be without .* the threshold"),
    "gains": ({"network.gain_mismatch": 0.1}, "snntorch", r"^NetworkConfig: must be without .* the gain"),
    "both": ({"network.tau_synapse": 5e-3, "network.input_normalised": True}, "snntorch", r"^NetworkConfig.input_normalised: must be false"),
}  # fmt: skip


@pytest.mark.parametrize("case", INEXPRESSIBLE)
def test_what_a_graph_cannot_say_is_named(case: str) -> None:
    values, dialect, message = INEXPRESSIBLE[case]
    with pytest.raises(FieldError, match=message):
        to_nir(Session(DIGITAL.with_values({**SMALL, **values})), dialect)


def test_diverged_weights_are_not_exported() -> None:
    session = Session(DIGITAL.with_values(SMALL))
    session.arrays.output.weights[2, 0] = float("nan")
    with pytest.raises(FieldError, match=r"^weights.output: must be finite, got nan"):
        to_nir(session)


REFUSED = {
    "crossbar": ({"scheme": "mixed-precision"}, r"^RunConfig.scheme: must be float32, .*programmed, got 'mixed-precision'"),
    "bits": ({"precision.weight_bits": 4}, r"^PrecisionConfig.weight_bits: must be none, .* got 4"),
    "range": ({"precision.weight_range": 0.01}, r"^PrecisionConfig.weight_range: must be at least 0\.\d+, .* got 0.01"),
    "inputs": ({"task.inputs": 11}, r"^weights.input: must be of shape \(11, 12\), as task and network ask for, got \(10, 12\)"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_session_that_cannot_hold_the_weights_is_untouched(case: str) -> None:
    values, message = REFUSED[case]
    session = trained(SMALL, 1)
    found = from_nir(to_nir(session))
    other = Session(session.config.with_values(values))
    before = [array.stored_weights().clone() for array in other.arrays]
    with pytest.raises(FieldError, match=message):
        load(other, found)
    assert all(torch.equal(was, array.stored_weights()) for was, array in zip(before, other.arrays, strict=True))


def test_crossbars_leave_with_their_stored_weights() -> None:
    session = trained(SMALL, 2, PRESETS["mixed-precision"].config)
    graph = to_nir(session)
    np.testing.assert_array_equal(
        graph.nodes["hidden"].nodes["w_rec"].weight.T, session.arrays.recurrent.stored_weights()
    )


def test_commands_write_and_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    session = trained(SMALL)
    session.save(tmp_path / "checkpoint.safetensors")
    code, told, _ = call(capsys, "nir", "export", tmp_path, tmp_path / "net.nir", "--dialect", "euler")
    assert (code, told) == (0, f"{tmp_path / 'net.nir'}: 10 inputs, 12 neurons, 1 readout units\n")
    code, told, _ = call(
        capsys, "nir", "import", tmp_path / "net.nir", "--out", tmp_path / "again", "--set", "learning.lr_output=0"
    )
    assert (code, told.startswith(f"{tmp_path / 'again'}: 10 inputs, 12 neurons")) == (0, True)
    again = Session.resume(tmp_path / "again")
    assert again.config == session.config.with_values({"learning.lr_output": 0.0})
    assert torch.equal(again.arrays.input.stored_weights(), session.arrays.input.stored_weights())


def test_command_says_what_a_foreign_graph_leaves_open(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nir.write(
        tmp_path / "theirs.nir",
        foreign(b=nir.Linear(np.ones((1, 4))), y=nir.LI(ONES[:1], ONES[:1], ZEROS[:1]), out=nir.Output([1])),
    )
    begin = ["import", tmp_path / "theirs.nir", "--out", tmp_path / "run", "--dt", "1e-3"]
    code, _, complaint = call(capsys, "nir", *begin)
    assert (code, complaint.count("\n")) == (2, 1)
    assert "weights.input: must be of shape (100, 4)" in complaint
    code, _, note = call(capsys, "nir", *begin, "--config", "float32", "--set", "task.inputs=3")
    assert (code, note.startswith("pcmlab: note: the graph does not say that a spike subtracts")) == (0, True)
    assert Session.resume(tmp_path / "run").config.network.tau_readout == pytest.approx(1.0)


def _text(path: Path) -> None:
    path.write_text("weights: none\n")


def _empty(path: Path) -> None:
    h5py.File(path, "w").close()


def _other_node(path: Path) -> None:
    nir.write(path, to_nir(trained(SMALL, 0)))
    with h5py.File(path, "a") as file:
        del file["node/nodes/w_in/type"]
        file["node/nodes/w_in/type"] = "Hodgkin"


def _lone(path: Path) -> None:
    nir.write(path, lif())


def _shape(path: Path) -> None:
    nir.write(path, foreign(r=nir.Linear(np.ones((5, 4)))))


def _nan(path: Path) -> None:
    nir.write(path, foreign(a=nir.Linear(np.full((4, 3), np.nan)), about={"dt": 1e-3}))


def _task(path: Path) -> None:
    graph = to_nir(trained(SMALL, 0))
    config = json.loads(graph.metadata["pcmlab"])
    graph.metadata["pcmlab"] = json.dumps({**config, "task": {"name": "chess"}})
    nir.write(path, graph)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: None, "does not exist; expected a NIR file"),
        (_text, "cannot be read as HDF5"),
        (_empty, "cannot be read as a NIR graph"),
        (_other_node, "cannot be read as a NIR graph"),
        (_lone, "cannot be read as a NIR graph"),
        (_shape, "cannot be read as a NIR graph (type mismatch"),
        (_nan, "NIRGraph.nodes.a.weight: must be finite, got nan"),
        (_task, "unknown task 'chess'"),
    ],
)
def test_bad_file_is_one_line(
    make: Callable[[Path], None], reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make(tmp_path / "bad.nir")
    code, told, complaint = call(capsys, "nir", "import", tmp_path / "bad.nir", "--out", tmp_path / "run")
    assert (code, told, complaint.count("\n")) == (2, "", 1)
    assert complaint.startswith("pcmlab: ") and reason in complaint
    assert not (tmp_path / "run").exists()


def test_file_that_cannot_be_written_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    session = trained(SMALL, 0)
    session.save(tmp_path / "run")
    with pytest.raises(FileError, match="cannot be written"):
        save_nir(session, tmp_path / "no" / "net.nir")
    assert call(capsys, "nir", "export", tmp_path / "run", tmp_path)[0] == 2
    assert call(capsys, "nir", "export", tmp_path / "run", tmp_path / "net.nir", "--dialect", "latin")[0] == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]
