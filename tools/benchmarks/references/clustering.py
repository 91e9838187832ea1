"""Clustering as it is usually written for a few thousand samples: dense N x N arrays, numpy, one loop over rows."""

import numpy as np
from sklearn.cluster import DBSCAN


def dense_jaccard_matrix(features, k1=30, k2=6):
    """float32 (N, N) k-reciprocal Jaccard distance of float (N, D) features, L2-normalised here."""
    features = np.asarray(features, dtype=np.float32)
    features = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    num = len(features)
    distance = np.maximum(2 - 2 * features @ features.T, 0)
    np.fill_diagonal(distance, -1)  # itself first
    ranking = np.argsort(distance, axis=1, kind='stable')[:, :k1]
    np.fill_diagonal(distance, 0)
    half = int(np.around(k1 / 2)) + 1

    def reciprocal(i, k):
        forward = ranking[i, :k]
        return forward[(ranking[forward, :k] == i).any(axis=1)]

    full = [reciprocal(i, k1) for i in range(num)]
    halves = [reciprocal(i, half) for i in range(num)]
    encoding = np.zeros((num, num), np.float32)
    for i in range(num):
        members = full[i]
        for candidate in full[i]:
            shared = np.intersect1d(halves[candidate], full[i])
            if len(shared) > 2 / 3 * len(halves[candidate]):
                members = np.append(members, halves[candidate])
        members = np.unique(members)
        weight = np.exp(-distance[i, members])
        encoding[i, members] = weight / weight.sum()
    if k2 > 1:
        encoding = np.stack([encoding[ranking[i, :k2]].mean(axis=0) for i in range(num)])
    holders = [np.flatnonzero(encoding[:, k]) for k in range(num)]
    jaccard = np.empty((num, num), np.float32)
    for i in range(num):
        overlap = np.zeros(num, np.float32)
        for k in np.flatnonzero(encoding[i]):
            rows = holders[k]
            overlap[rows] += np.minimum(encoding[i, k], encoding[rows, k])
        jaccard[i] = 1 - overlap / (2 - overlap)
    return np.maximum(jaccard, 0)


def dense_clusters(features, k1=30, k2=6, eps=0.6, min_samples=4):
    """int64 (N,) labels, -1 = outlier."""
    distance = dense_jaccard_matrix(features, k1, k2)
    return DBSCAN(eps=eps, min_samples=min_samples, metric='precomputed').fit(distance).labels_
