"""Processes of the page: those of `training.processes`, with what the page needs loaded too."""

from __future__ import annotations

from training.processes import PROCESSES, Helper, end_with_parent, prepare, without_main

__all__ = ["PROCESSES", "Helper", "end_with_parent", "prepare", "without_main"]

PROCESSES.set_forkserver_preload(["app.prepared"])
