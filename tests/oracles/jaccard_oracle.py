"""Dense, slow reading of the k-reciprocal Jaccard distance, from its description, with sets and loops."""

import numpy as np


def dense_jaccard(features, k1=30, k2=6):
    """float64 (N, N) Jaccard distance of float (N, D) features; neighbours ranked by cosine, self first."""
    x = np.asarray(features, dtype=np.float64)
    norm = np.linalg.norm(x, axis=1, keepdims=True)
    x = x / np.where(norm == 0, 1, norm)
    n = len(x)
    cosine = x @ x.T
    ranking = [sorted(range(n), key=lambda j, i=i: (j != i, -cosine[i, j], j))[:k1] for i in range(n)]
    half = int(np.around(k1 / 2)) + 1

    def mutual(i, k):
        return {j for j in ranking[i][:k] if i in ranking[j][:k]}

    encoding = np.zeros((n, n))
    for i in range(n):
        core = mutual(i, k1)
        expanded = set(core)
        for j in core:
            candidate = mutual(j, half)
            if len(candidate & core) > 2 / 3 * len(candidate):
                expanded |= candidate
        members = sorted(expanded)
        weight = np.exp(-(2 - 2 * cosine[i, members]))
        encoding[i, members] = weight / weight.sum()
    if k2 > 1:
        encoding = np.stack([encoding[ranking[i][:k2]].mean(axis=0) for i in range(n)])
    overlap = np.array([[np.minimum(a, b).sum() for b in encoding] for a in encoding]).reshape(n, n)
    return np.maximum(1 - overlap / (2 - overlap), 0)
