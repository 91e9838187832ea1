"""Rank the features of a finished run in another way, without extracting them again."""

from collections.abc import Callable, Mapping

import numpy as np

from dscreid.errors import DatasetError
from dscreid.evaluation import FeatureTable, ReIDMetric


def raw_halves(table: FeatureTable) -> np.ndarray:
    """Concatenate raw static and dynamic features, as VLD ranks them. float32 (N, 2 D)."""
    return np.concatenate([table.static, table.dynamic], axis=1)


def static_half(table: FeatureTable) -> np.ndarray:
    """Return the raw static features, L2-normalized. float32 (N, D)."""
    return _normalized(table.static)


def dynamic_half(table: FeatureTable) -> np.ndarray:
    """Return the raw dynamic features, L2-normalized. float32 (N, D)."""
    return _normalized(table.dynamic)


VIEW_FUNCTIONS: Mapping[str, Callable[[FeatureTable], np.ndarray]] = {
    'raw': raw_halves,
    'static': static_half,
    'dynamic': dynamic_half,
}


def view_metrics(table: FeatureTable, view: str, protocol: str) -> dict[str, float]:
    """Compute the metrics of a test set whose features are ranked in another way.

    Args:
        table: Features with both raw halves.
        view: One of ``VIEW_FUNCTIONS``.
        protocol: Name of the evaluation protocol.

    Returns:
        Metrics in [0, 1], with the keys of ``ReIDMetric``.

    Raises:
        DatasetError: If the table has no raw halves.
    """
    if table.static is None or table.dynamic is None:
        raise DatasetError('the feature file holds no raw halves; write it with dscreid test --dump-features')
    feature = VIEW_FUNCTIONS[view](table)
    facts = ('pid', 'camera', 'modality', 'is_query', 'index')
    records = [
        {'feature': feature[row], **{name: getattr(table, name)[row] for name in facts}}
        for row in range(len(table))
    ]
    return ReIDMetric(protocol).compute_metrics(records)


def _normalized(matrix: np.ndarray) -> np.ndarray:
    return matrix / np.maximum(np.linalg.norm(matrix, axis=1, keepdims=True), 1e-12)
