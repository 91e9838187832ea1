"""CMC, mAP and mINP query by query from sorted distances, as evaluation scripts of the field define them."""

import numpy as np


def evaluate(
    query_features, query_pids, query_cameras, gallery_features, gallery_pids, gallery_cameras, ranks, drop
):
    """Same arguments and keys as ``rank_metrics``."""
    distance = -np.asarray(query_features) @ np.asarray(gallery_features).T
    cmc, average_precision, inverse_penalty = [], [], []
    for row, pid, camera in zip(distance, query_pids, query_cameras, strict=True):
        order = np.argsort(row, kind='stable')
        if drop:
            order = np.array(
                [j for j in order if not (gallery_pids[j] == pid and gallery_cameras[j] == camera)], dtype=int
            )
        right = (gallery_pids[order] == pid).astype(float)
        if right.sum() == 0:
            continue
        cumulative = np.cumsum(right)
        curve = np.minimum(cumulative, 1)
        cmc.append([curve[min(rank, len(curve)) - 1] for rank in ranks])
        precision = cumulative / (np.arange(len(right)) + 1)
        average_precision.append((precision * right).sum() / right.sum())
        inverse_penalty.append(right.sum() / (np.flatnonzero(right)[-1] + 1))
    result = {'mAP': np.mean(average_precision), 'mINP': np.mean(inverse_penalty), 'valid_queries': len(cmc)}
    return result | dict(zip((f'Rank-{rank}' for rank in ranks), np.mean(cmc, axis=0), strict=True))
