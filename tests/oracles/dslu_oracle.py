"""DSLU tracklet by tracklet, from equations (5)-(14)."""

import numpy as np


def cosine(a, b):
    """float64 (N, M) cosine similarity."""
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    return (a / np.linalg.norm(a, axis=1, keepdims=True)) @ (b / np.linalg.norm(b, axis=1, keepdims=True)).T


def nearest(similarity, k):
    """Indices of the k largest entries of a vector, ties by index."""
    return sorted(range(len(similarity)), key=lambda j: (-similarity[j], j))[:k]


def unify(visible_static, visible_dynamic, infrared_static, infrared_dynamic, labels, topk, outliers_vote):
    """Visible labels by (5)-(9)."""
    sim_static = cosine(visible_static, infrared_static)
    sim_dynamic = cosine(visible_dynamic, infrared_dynamic)
    unified = []
    for row_static, row_dynamic in zip(sim_static, sim_dynamic, strict=True):
        candidates = [labels[j] for j in nearest(row_dynamic, topk)]
        votes = [labels[j] for j in nearest(row_static, topk)]
        if outliers_vote:
            counts = [votes.count(c) for c in candidates]
            unified.append(candidates[counts.index(max(counts))])
        else:
            counts = [votes.count(c) if c != -1 else 0 for c in candidates]
            best = max(counts)
            unified.append(candidates[counts.index(best)] if best > 0 else -1)
    return np.array(unified, dtype=np.int64)


def correct(static, dynamic, labels, topk, static_weight, dynamic_weight, outliers_vote):
    """Corrected labels by (10)-(14)."""
    fused = static_weight * cosine(static, static) + dynamic_weight * cosine(dynamic, dynamic)
    corrected = []
    for i, row in enumerate(fused):
        row = row.copy()
        row[i] = np.inf
        votes = [labels[j] for j in nearest(row, topk)]
        if not outliers_vote:
            votes = [label for label in votes if label != -1]
        if not votes:
            corrected.append(-1)
            continue
        best = max(votes.count(label) for label in votes)
        winners = {label for label in votes if votes.count(label) == best}
        corrected.append(labels[i] if labels[i] in winners else min(winners))
    return np.array(corrected, dtype=np.int64)
