"""Seed the global random generators at the start of each epoch."""

import random

import numpy as np
import torch
from mmengine.dist import get_rank
from mmengine.hooks import Hook

from dscreid.registry import HOOKS


@HOOKS.register_module()
class RandomStateHook(Hook):
    """Seed the generators of Python, NumPy and torch from the run's seed, the epoch and the rank.

    This package draws from its own generators. For parts that use the global ones, such as dropout, this hook gives an
    epoch the same random numbers whether the run was uninterrupted, resumed, or validated in between.
    """

    # before anything else in an epoch
    priority = 'VERY_HIGH'

    def before_train_epoch(self, runner) -> None:
        """Seed the generators."""
        words = np.random.SeedSequence([runner.seed or 0, runner.epoch, get_rank()]).generate_state(3)
        random.seed(int(words[0]))
        np.random.seed(words[1])  # noqa: NPY002  the global generator is the subject here
        torch.manual_seed(int(words[2]))  # of all devices
