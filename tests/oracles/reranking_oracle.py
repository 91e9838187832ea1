"""Dense k-reciprocal re-ranking and query expansion, query by query, from their descriptions."""

import numpy as np
from oracles.jaccard_oracle import dense_jaccard


def dense_reranked_distance(query, gallery, k1, k2, lambda_value):
    """float64 (Nq, Ng) distance d* of float (Nq, D) and (Ng, D) features."""
    together = np.concatenate([query, gallery]).astype(np.float64)
    jaccard = dense_jaccard(together, k1, k2)
    together = together / np.linalg.norm(together, axis=1, keepdims=True)
    squared = ((together[:, None] - together[None]) ** 2).sum(axis=-1)
    original = squared / squared.max(axis=1, keepdims=True)
    final = (1 - lambda_value) * jaccard + lambda_value * original
    return final[: len(query), len(query) :]


def expanded(query, gallery, topk, alpha):
    """float64 (Nq, D): weighted mean of each query and its nearest gallery rows."""
    rows = []
    for vector in query:
        nearest = sorted(range(len(gallery)), key=lambda j, v=vector: (-(gallery[j] @ v), j))[:topk]
        cosines = [gallery[j] @ vector / np.linalg.norm(gallery[j]) / np.linalg.norm(vector) for j in nearest]
        weights = [1.0 if alpha == 0 else max(cosine, 0) ** alpha for cosine in cosines]
        mean = vector + sum(weight * gallery[j] for weight, j in zip(weights, nearest, strict=True))
        rows.append(mean / (1 + sum(weights)))
    return np.array(rows)
