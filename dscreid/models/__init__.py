"""Models: backbones, losses, memories and the two re-identification models; importing it registers them."""

from dscreid.models import backbones

__all__ = ['backbones']
