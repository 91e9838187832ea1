"""Samplers, which run in the main process and determine all randomness of a draw."""

from dscreid.datasets.samplers.identity_sampler import IdentitySampler
from dscreid.datasets.samplers.pseudo_label_sampler import PseudoLabelSampler
from dscreid.datasets.samplers.sequential_sampler import ConsistentModalitySampler, SequentialSampler

__all__ = ['ConsistentModalitySampler', 'IdentitySampler', 'PseudoLabelSampler', 'SequentialSampler']
