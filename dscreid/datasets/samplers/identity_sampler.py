"""Sampler for batches of P identities x K tracklets x modalities of a labeled split."""

from collections.abc import Sequence
from functools import partial

import numpy as np

from dscreid.datasets.samplers.batch_plan_sampler import BatchPlanSampler, draw_members, plan_batches
from dscreid.datasets.tracklet_dataset import TrackletDataset
from dscreid.errors import ConfigError, DatasetError
from dscreid.registry import DATA_SAMPLERS
from dscreid.structures import Modality


@DATA_SAMPLERS.register_module()
class IdentitySampler(BatchPlanSampler):
    """Draw identities, and for each identity tracklets of every modality.

    Layout of a batch: for each identity, K visible and then K infrared tracklets (the order of ``modalities``).
    Identities are drawn in seeded permutations; those that lack a modality are never drawn.

    Args:
        dataset: A labeled train split.
        num_identities: P, identities per global batch.
        num_tracklets: K, tracklets per identity and modality; identities with fewer repeat some.
        iterations: Batches per epoch.
        seed: The run's seed.
        camera_pairs: Draw K cameras shared by all modalities of an identity, and from each one tracklet per modality,
            as BUPTCampus's reference code does with its pixel-aligned pairs.
        modalities: Modalities of a batch, in this order.
    """

    def __init__(
        self,
        dataset: TrackletDataset,
        num_identities: int = 4,
        num_tracklets: int = 4,
        iterations: int = 200,
        seed: int | None = 0,
        camera_pairs: bool = False,
        modalities: Sequence[str] = ('rgb', 'ir'),
    ) -> None:
        if dataset.labels is None:
            raise ConfigError('IdentitySampler needs a labeled train split; use PseudoLabelSampler without labels')
        super().__init__(self.layout(num_identities, num_tracklets, modalities), iterations, seed)
        self.num_identities = num_identities
        self.num_tracklets = num_tracklets
        self.camera_pairs = camera_pairs
        kinds = [Modality(modality) for modality in modalities]
        self._members = _members_by_identity(dataset, dataset.labels, kinds, camera_pairs)
        self._check_supply(dataset, modalities)

    @staticmethod
    def layout(num_identities: int, num_tracklets: int, modalities: Sequence[str]) -> np.ndarray:
        """Return which draws of a global batch are visible, bool (B,)."""
        if num_identities < 1 or num_tracklets < 1 or not modalities:
            raise ConfigError('IdentitySampler: num_identities, num_tracklets and modalities must not be empty')
        visible = np.repeat([Modality(modality) is Modality.RGB for modality in modalities], num_tracklets)
        return np.tile(visible, num_identities)

    def _check_supply(self, dataset: TrackletDataset, modalities: Sequence[str]) -> None:
        wanted = ' and '.join(modalities) + (' under one camera' if self.camera_pairs else '')
        if not self._members:
            what = f'no identity of split {dataset.split!r} has tracklets in {wanted}'
            raise DatasetError(f'{dataset.root}: {what}; check the index files')
        if len(self._members) < self.num_identities:
            asked, found = self.num_identities, f'only {len(self._members)} have tracklets in {wanted}'
            raise ConfigError(f'IdentitySampler: {asked} identities per batch, but {found}; lower num_identities')

    def _plan(self, epoch: int) -> np.ndarray:
        rng = np.random.default_rng([self.seed, epoch])
        draw = partial(self._draw, rng=rng)
        return plan_batches(self.iterations, len(self._members), self.num_identities, rng, draw)

    def _draw(self, identity: int, rng: np.random.Generator) -> np.ndarray:
        members = self._members[identity]
        if not self.camera_pairs:
            return np.concatenate([draw_members(m, self.num_tracklets, rng) for m in members[0]])
        groups = draw_members(np.arange(len(members)), self.num_tracklets, rng)
        drawn = [[rng.choice(m) for m in members[group]] for group in groups]
        return np.array(drawn, dtype=np.int64).T.ravel()


def _members_by_identity(
    dataset: TrackletDataset, labels: np.ndarray, modalities: Sequence[Modality], by_camera: bool
) -> list[list[list[np.ndarray]]]:
    """``[identity][group][modality]``: indices of each complete group, a camera or all cameras together."""
    cameras = dataset.cameras if by_camera else np.zeros(len(dataset), dtype=np.int64)
    table: dict[tuple[int, int], list[list[int]]] = {}
    for slot, modality in enumerate(modalities):
        for index in dataset.indices(modality).tolist():
            key = int(labels[index]), int(cameras[index])
            table.setdefault(key, [[] for _ in modalities])[slot].append(index)
    identities: dict[int, list[list[np.ndarray]]] = {}
    for label, camera in sorted(table):
        members = table[label, camera]
        if all(members):
            identities.setdefault(label, []).append([np.array(m, dtype=np.int64) for m in members])
    return list(identities.values())
