"""Metric that MMEngine's loops call: gathers features, applies a protocol, measures."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log

from dscreid.evaluation.feature_file import MODALITY_CODES, FeatureTable, save_features
from dscreid.evaluation.protocols import CROSS_MODAL, check_protocol, protocol_directions
from dscreid.evaluation.ranking import rank_metrics
from dscreid.registry import METRICS
from dscreid.structures import Modality


@METRICS.register_module()
class ReIDMetric(BaseMetric):
    """CMC, mAP and mINP of every direction of an official protocol.

    Metrics are named ``{direction}/{measure}``, for example ``rgb2ir/mAP``, with ``mean/{measure}`` the mean
    of the two cross-modal directions; all in [0, 1].

    Args:
        protocol: ``'hitsz_vcm'``, ``'bupt_campus'`` or ``'bupt_campus_as_published'``.
        ranks: Ranks of the CMC curve to report.
        feature: Which feature of a data sample to compare by inner product: ``'feature'``, or ``'static'`` or
            ``'dynamic'`` alone, as the model made them.
        dump: File that receives the features of every evaluation (see
            :mod:`dscreid.evaluation.feature_file`).
        collect_device: Where ranks exchange results, ``'cpu'`` or ``'gpu'``.

    Raises:
        ConfigError: If there is no such protocol.

    Example (config)::

        test_evaluator = dict(type='ReIDMetric', protocol='hitsz_vcm')
    """

    # names carry their direction; without a prefix of any kind MMEngine warns
    default_prefix = ''

    def __init__(
        self,
        protocol: str = 'hitsz_vcm',
        ranks: Sequence[int] = (1, 5, 10, 20),
        feature: str = 'feature',
        dump: str | Path | None = None,
        collect_device: str = 'cpu',
    ) -> None:
        super().__init__(collect_device=collect_device)
        check_protocol(protocol)  # now, not after a training
        self.protocol = protocol
        self.ranks = tuple(ranks)
        self.feature = feature
        self.dump = dump

    def process(self, data_batch: Any, data_samples: Sequence[Mapping]) -> None:
        """Keep one record per tracklet.

        Args:
            data_batch: Unused.
            data_samples: :class:`ReIDDataSample` or their dictionaries, with the facts of a packed tracklet
                and the features of ``predict``.
        """
        for sample in data_samples:
            if not isinstance(sample, Mapping):
                sample = sample.to_dict()
            self.results.append(_record(sample, self.feature, keep_halves=self.dump is not None))

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """Measure all directions over the gathered records.

        Args:
            results: Records of all ranks, in any order.

        Returns:
            Flat dictionary of values in [0, 1].
        """
        table = _table(results)
        if self.dump is not None:
            save_features(self.dump, table)
        directions = protocol_directions(self.protocol, table.modalities, table.is_query)
        metrics = {}
        for name, (query, gallery, drop_same_camera) in directions.items():
            sides = [
                side[rows] for rows in (query, gallery) for side in (table.feature, table.pid, table.camera)
            ]
            measured = rank_metrics(*sides, ranks=self.ranks, drop_same_camera=drop_same_camera)
            valid = measured.pop('valid_queries')
            counts = f'{valid} of {len(query)} queries have a true match among {len(gallery)} tracklets'
            print_log(f'{self.protocol} {name}: {counts}', logger='current')
            metrics |= {f'{name}/{measure}': value for measure, value in measured.items()}
        for measure in ('mAP', 'mINP', *(f'Rank-{rank}' for rank in self.ranks)):
            values = [metrics[f'{direction}/{measure}'] for direction in CROSS_MODAL]
            metrics[f'mean/{measure}'] = float(np.mean(values))
        return metrics


def _record(sample: Mapping, feature: str, keep_halves: bool) -> dict[str, Any]:
    """What retrieval needs of one data sample; the raw halves only where they will be written to a file."""
    missing = [
        key for key in (feature, 'pid', 'camera', 'modality', 'is_query', 'index') if key not in sample
    ]
    if missing:
        raise ValueError(
            f'a data sample lacks {", ".join(missing)}; evaluation needs a labelled split and a model whose '
            f"predict mode sets '{feature}'"
        )
    record = {'feature': _vector(sample[feature])}
    if keep_halves:
        record |= {half: _vector(sample[half]) for half in ('static', 'dynamic') if half in sample}
    record['modality'] = MODALITY_CODES[Modality(sample['modality'])]
    record['is_query'] = bool(sample['is_query'])
    return record | {key: int(sample[key]) for key in ('pid', 'camera', 'index')}


def _vector(feature: Any) -> np.ndarray:
    """float32 (D,), a copy that keeps no batch alive."""
    return torch.as_tensor(feature).detach().cpu().float().numpy().copy()


def _table(records: list[dict]) -> FeatureTable:
    """Records as arrays, in dataset order; a tracklet that padding repeated counts once."""
    records = sorted({record['index']: record for record in records}.values(), key=lambda r: r['index'])
    if not records:
        raise ValueError('no tracklet was evaluated; check that the test split is not empty')
    return FeatureTable(**{key: np.array([record[key] for record in records]) for key in records[0]})
