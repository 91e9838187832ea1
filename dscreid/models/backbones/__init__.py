"""Image towers and the tracklet encoders built on them."""

from dscreid.models.backbones.clip_vision_transformer import CLIPVisionTransformer
from dscreid.models.backbones.conv_stem import ConvStem
from dscreid.models.backbones.frame_average import FrameAverage
from dscreid.models.backbones.positional import resize_positional_embedding
from dscreid.models.backbones.pretrained import skip_pretrained
from dscreid.models.backbones.spatio_temporal_prompting import SpatioTemporalPrompting

__all__ = [
    'CLIPVisionTransformer',
    'ConvStem',
    'FrameAverage',
    'SpatioTemporalPrompting',
    'resize_positional_embedding',
    'skip_pretrained',
]
