"""Image towers and tracklet encoders built on them."""

from dscreid.models.backbones.anaglyph import AnaglyphResNet
from dscreid.models.backbones.clip_text_transformer import CLIPTextTransformer
from dscreid.models.backbones.clip_vision_transformer import CLIPVisionTransformer, ConvStem
from dscreid.models.backbones.diverse_embedding import DiverseEmbeddingResNet
from dscreid.models.backbones.middle_modality import MiddleModalityResNet
from dscreid.models.backbones.part_attention import PartAttentionResNet
from dscreid.models.backbones.pretrained import resize_positional_embedding, skip_pretrained
from dscreid.models.backbones.projected_clip import ProjectedCLIP
from dscreid.models.backbones.shallow_deep_vit import ShallowDeepViT
from dscreid.models.backbones.spatio_temporal_prompting import FrameAverage, SpatioTemporalPrompting
from dscreid.models.backbones.style_disturbance import StyleDisturbanceResNet
from dscreid.models.backbones.temporal_gates import TemporalGateResNet
from dscreid.models.backbones.temporal_memory_clip import TemporalMemoryCLIP
from dscreid.models.backbones.timm_backbone import TimmBackbone
from dscreid.models.backbones.twin_encoder import TwinEncoder
from dscreid.models.backbones.two_stream_resnet import TwoStreamResNet, TwoStreamResNet50, generalized_mean

__all__ = [
    'AnaglyphResNet',
    'CLIPTextTransformer',
    'CLIPVisionTransformer',
    'ConvStem',
    'DiverseEmbeddingResNet',
    'FrameAverage',
    'MiddleModalityResNet',
    'PartAttentionResNet',
    'ProjectedCLIP',
    'ShallowDeepViT',
    'SpatioTemporalPrompting',
    'StyleDisturbanceResNet',
    'TemporalGateResNet',
    'TemporalMemoryCLIP',
    'TimmBackbone',
    'TwinEncoder',
    'TwoStreamResNet',
    'TwoStreamResNet50',
    'generalized_mean',
    'resize_positional_embedding',
    'skip_pretrained',
]
