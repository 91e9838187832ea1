"""Backbones, losses, memories and the two re-identification models. Importing this package registers all of them."""

from dscreid.models import augmentation, backbones, data_preprocessor, losses, memories, reid

__all__ = ['augmentation', 'backbones', 'data_preprocessor', 'losses', 'memories', 'reid']
