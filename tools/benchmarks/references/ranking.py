"""CMC, mAP and mINP query by query from sorted distances, as evaluation scripts of the field define them."""

import numpy as np


def evaluate(query_features, query_pids, query_cameras, gallery_features, gallery_pids, gallery_cameras, ranks, drop):
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


def evaluate_with_lists(
    query_features, query_pids, query_cameras, gallery_features, gallery_pids, gallery_cameras, ranks, drop
):
    """The same at the pace of the field's scripts: the whole matrix sorted, precision in a list comprehension.

    So MITML (HITSZ-VCM's authors), AGW and most re-ID code bases after open-reid measure.
    """
    distance = -np.asarray(query_features) @ np.asarray(gallery_features).T
    ranked = np.argsort(distance, axis=1, kind='stable')
    matches = (gallery_pids[ranked] == query_pids[:, None]).astype(np.int32)
    cmc, average_precision, inverse_penalty = [], [], []
    for query, order in enumerate(ranked):
        same_person = gallery_pids[order] == query_pids[query]
        same_camera = gallery_cameras[order] == query_cameras[query]
        right = matches[query][~(same_person & same_camera & drop)]
        if not right.any():
            continue
        found = right.cumsum()
        cmc.append([found[min(rank, len(found)) - 1] > 0 for rank in ranks])
        precision = np.asarray([number / (place + 1.0) for place, number in enumerate(found)])
        average_precision.append((precision * right).sum() / right.sum())
        last = np.flatnonzero(right)[-1]
        inverse_penalty.append(found[last] / (last + 1.0))
    result = {'mAP': np.mean(average_precision), 'mINP': np.mean(inverse_penalty), 'valid_queries': len(cmc)}
    return result | dict(zip((f'Rank-{rank}' for rank in ranks), np.mean(cmc, axis=0), strict=True))
