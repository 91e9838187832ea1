"""Models: backbones, losses, memories and the two re-identification models; importing it registers them."""

from dscreid.models import augmentation, backbones, data_preprocessor, heads, losses, memories, necks, reid

__all__ = [
    'augmentation',
    'backbones',
    'data_preprocessor',
    'heads',
    'losses',
    'memories',
    'necks',
    'reid',
]
