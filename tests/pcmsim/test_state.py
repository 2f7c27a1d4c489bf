"""Device states: taking and putting devices by flat index."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch

from pcmsim.state import DeviceState

SHAPE = (2, 2, 3, 4)


def numbered() -> DeviceState:
    """Every field counts its devices, with an offset of its own."""
    count = torch.arange(48).view(SHAPE)
    return DeviceState(
        conductance=count.float(),
        history=count.float() + 100,
        exponent_score=count.float() + 200,
        written_at=count.double() + 300,
        pulses=count.int() + 400,
    )


def test_fresh_devices() -> None:
    cells = DeviceState.fresh(torch.full(SHAPE, 2.5, dtype=torch.float64), 1e9 + 0.125)
    assert [value.dtype for _, value in cells.items()] == [torch.float32] * 3 + [torch.float64, torch.int32]
    assert [value.unique().tolist() for _, value in cells.items()] == [[2.5], [1.0], [0.0], [1e9 + 0.125], [0]]
    assert all(value.shape == SHAPE for _, value in cells.items())


def test_take_follows_the_order_sign_device_pre_post() -> None:
    flat = np.ravel_multi_index(([1, 0, 1], [0, 1, 1], [2, 0, 1], [3, 0, 2]), SHAPE)
    taken = numbered().take(torch.from_numpy(flat))
    for offset, (_, value) in zip(range(0, 500, 100), taken.items(), strict=True):
        assert value.tolist() == (flat + offset).tolist()


def test_put_writes_back_where_it_was_taken() -> None:
    cells, indices = numbered(), torch.tensor([40, 3, 17])
    other = DeviceState.fresh(torch.tensor([0.5, 0.6, 0.7]), 77.0)
    cells.put(indices, other)
    for (_, value), (_, put), (_, before) in zip(cells.items(), other.items(), numbered().items(), strict=True):
        expected = before.clone().view(-1)
        for k, index in enumerate(indices.tolist()):
            expected[index] = put[k]
        assert torch.equal(value.view(-1), expected)


def test_copies_are_independent() -> None:
    cells = numbered()
    copy = cells.copy()
    for _, value in copy.items():
        value.zero_()
    assert all(torch.equal(a, b) for (_, a), (_, b) in zip(cells.items(), numbered().items(), strict=True))


def test_age_counts_from_each_write_and_has_a_floor() -> None:
    cells = DeviceState.fresh(torch.ones(3), 10.0)
    cells.written_at[1:] = torch.tensor([39.5, 40.0], dtype=torch.float64)
    assert cells.age(40.0, 1e-3).tolist() == torch.tensor([30.0, 0.5, 1e-3]).tolist()


def test_every_field_is_taken_put_and_saved() -> None:
    assert tuple(field.name for field in dataclasses.fields(DeviceState)) == DeviceState.FIELDS
