"""Sampler for batches of pseudo-label clusters, drawn independently for each modality."""

import math
from collections.abc import Mapping

import numpy as np

from dscreid.datasets.samplers.batch_plan_sampler import (
    BatchPlanSampler,
    draw_across_cameras,
    draw_members,
    plan_batches,
)
from dscreid.datasets.tracklet_dataset import TrackletDataset
from dscreid.errors import ConfigError, LabelingError
from dscreid.registry import DATA_SAMPLERS
from dscreid.structures import Modality


@DATA_SAMPLERS.register_module()
class PseudoLabelSampler(BatchPlanSampler):
    """Draw clusters of infrared and, independently, of visible tracklets.

    Layout of a global batch: all infrared draws, cluster by cluster, then all visible ones. The clusters of each
    modality are drawn in seeded permutations. Workers never hold labels, because samplers stay in the main process.

    Args:
        dataset: The split to draw from, normally unlabeled.
        visible: (clusters, tracklets per cluster) of visible tracklets in a global batch.
        infrared: The same for infrared tracklets.
        iterations: Batches per epoch.
        seed: The run's seed.
        other_cameras: Whether to draw the tracklets of a cluster from other cameras than the first one, if it has any
            (Cluster Contrast and its followers); otherwise, all members are alike.
        joint: Whether every second batch, from the second one on, is drawn from joint clusters, those with members of
            both modalities. An epoch then has ``iterations`` batches of both kinds together. If there are fewer joint
            clusters than a batch has, they repeat within it.
    """

    def __init__(
        self,
        dataset: TrackletDataset,
        visible: tuple[int, int] = (2, 4),
        infrared: tuple[int, int] = (4, 4),
        iterations: int = 200,
        seed: int | None = 0,
        other_cameras: bool = False,
        joint: bool = False,
    ) -> None:
        super().__init__(self.layout(visible, infrared), iterations, seed)
        self._sizes = {Modality.IR: tuple(infrared), Modality.RGB: tuple(visible)}
        self._rows = {modality: dataset.indices(modality) for modality in self._sizes}
        self._cameras = dataset.cameras if other_cameras else None
        self.joint = joint
        self._clusters: dict[Modality, list[np.ndarray]] | None = None
        self._joint_clusters: dict[Modality, list[np.ndarray]] = {}

    @staticmethod
    def layout(visible: tuple[int, int], infrared: tuple[int, int]) -> np.ndarray:
        """Return which draws of a global batch are visible, bool (B,): first none, then all."""
        if any(len(size) != 2 or min(size) < 1 for size in (visible, infrared)):
            given = f'{visible} and {infrared}'
            raise ConfigError(
                f'PseudoLabelSampler: needs (clusters, tracklets per cluster), both positive, got {given}'
            )
        return np.repeat([False, True], [math.prod(infrared), math.prod(visible)])

    def set_labels(
        self, rgb_labels: np.ndarray, ir_labels: np.ndarray, joint_labels: Mapping[Modality, np.ndarray] | None = None
    ) -> None:
        """Set the labels that the next epochs draw from, and end a ``rest``.

        Args:
            rgb_labels: int64 (Nv,), clusters in the order of ``dataset.indices('rgb')``; -1 is never drawn.
            ir_labels: int64 (Nt,), the same for ``dataset.indices('ir')``.
            joint_labels: The same for joint clusters, by modality; needed with ``joint``, ignored otherwise.
        """
        given = {Modality.IR: np.asarray(ir_labels), Modality.RGB: np.asarray(rgb_labels)}
        clusters = {modality: self._grouped(modality, labels) for modality, labels in given.items()}
        if self.joint:
            if joint_labels is None:
                raise ConfigError(
                    'PseudoLabelSampler: joint=True needs a labeler with joint clusters, such as JointMatchingLabeler'
                )
            shared = np.intersect1d(joint_labels[Modality.RGB], joint_labels[Modality.IR])
            of_both = {m: np.where(np.isin(labels, shared), labels, -1) for m, labels in joint_labels.items()}
            found = {m: self._grouped(m, of_both[m], 'joint ') for m in given}
            counts = {m: max(len(found[m]), self._sizes[m][0]) for m in given}
            self._joint_clusters = {m: [found[m][i % len(found[m])] for i in range(counts[m])] for m in given}
        self._clusters = clusters
        self.rest(False)

    def _grouped(self, modality: Modality, labels: np.ndarray, kind: str = '') -> list[np.ndarray]:
        """List the dataset rows of each cluster; raise LabelingError if there are fewer than a batch asks for."""
        name = {Modality.IR: 'infrared', Modality.RGB: 'visible'}[modality]
        rows = self._rows[modality]
        if labels.shape != rows.shape:
            raise ValueError(f'{len(rows)} {name} tracklets need as many labels, got shape {labels.shape}')
        numbers = np.unique(labels[labels >= 0])
        wanted = self._sizes[modality][0]
        if len(numbers) < (1 if kind else wanted):
            raise LabelingError(
                f'{len(numbers)} {kind}clusters of {name} tracklets were found, but a batch asks for '
                f'{wanted}; loosen the clustering (larger eps, smaller min_samples or k1) or lower the '
                f'{name} clusters per batch'
            )
        return [rows[labels == number] for number in numbers]

    def _plan(self, epoch: int) -> np.ndarray:
        if self._clusters is None:
            raise LabelingError('PseudoLabelSampler has no labels yet; list ClusterHook in custom_hooks')
        if not self.joint:
            return self._plan_clusters(self._clusters, self.iterations, (self.seed, epoch))
        plan = np.empty((self.iterations, self.global_batch_size), np.int64)
        for turn, clusters in enumerate((self._clusters, self._joint_clusters)):
            count = len(plan[turn::2])
            if count:
                plan[turn::2] = self._plan_clusters(clusters, count, (self.seed, epoch), turn)
        return plan

    def _plan_clusters(
        self, clusters: dict[Modality, list[np.ndarray]], iterations: int, seeds: tuple[int, int], turn: int = 0
    ) -> np.ndarray:
        # one stream of random numbers for each modality and turn
        plans = [
            self._plan_modality(m, clusters[m], iterations, [*seeds, int(m is Modality.RGB), turn]) for m in self._sizes
        ]
        return np.concatenate(plans, axis=1)

    def _plan_modality(
        self, modality: Modality, clusters: list[np.ndarray], iterations: int, seeds: list[int]
    ) -> np.ndarray:
        num_clusters, size = self._sizes[modality]
        rng = np.random.default_rng(seeds)

        def draw(number: int) -> np.ndarray:
            members = clusters[number]
            if self._cameras is None:
                return draw_members(members, size, rng)
            return draw_across_cameras(members, self._cameras[members], size, rng)

        return plan_batches(iterations, len(clusters), num_clusters, rng, draw)
