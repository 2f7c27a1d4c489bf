"""Imported once, by the process from which workers are forked: they begin with everything loaded and compiled."""

import gc

import torch
from threadpoolctl import threadpool_limits

from app.worker import warm_up

torch.set_num_threads(1)
threadpool_limits(1, user_api="blas")
warm_up()
# What is here stays: a worker that looked through it for garbage would make it its own, page by page.
gc.collect()
gc.freeze()
