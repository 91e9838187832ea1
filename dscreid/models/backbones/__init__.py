"""Image towers and tracklet encoders built on them."""

from dscreid.models.backbones.clip_vision_transformer import CLIPVisionTransformer, ConvStem
from dscreid.models.backbones.pretrained import resize_positional_embedding, skip_pretrained
from dscreid.models.backbones.spatio_temporal_prompting import FrameAverage, SpatioTemporalPrompting
from dscreid.models.backbones.two_stream_resnet50 import TwoStreamResNet50, generalized_mean

__all__ = [
    'CLIPVisionTransformer',
    'ConvStem',
    'FrameAverage',
    'SpatioTemporalPrompting',
    'TwoStreamResNet50',
    'generalized_mean',
    'resize_positional_embedding',
    'skip_pretrained',
]
