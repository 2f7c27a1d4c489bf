"""The terminal, file or pipe that the command line writes to."""

from __future__ import annotations

import os
import sys


def show_every_letter() -> None:
    """Write letters that the terminal does not know, such as µ where it is ASCII, by their number."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def write_no_more() -> None:
    """Send what is still to be written nowhere: its reader has gone, or its disk is full, and that has been told."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
