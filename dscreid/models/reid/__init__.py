"""The models of both stages."""

from dscreid.models.reid.base import BaseReID
from dscreid.models.reid.source_reid import SourceReID

__all__ = ['BaseReID', 'SourceReID']
