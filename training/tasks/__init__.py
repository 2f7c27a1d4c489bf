"""Tasks: what the network is asked to do. One file each, one registry."""

from training.tasks.base import TASKS, Sample, Sampler, Task
from training.tasks.pattern import Pattern

__all__ = ["TASKS", "Pattern", "Sample", "Sampler", "Task"]
