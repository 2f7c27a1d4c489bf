"""Update schemes: how the change that e-prop asks for becomes pulses. One file each, one registry."""

from training.schemes.adam import Adam
from training.schemes.base import SCHEMES, Asked, SchemeState, UpdateScheme
from training.schemes.float32 import Float32
from training.schemes.mixed_precision import MixedPrecision
from training.schemes.mixed_precision_adam import MixedPrecisionAdam
from training.schemes.multi_memristor import MultiMemristor
from training.schemes.refresh import RefreshConfig, WithRefresh
from training.schemes.sign import Sign
from training.schemes.stochastic import Stochastic
from training.schemes.update_ready import UpdateReady

__all__ = [
    "SCHEMES",
    "Adam",
    "Asked",
    "Float32",
    "MixedPrecision",
    "MixedPrecisionAdam",
    "MultiMemristor",
    "RefreshConfig",
    "SchemeState",
    "Sign",
    "Stochastic",
    "UpdateReady",
    "UpdateScheme",
    "WithRefresh",
]
