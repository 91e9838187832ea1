"""Scores of queries against gallery tracklets, computed block by block."""

from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from dscreid.errors import EvaluationError
from dscreid.neighbors.knn import as_feature_matrix

Features = Tensor | np.ndarray


class Scores(Protocol):
    """Scores of Nq queries against Ng gallery tracklets, in blocks on ``device``; higher means nearer."""

    shape: tuple[int, int]
    device: torch.device

    def __getitem__(self, rows: slice) -> Tensor:
        """Scores of a block of queries, float (n, Ng); the caller may modify the tensor."""


class InnerProduct:
    """Inner products of features, float (Nq, D) and (Ng, D), as given, without normalization (torch or NumPy).

    Raises:
        EvaluationError: If features are so large that their inner products overflow.
        ValueError: If shapes do not fit or features are not finite.
    """

    def __init__(self, query_features: Features, gallery_features: Features) -> None:
        self.query, self.gallery = paired_features(query_features, gallery_features)
        self.shape = (len(self.query), len(self.gallery))
        self.device = self.query.device

    def __getitem__(self, rows: slice) -> Tensor:
        return self.query[rows] @ self.gallery.T


def paired_features(query_features: Features, gallery_features: Features) -> tuple[Tensor, Tensor]:
    """Check that two feature matrices can be compared, and convert them to the same dtype.

    Both become float64 if both are float64, and float32 otherwise. Raises as :class:`InnerProduct`.
    """
    query = as_feature_matrix(query_features, 'query_features')
    gallery = as_feature_matrix(gallery_features, 'gallery_features')
    if query.shape[1] != gallery.shape[1]:
        sizes = f'{query.shape[1]} and {gallery.shape[1]}'
        raise ValueError(f'query and gallery features differ in width ({sizes}); use features of one model')
    if query.dtype != gallery.dtype:
        query, gallery = query.float(), gallery.float()
    if query.numel() and gallery.numel():
        largest = query.abs().max().double() * gallery.abs().max().double() * query.shape[1]
        if largest > torch.finfo(query.dtype).max:
            raise EvaluationError('features are so large that inner products overflow; normalize their rows')
    return query, gallery
