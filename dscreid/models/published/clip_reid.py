"""Checkpoints of CLIP-ReID (Li et al., AAAI 2023) with the vision transformer ViT-B/16 of CLIP."""

from collections.abc import Mapping

from torch import Tensor

from dscreid.errors import CheckpointError
from dscreid.models.backbones.pretrained import fit_positional_embedding
from dscreid.models.published.layout import Converted, Layout, Rules, rename
from dscreid.models.published.vld import clip_tower

_TITLE = 'a CLIP-ReID checkpoint'
_RULES: Rules = {
    r'image_encoder\.proj': [],
    r'image_encoder\.(.*)': [r'backbone.tower.\1'],
    r'bottleneck\.(.*)': [r'static_neck.\1', r'dynamic_neck.\1'],
    r'(bottleneck_proj|classifier|classifier_proj|prompt_learner|text_encoder)\..*': [],
    r'cv_embed': [],
}
_NOTES = [
    'The images of CLIP-ReID have mean and std 0.5: set model.data_preprocessor.mean and std to (0.5, 0.5, 0.5).',
    'It ranks by the raw class token, joined with its projection, which is left out: set model.ranking=raw_static.',
]
_CAMERAS = 'It was trained with embeddings of its cameras (cv_embed), which are left out.'


def convert(weights: Mapping[str, Tensor], path: str, image_size: tuple[int, int]) -> Converted:
    """Take the visual tower and its neck, which serves both halves; resize positions to ``image_size``.

    Raises CheckpointError for CLIP's ResNet-50, overlapping patches, and weights with unknown names.
    """
    if any(name.startswith('image_encoder.attnpool.') for name in weights):
        raise CheckpointError(f'{path}: is {_TITLE} with a ResNet; only its vision transformer ViT-B/16 is supported')
    state_dict, dropped = rename(weights, _RULES, path, _TITLE)
    place = 'backbone.tower.positional_embedding'
    if missing := [name for name in ('backbone.tower.conv1.weight', place) if name not in state_dict]:
        raise CheckpointError(f'{path}: is not {_TITLE} (missing {missing[0]})')
    tower = clip_tower(state_dict, state_dict['backbone.tower.conv1.weight'], image_size)
    grid = (image_size[0] // tower['patch_size'], image_size[1] // tower['patch_size'])
    state_dict[place] = fit_positional_embedding(state_dict[place], grid, path, upright=True)
    notes = [*_NOTES, _CAMERAS] if 'cv_embed' in dropped else _NOTES
    return Converted(state_dict, dropped, dict(type='FrameAverage', tower=tower), notes=notes)


CLIP_REID = Layout(_TITLE, (r'image_encoder\..*', r'bottleneck_proj\..*'), convert)
