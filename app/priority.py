"""Computing threads give way to the page."""

from __future__ import annotations

import contextlib
import os
import sys
import threading

import torch

MODEST, IDLE = 10, 19
"""Of a thread that trains, and of one whose work can wait."""


def be_modest(niceness: int = MODEST) -> None:
    """Leave the processor to the page: one compute thread, low priority where the system has it per thread."""
    torch.set_num_threads(1)
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            usual = os.getpriority(os.PRIO_PROCESS, os.getpid())
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), usual + niceness)
