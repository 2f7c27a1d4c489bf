"""Normal random numbers addressed by an index instead of drawn in sequence.

Only the few devices that are pulsed or read need noise, yet two runs that pulse different devices
must meet the same number at the same device. Hashing (key, index) gives both: the cost follows the
events, the value follows the address. The hash is the SplitMix64 output function (Steele, Lea and
Flood, OOPSLA 2014, doi:10.1145/2660193.2660195); normals come from it by the ziggurat method of
Marsaglia and Tsang (2000, doi:10.18637/jss.v005.i08) in Doornik's form, which is exact.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from numba import uint64

from pcmsim.foundation.compiled import njit
from pcmsim.foundation.tensors import WHOLE

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
MIX_A = np.uint64(0xBF58476D1CE4E5B9)
MIX_B = np.uint64(0x94D049BB133111EB)
LAYERS = 128
TAIL_START, LAYER_AREA = 3.442619855899, 9.91256303526217e-3


@njit(nogil=True, inline="always")
def hash64(key: int, index: int) -> Any:
    """SplitMix64: 64 well-mixed bits for (key, index)."""
    x = uint64(key) + (uint64(index) + uint64(1)) * GOLDEN
    x = (x ^ (x >> uint64(30))) * MIX_A
    x = (x ^ (x >> uint64(27))) * MIX_B
    return x ^ (x >> uint64(31))


def _ziggurat() -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Right edges of the layers, the bottom one widened to the tail's area, and their ratios."""
    edges = np.zeros(LAYERS + 1)
    edges[0], edges[1] = LAYER_AREA * math.exp(0.5 * TAIL_START**2), TAIL_START
    for i in range(2, LAYERS):
        height = LAYER_AREA / edges[i - 1] + math.exp(-0.5 * edges[i - 1] ** 2)
        edges[i] = math.sqrt(-2.0 * math.log(height))
    return edges, edges[1:] / edges[:-1]


EDGES, RATIOS = _ziggurat()


@njit(nogil=True, inline="always")
def _uniform(bits: int) -> float:
    """The upper 53 bits as a number in (0, 1)."""
    return (np.float64(bits >> uint64(11)) + 0.5) * 2.0**-53


@njit(nogil=True)
def _outside_core(bits: int) -> float:
    """The one draw in a hundred that misses the core of its layer: wedge, tail, or a fresh try."""
    while True:
        layer = bits & uint64(LAYERS - 1)
        u = 2.0 * _uniform(bits) - 1.0
        if abs(u) < RATIOS[layer]:
            return u * EDGES[layer]
        bits = hash64(bits, 1)
        if layer == 0:
            return math.copysign(_tail(bits), u)
        x, outer, inner = u * EDGES[layer], EDGES[layer], EDGES[layer + 1]
        below, above = math.exp(0.5 * (x * x - outer * outer)), math.exp(0.5 * (x * x - inner * inner))
        if below + _uniform(bits) * (above - below) < 1.0:
            return x
        bits = hash64(bits, 2)


@njit(nogil=True)
def _tail(bits: int) -> float:
    """A normal number beyond the last edge (Marsaglia 1964)."""
    while True:
        x = -math.log(_uniform(bits)) / TAIL_START
        bits = hash64(bits, 3)
        if -2.0 * math.log(_uniform(bits)) > x * x:
            return TAIL_START + x
        bits = hash64(bits, 4)


@njit(nogil=True, inline="always")
def normal(key: int, index: int) -> float:
    """The standard normal number at address (key, index)."""
    bits = hash64(key, index)
    layer = bits & uint64(LAYERS - 1)
    u = 2.0 * _uniform(bits) - 1.0
    return u * EDGES[layer] if abs(u) < RATIOS[layer] else _outside_core(bits)


@njit(nogil=True)
def fill(key: int, first: int, out: npt.NDArray[np.float64]) -> None:
    """Standard normal numbers at the addresses from `first` on."""
    for i in range(out.size):
        out[i] = normal(key, first + i)


@njit(nogil=True)
def _normals(key: int, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    out = np.empty(indices.size)
    for i in range(indices.size):
        out[i] = normal(key, indices[i])
    return out


def draw_key(generator: torch.Generator) -> int:
    """A 63-bit key from a named stream."""
    return int(torch.randint(0, 2**63 - 1, (), generator=generator, **WHOLE))


def normals_at(indices: torch.Tensor, *, key: int) -> torch.Tensor:
    """Standard normals at given addresses.

    Parameters
    ----------
    indices : torch.Tensor
        int64 addresses, any shape.
    key : int
        From `draw_key`; one key, one set of numbers.

    Returns
    -------
    torch.Tensor
        float64, shape of `indices`; the same address always gives the same number.
    """
    flat = _normals(key, indices.reshape(-1).numpy())
    return torch.from_numpy(flat).reshape(indices.shape)
