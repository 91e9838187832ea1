"""Heads of supervised training: modules that turn parts of a batch into another part, such as logits."""

from dscreid.models.heads.alignment_head import AlignmentHead, ReconstructionHead
from dscreid.models.heads.anaglyph_head import SharedIdentityHead, TranslationHead
from dscreid.models.heads.frame_heads import ClipFrameHead, FrameHead, InteractionHead
from dscreid.models.heads.graph_head import GraphHead
from dscreid.models.heads.identity_head import IdentityHead, StripeHead
from dscreid.models.heads.memory_head import IdentityMemoryHead, PromptedMemoryHead, TextMemoryHead
from dscreid.models.heads.modality_head import ModalityHead
from dscreid.models.heads.projection_head import ProjectionHead

__all__ = [
    'AlignmentHead',
    'ClipFrameHead',
    'FrameHead',
    'GraphHead',
    'IdentityHead',
    'IdentityMemoryHead',
    'InteractionHead',
    'ModalityHead',
    'ProjectionHead',
    'PromptedMemoryHead',
    'ReconstructionHead',
    'SharedIdentityHead',
    'StripeHead',
    'TextMemoryHead',
    'TranslationHead',
]
