"""Every kind of field accepts what it says and refuses the rest, naming field, expectation and value."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import pytest

from pcmsim.errors import FieldError, PCMLabError
from pcmsim.quantity import Quantity, check, quantities, quantity


@dataclass(frozen=True)
class Cell:
    gain: float = quantity(1.0)
    voltage: float = quantity(0.5, unit="V", minimum=-1.0, maximum=2.0)
    area: float = quantity(3.0, unit="µm²", above=0.0, maximum=1e3)
    pulses: int = quantity(4, minimum=1, maximum=16)
    verified: bool = quantity(False)
    phase: str = quantity("amorphous", choices=("amorphous", "crystalline"))
    label: str = quantity("a")
    bits: int | None = quantity(None, kind=int, minimum=1, maximum=8)
    limit: float | None = quantity(2.0, optional=True, above=0.0)
    plain: int = 7

    def __post_init__(self) -> None:
        check(self)


WORDS = {
    "gain": "a finite number",
    "voltage": "a finite number >= -1 V and <= 2 V",
    "area": "a finite number > 0 µm² and <= 1000 µm²",
    "pulses": "a whole number >= 1 and <= 16",
    "verified": "true or false",
    "phase": "one of amorphous, crystalline",
    "label": "text",
    "bits": "a whole number >= 1 and <= 8 or none",
    "limit": "a finite number > 0 or none",
}
NUMBERS = ("gain", "voltage", "area", "pulses", "bits", "limit")
REFUSED = [
    *((field, value) for field in NUMBERS for value in (math.nan, math.inf, -math.inf, True, "1", [1.0], 1j)),
    *((field, value) for field in ("gain", "voltage", "area", "pulses", "verified", "phase") for value in (None,)),
    *(("voltage", value) for value in (-1.0000001, 2.5, np.float64(3.0))),
    *(("area", value) for value in (0.0, 0, -1, 1000.5)),
    *(("pulses", value) for value in (0, 17, 3.0, 2.5, np.float64(4.0), np.bool_(True))),
    *(("verified", value) for value in (0, 1, "false", np.bool_(True))),
    *(("phase", value) for value in ("Amorphous", "", 1)),
    *(("label", value) for value in (1, b"a", None)),
    *(("bits", value) for value in (0, 9, 4.5)),
    *(("limit", value) for value in (0.0, -2)),
]
ACCEPTED = [
    ("gain", -1e300, -1e300),
    ("gain", 3, 3.0),
    ("gain", np.float32(0.5), 0.5),
    ("gain", Fraction(1, 4), 0.25),
    ("voltage", -1, -1.0),
    ("voltage", 2.0, 2.0),
    ("area", 5e-324, 5e-324),
    ("pulses", 16, 16),
    ("pulses", np.int64(1), 1),
    ("verified", True, True),
    ("phase", "crystalline", "crystalline"),
    ("label", "", ""),
    ("bits", None, None),
    ("bits", 8, 8),
    ("limit", None, None),
    ("limit", 7, 7.0),
]


@pytest.mark.parametrize(("field", "value"), REFUSED)
def test_refused_with_field_expectation_and_value(field: str, value: object) -> None:
    with pytest.raises(FieldError) as caught:
        Cell(**{field: value})
    assert str(caught.value) == f"Cell.{field}: must be {WORDS[field]}, got {value!r}"
    assert (caught.value.field, caught.value.expected) == (f"Cell.{field}", WORDS[field])
    assert caught.value.got is value
    assert isinstance(caught.value, PCMLabError)


@pytest.mark.parametrize(("field", "value", "stored"), ACCEPTED)
def test_accepted_and_turned_into_plain_types(field: str, value: object, stored: object) -> None:
    found = getattr(Cell(**{field: value}), field)
    assert found == stored
    assert type(found) is type(stored)


@pytest.mark.parametrize("field", ["gain", "pulses"])
def test_refuses_whole_numbers_beyond_floating_point(field: str) -> None:
    with pytest.raises(FieldError, match=f"Cell.{field}: must be "):
        Cell(**{field: 10**400})


def test_replacing_checks_again() -> None:
    with pytest.raises(FieldError, match=r"^Cell\.area: must be .*, got -1\.0$"):
        dataclasses.replace(Cell(), area=-1.0)


def test_error_names_the_path_where_one_is_given() -> None:
    cell = Cell()
    object.__setattr__(cell, "pulses", 99)
    with pytest.raises(FieldError, match=r"^chip\.cells\[3\]\.pulses: must be a whole number >= 1 and <= 16, got 99$"):
        check(cell, "chip.cells[3]")


def test_what_is_declared_is_kept() -> None:
    about = quantities(Cell)["voltage"]
    assert about == Quantity(kind=float, unit="V", minimum=-1.0, maximum=2.0)
    assert list(quantities(Cell())) == [*WORDS]
    assert quantities(Cell)["bits"].kind is int
    assert quantities(Cell)["bits"].optional
    assert not quantities(Cell)["gain"].optional


def test_structure_and_sources_are_kept() -> None:
    @dataclass(frozen=True)
    class Sourced:
        size: int = quantity(8, doc="Cells per row", source="a paper", structural=True)

    about = quantities(Sourced)["size"]
    assert (about.doc, about.source, about.structural) == ("Cells per row", "a paper", True)
