"""Necks between the raw features and the features used by losses and retrieval."""

from dscreid.models.necks.bn_neck import BNNeck

__all__ = ['BNNeck']
