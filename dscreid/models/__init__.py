"""Backbones, heads, losses, memories and the re-identification models. Importing this package registers all of them."""

from dscreid.models import augmentation, backbones, data_preprocessor, heads, losses, memories, reid

__all__ = ['augmentation', 'backbones', 'data_preprocessor', 'heads', 'losses', 'memories', 'reid']
