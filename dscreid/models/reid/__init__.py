"""Re-identification models of both training stages."""

from dscreid.models.reid.adaptive_reid import AdaptiveReID
from dscreid.models.reid.base import BaseReID
from dscreid.models.reid.source_reid import SourceReID

__all__ = ['AdaptiveReID', 'BaseReID', 'SourceReID']
