"""Sampler for batches of P identities x K tracklets x both modalities of a labeled split."""

from functools import partial

import numpy as np

from dscreid.datasets.samplers.batch_plan_sampler import BatchPlanSampler, draw_members, plan_batches
from dscreid.datasets.tracklet_dataset import TrackletDataset
from dscreid.errors import ConfigError, DatasetError
from dscreid.registry import DATA_SAMPLERS
from dscreid.structures import Modality


@DATA_SAMPLERS.register_module()
class IdentitySampler(BatchPlanSampler):
    """Draw identities, and for each identity tracklets of both modalities.

    Layout of a batch: for each identity, K visible and then K infrared tracklets. Identities are drawn in seeded
    permutations; those that lack a modality are never drawn.

    Args:
        dataset: A labeled train split.
        num_identities: P, identities per global batch.
        num_tracklets: K, tracklets per identity and modality; identities with fewer repeat some.
        iterations: Batches per epoch.
        seed: The run's seed.
    """

    def __init__(
        self,
        dataset: TrackletDataset,
        num_identities: int = 4,
        num_tracklets: int = 4,
        iterations: int = 200,
        seed: int | None = 0,
    ) -> None:
        if dataset.labels is None:
            raise ConfigError('IdentitySampler needs a labeled train split; use PseudoLabelSampler without labels')
        super().__init__(self.layout(num_identities, num_tracklets), iterations, seed)
        self.num_identities = num_identities
        self.num_tracklets = num_tracklets
        rows = [dataset.indices(modality) for modality in Modality]
        labels = [dataset.labels[found] for found in rows]
        self._members = [
            [found[own == identity] for found, own in zip(rows, labels, strict=True)]
            for identity in np.intersect1d(*labels)
        ]
        if not self._members:
            what = f'no identity of split {dataset.split!r} has tracklets in both modalities'
            raise DatasetError(f'{dataset.root}: {what}; check the index files')
        if (count := len(self._members)) < num_identities:
            what = f'{num_identities} identities per batch, but only {count} have tracklets in both modalities'
            raise ConfigError(f'IdentitySampler: {what}; lower num_identities')

    @staticmethod
    def layout(num_identities: int, num_tracklets: int) -> np.ndarray:
        """Return which draws of a global batch are visible, bool (B,)."""
        if num_identities < 1 or num_tracklets < 1:
            raise ConfigError('IdentitySampler: num_identities and num_tracklets must be at least 1')
        return np.tile(np.repeat([True, False], num_tracklets), num_identities)

    def _plan(self, epoch: int) -> np.ndarray:
        rng = np.random.default_rng([self.seed, epoch])
        draw = partial(self._draw, rng=rng)
        return plan_batches(self.iterations, len(self._members), self.num_identities, rng, draw)

    def _draw(self, identity: int, rng: np.random.Generator) -> np.ndarray:
        return np.concatenate([draw_members(m, self.num_tracklets, rng) for m in self._members[identity]])
