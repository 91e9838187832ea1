"""Re-identification models of both training stages."""

from dscreid.models.reid.adaptive_reid import AdaptiveReID
from dscreid.models.reid.base import BaseReID
from dscreid.models.reid.hierarchical_reid import HierarchicalReID
from dscreid.models.reid.source_reid import SourceReID
from dscreid.models.reid.supervised_reid import SupervisedReID, is_supervised

__all__ = ['AdaptiveReID', 'BaseReID', 'HierarchicalReID', 'SourceReID', 'SupervisedReID', 'is_supervised']
