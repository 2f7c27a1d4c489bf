"""Tasks: what the network is asked to do. One file each, one registry."""

from training.objectives import Sample
from training.tasks.base import TASKS, Sampler, Task
from training.tasks.digits import Digits
from training.tasks.evidence import Evidence
from training.tasks.mnist import Mnist
from training.tasks.pattern import Pattern
from training.tasks.shd import Shd
from training.tasks.table import Csv
from training.tasks.yin_yang import YinYang

__all__ = ["TASKS", "Csv", "Digits", "Evidence", "Mnist", "Pattern", "Sample", "Sampler", "Shd", "Task", "YinYang"]
