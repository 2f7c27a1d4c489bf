"""Imported once, by the process from which workers are forked: they begin with everything loaded and compiled."""

import gc

import torch
from threadpoolctl import threadpool_limits

from training.config import RunConfig
from training.session import Session

torch.set_num_threads(1)
threadpool_limits(1, user_api="blas")
Session(RunConfig()).step()
# What is here stays: a worker that looked through it for garbage would make it its own, page by page.
gc.collect()
gc.freeze()
