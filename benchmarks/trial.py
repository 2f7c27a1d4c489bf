"""Time of a training trial by size, scheme, read mode and rate, beside the dense loop: ``pcmlab bench``."""

from __future__ import annotations

import sys

from training.cli import main

if __name__ == "__main__":
    sys.exit(main(["bench", *sys.argv[1:]]))
