"""Checkpoints of CLIP-ReID (Li et al., AAAI 2023) with the vision transformer ViT-B/16 of CLIP."""

from collections.abc import Mapping

import torch
from torch import Tensor

from dscreid.errors import CheckpointError
from dscreid.models.backbones.pretrained import fit_positional_embedding
from dscreid.models.published.layout import Converted, Layout, Rules, rename
from dscreid.models.published.vld import clip_tower

_TITLE = 'a CLIP-ReID checkpoint'
_RULES: Rules = {
    r'image_encoder\.proj': ['backbone.projection'],
    r'image_encoder\.(.*)': [r'backbone.tower.\1'],
    r'bottleneck\.(.*)': [r'last_neck.\1'],
    r'bottleneck_proj\.(.*)': [r'projected_neck.\1'],
    r'(classifier|classifier_proj|prompt_learner|text_encoder)\..*': [],
    r'cv_embed': [],
}
_NOTES = [
    'supervised/clip_reid_* evaluates it as published; its images have 256x128 pixels (--image-size 256 128).',
    'In another config set model.data_preprocessor.mean and std to (0.5, 0.5, 0.5) and model.ranking=raw_static.',
]
_CAMERAS = 'It was trained with embeddings of its cameras (cv_embed), which are left out.'


def convert(weights: Mapping[str, Tensor], path: str, image_size: tuple[int, int]) -> Converted:
    """Take the visual tower, its projection and the necks of both, joined; resize positions to ``image_size``.

    Raises CheckpointError for CLIP's ResNet-50, overlapping patches, and weights that are missing or unknown.
    """
    if any(name.startswith('image_encoder.attnpool.') for name in weights):
        raise CheckpointError(f'{path}: is {_TITLE} with a ResNet; only its vision transformer ViT-B/16 is supported')
    state_dict, dropped = rename(weights, _RULES, path, _TITLE)
    necks = _take(state_dict, 'last_neck.'), _take(state_dict, 'projected_neck.')
    place, projection = 'backbone.tower.positional_embedding', 'backbone.projection'
    needed = {'conv1.weight': 'backbone.tower.conv1.weight', 'positional_embedding': place, 'proj': projection}
    missing = [f'image_encoder.{name}' for name, here in needed.items() if here not in state_dict]
    missing += [f'bottleneck.{name}' for name in necks[1] if name not in necks[0]]
    missing += [f'bottleneck_proj.{name}' for name in necks[0] if name not in necks[1]]
    if missing:
        raise CheckpointError(f'{path}: is not {_TITLE} (missing {missing[0]})')
    for name, last in necks[0].items():
        # batch normalization treats each column alone, so two of them are one of the joined feature
        joined = torch.cat([last, necks[1][name]]) if last.ndim else last
        state_dict |= {f'static_neck.{name}': joined, f'dynamic_neck.{name}': joined}
    tower = clip_tower(state_dict, state_dict['backbone.tower.conv1.weight'], image_size)
    grid = (image_size[0] // tower['patch_size'], image_size[1] // tower['patch_size'])
    state_dict[place] = fit_positional_embedding(state_dict[place], grid, path, upright=True)
    backbone = dict(type='ProjectedCLIP', joint_width=state_dict[projection].shape[1], tower=tower)
    notes = [*_NOTES, _CAMERAS] if 'cv_embed' in dropped else _NOTES
    return Converted(state_dict, dropped, backbone, notes=notes)


def _take(state_dict: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Move the weights with a prefix to a dict of their own, without the prefix."""
    names = [name for name in state_dict if name.startswith(prefix)]
    return {name.removeprefix(prefix): state_dict.pop(name) for name in names}


CLIP_REID = Layout(_TITLE, (r'image_encoder\..*', r'bottleneck_proj\..*'), convert)
