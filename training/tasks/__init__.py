"""Tasks: what the network is asked to do. One file each, one registry."""

from training.objectives import Sample
from training.tasks.base import TASKS, Sampler, Task
from training.tasks.evidence import Evidence
from training.tasks.pattern import Pattern

__all__ = ["TASKS", "Evidence", "Pattern", "Sample", "Sampler", "Task"]
