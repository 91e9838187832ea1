"""The global random generators at the start of each epoch."""

import random

import numpy as np
import torch
from mmengine.dist import get_rank
from mmengine.hooks import Hook

from dscreid.registry import HOOKS


@HOOKS.register_module()
class RandomStateHook(Hook):
    """Seed the generators of Python, NumPy and torch from the run's seed, the epoch and the rank.

    The draws of this package come from generators of their own. For parts that use the global ones, such as dropout,
    this makes an epoch's random numbers the same whether the run came there in one piece, was resumed, or validated in
    between.
    """

    # before all that an epoch does
    priority = 'VERY_HIGH'

    def before_train_epoch(self, runner) -> None:
        """Seed."""
        words = np.random.SeedSequence([runner.seed or 0, runner.epoch, get_rank()]).generate_state(3)
        random.seed(int(words[0]))
        np.random.seed(words[1])  # noqa: NPY002  the global generator is the subject here
        torch.manual_seed(int(words[2]))  # of all devices
