"""Sampler for batches of pseudo-label clusters, drawn independently for each modality."""

import math

import numpy as np

from dscreid.datasets.samplers.batch_plan_sampler import BatchPlanSampler, draw_members, plan_batches
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
    """

    def __init__(
        self,
        dataset: TrackletDataset,
        visible: tuple[int, int] = (2, 4),
        infrared: tuple[int, int] = (4, 4),
        iterations: int = 200,
        seed: int | None = 0,
    ) -> None:
        super().__init__(self.layout(visible, infrared), iterations, seed)
        self._sizes = {Modality.IR: tuple(infrared), Modality.RGB: tuple(visible)}
        self._rows = {modality: dataset.indices(modality) for modality in self._sizes}
        self._clusters: dict[Modality, list[np.ndarray]] | None = None

    @staticmethod
    def layout(visible: tuple[int, int], infrared: tuple[int, int]) -> np.ndarray:
        """Return which draws of a global batch are visible, bool (B,): first none, then all."""
        if any(len(size) != 2 or min(size) < 1 for size in (visible, infrared)):
            given = f'{visible} and {infrared}'
            raise ConfigError(
                f'PseudoLabelSampler: needs (clusters, tracklets per cluster), both positive, got {given}'
            )
        return np.repeat([False, True], [math.prod(infrared), math.prod(visible)])

    def set_labels(self, rgb_labels: np.ndarray, ir_labels: np.ndarray) -> None:
        """Set the labels that the next epochs draw from, and end a ``rest``.

        Args:
            rgb_labels: int64 (Nv,), clusters in the order of ``dataset.indices('rgb')``; -1 is never drawn.
            ir_labels: int64 (Nt,), the same for ``dataset.indices('ir')``.
        """
        clusters = {}
        for modality, name, labels in ((Modality.IR, 'infrared', ir_labels), (Modality.RGB, 'visible', rgb_labels)):
            values = np.asarray(labels)
            if values.shape != self._rows[modality].shape:
                count = len(self._rows[modality])
                raise ValueError(f'{count} {name} tracklets need as many labels, got shape {values.shape}')
            numbers = np.unique(values[values >= 0])
            if len(numbers) < (wanted := self._sizes[modality][0]):
                raise LabelingError(
                    f'{len(numbers)} clusters of {name} tracklets were found, but a batch asks for '
                    f'{wanted}; loosen the clustering (larger eps, smaller min_samples or k1) or lower the '
                    f'{name} clusters per batch'
                )
            clusters[modality] = [self._rows[modality][values == number] for number in numbers]
        self._clusters = clusters
        self.rest(False)

    def _plan(self, epoch: int) -> np.ndarray:
        if self._clusters is None:
            raise LabelingError('PseudoLabelSampler has no labels yet; list ClusterHook in custom_hooks')
        plans = [self._plan_modality(m, self._clusters[m], epoch) for m in self._sizes]
        return np.concatenate(plans, axis=1)

    def _plan_modality(self, modality: Modality, clusters: list[np.ndarray], epoch: int) -> np.ndarray:
        num_clusters, size = self._sizes[modality]
        rng = np.random.default_rng([self.seed, epoch, int(modality is Modality.RGB)])  # one for each modality
        return plan_batches(
            self.iterations, len(clusters), num_clusters, rng, lambda i: draw_members(clusters[i], size, rng)
        )
