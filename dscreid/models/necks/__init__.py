"""Necks between the raw features and what losses and retrieval see."""

from dscreid.models.necks.bn_neck import BNNeck

__all__ = ['BNNeck']
