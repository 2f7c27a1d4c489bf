"""Look-ups: what is filed is found, what is not is refused with a hint."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from pcmsim.errors import PCMLabError, UnknownNameError
from pcmsim.registry import Registry

Shape = Callable[[float], float]


@pytest.fixture
def shapes() -> Registry[Shape]:
    registry: Registry[Shape] = Registry("pulse shape")

    @registry.register("square")
    def square(t: float) -> float:
        return float(0.0 <= t < 1.0)

    @registry.register("ramp")
    def ramp(t: float) -> float:
        return max(0.0, 1.0 - t)

    return registry


def test_is_a_mapping_in_order_of_filing(shapes: Registry[Shape]) -> None:
    assert list(shapes) == ["square", "ramp"]
    assert len(shapes) == 2
    assert shapes["ramp"](0.25) == 0.75
    assert [shape(0.5) for shape in shapes.values()] == [1.0, 0.5]
    assert "ramp" in shapes
    assert "sine" not in shapes


def test_what_is_no_name_is_unknown(shapes: Registry[Shape]) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown pulse shape \['square'\]"):
        shapes[["square"]]  # type: ignore[index]


def test_the_decorator_returns_its_subject(shapes: Registry[Shape]) -> None:
    def gauss(t: float) -> float:
        return 2.0 ** -(t * t)

    assert shapes.register("gauss")(gauss) is gauss
    assert shapes["gauss"] is gauss


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("sqare", "unknown pulse shape 'sqare' (did you mean 'square'?); known: ramp, square"),
        ("", "unknown pulse shape ''; known: ramp, square"),
        ("sine", "unknown pulse shape 'sine'; known: ramp, square"),
        (None, "unknown pulse shape None; known: ramp, square"),
    ],
)
def test_a_miss_says_what_is_known(shapes: Registry[Shape], name: str, text: str) -> None:
    with pytest.raises(UnknownNameError, match=f"^{re.escape(text)}$") as caught:
        shapes[name]
    assert caught.value.known == ["ramp", "square"]
    assert isinstance(caught.value, PCMLabError)


def test_an_empty_registry_refuses_too() -> None:
    empty: Registry[Shape] = Registry("filter")
    with pytest.raises(UnknownNameError, match="^unknown filter 'a'; known: $"):
        empty["a"]


def test_get_returns_the_default(shapes: Registry[Shape]) -> None:
    assert shapes.get("sine") is None
