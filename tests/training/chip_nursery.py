"""Server processes of a chip, forked from one process that has loaded everything: ready in an instant.

Reads lines ``PORT LOG``, answers each with the process id of a server that listens; they end with it.
"""

from __future__ import annotations

import os
import signal
import sys
import time

import numpy as np
import torch

from training.chip.log import LoggedChip
from training.chip.server import ChipServer
from training.chip.simulated import SimulatedChip
from training.config import RunConfig
from training.spikes import Spikes


def serve(config: RunConfig, token: str, port: int, log: str, nursery: int) -> None:
    with ChipServer(LoggedChip(SimulatedChip(config), log, config.to_dict()), token, port=port):
        print(os.getpid(), flush=True)
        while os.getppid() == nursery:
            time.sleep(0.1)
    os._exit(0)


def main() -> None:
    torch.set_num_threads(1)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    config, token, nursery = RunConfig.from_yaml(sys.argv[1]), sys.argv[2], os.getpid()
    SimulatedChip(config).mvm("input", Spikes(np.array([0, 1]), np.array([0], np.int32)), 0, 0.0, 1)
    for line in sys.stdin:
        port, log = line.split()
        if os.fork() == 0:
            serve(config, token, int(port), log, nursery)


if __name__ == "__main__":
    main()
