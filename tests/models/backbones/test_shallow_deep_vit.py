"""SDCL's encoder: its two halves, its stems, and files of self-supervised weights."""

import pytest
import torch

from dscreid.errors import CheckpointError, ConfigError
from dscreid.registry import MODELS

SIZE = dict(image_size=(32, 16), patch_size=8, width=32, layers=3, heads=2)
FRAMES = torch.randn(3, 2, 3, 32, 16, generator=torch.Generator().manual_seed(0))
MODALITIES = ['ir', 'rgb', 'ir']


def build(**keywords):
    torch.manual_seed(0)
    return MODELS.build({'type': 'ShallowDeepViT', **SIZE, **keywords}).eval()


@torch.no_grad()
def test_halves_are_the_class_tokens_of_two_copies_of_the_last_block():
    model = build()
    for part in (model.deep, model.shallow):
        for value in part.parameters():
            value.add_(torch.randn(value.shape) / 10)  # so that the copies differ
    static, dynamic = model(FRAMES, MODALITIES)
    for row, modality in enumerate(MODALITIES):
        deep, shallow = [], []
        for frame in FRAMES[row]:
            patches = model.stems[modality](frame[None])
            first = torch.cat([model.cls_token, patches], 1) + model.pos_embed
            last = model.blocks[1](model.blocks[0](first))
            deep.append(model.deep[1](model.deep[0](last))[0, 0])
            mixed = torch.cat([last[:, :1], first[:, 1:]], 1)
            shallow.append(model.shallow[1](model.shallow[0](mixed))[0, 0])
        torch.testing.assert_close(dynamic[row], sum(deep) / 2, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(static[row], sum(shallow) / 2, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_a_single_picture_has_two_different_halves():
    static, dynamic = build()(FRAMES[:, :1], MODALITIES)
    assert not torch.allclose(static, dynamic, atol=1e-2)


def weights_file(path, prefix='', wrap=None, conv_stem=False, grid=8):
    """The weights of a transformer with the names of TransReID-SSL."""
    model = build(conv_stem=conv_stem)
    names = {'blocks.2.': 'deep.0.', 'norm.': 'deep.1.', 'patch_embed.': 'stems.rgb.'}
    weights = {}
    for name, value in model.state_dict().items():
        for theirs, own in names.items():
            name = name.replace(own, theirs) if name.startswith(own) else name
        if not name.startswith(('stems.', 'shallow.')):
            weights[prefix + name] = value + 1 if value.is_floating_point() else value
    weights[f'{prefix}pos_embed'] = torch.randn(1, 1 + grid, 32)
    weights[f'{prefix}fc.weight'] = torch.zeros(5, 32)
    torch.save({wrap: weights} if wrap else weights, path)
    return weights


@pytest.mark.parametrize(('prefix', 'wrap'), [('', None), ('module.backbone.', 'teacher'), ('', 'model')])
@pytest.mark.parametrize('conv_stem', [False, True])
def test_files_are_loaded_into_both_stems_and_both_copies(tmp_path, prefix, wrap, conv_stem):
    weights = weights_file(tmp_path / 'w.pth', prefix, wrap, conv_stem)
    model = build(pretrained=str(tmp_path / 'w.pth'), conv_stem=conv_stem)
    model.init_weights()
    for modality in ('rgb', 'ir'):
        torch.testing.assert_close(model.stems[modality].proj.weight, weights[f'{prefix}patch_embed.proj.weight'])
    for part in (model.deep, model.shallow):
        torch.testing.assert_close(part[0].norm1.bias, weights[f'{prefix}blocks.2.norm1.bias'])
        torch.testing.assert_close(part[1].weight, weights[f'{prefix}norm.weight'])
    torch.testing.assert_close(model.blocks[1].attn.qkv.weight, weights[f'{prefix}blocks.1.attn.qkv.weight'])
    torch.testing.assert_close(model.pos_embed, weights[f'{prefix}pos_embed'])  # of a grid of 4 x 2


def test_positions_of_another_size_are_resized(tmp_path):
    weights_file(tmp_path / 'w.pth', grid=32)
    model = build(pretrained=str(tmp_path / 'w.pth'))
    model.init_weights()
    assert model.pos_embed.shape == (1, 9, 32)


def test_missing_and_other_files_are_one_sentence(tmp_path):
    with pytest.raises(
        CheckpointError, match=r"w\.pth: pretrained weights not found; get a ViT-B/16 .*'vit_base_ics_cfs_lup'"
    ):
        build(pretrained=str(tmp_path / 'w.pth')).init_weights()
    weights_file(tmp_path / 'w.pth')
    with pytest.raises(CheckpointError, match=r'does not fit ShallowDeepViT \(.*missing stems.rgb.conv'):
        build(pretrained=str(tmp_path / 'w.pth'), conv_stem=True).init_weights()


@pytest.mark.parametrize(
    'wrong',
    [
        dict(layers=1),
        dict(width=33),
        dict(image_size=(33, 16)),
        dict(image_size=(32,)),
        dict(image_size=(27, 9), patch_size=9, conv_stem=True),
    ],
)
def test_sizes_that_do_not_fit(wrong):
    with pytest.raises(ConfigError, match='ShallowDeepViT: needs layers >= 2'):
        build(**wrong)


def test_modalities_are_needed():
    with pytest.raises(ValueError, match='ShallowDeepViT needs one modality per tracklet, got 0 for 3 tracklets'):
        build()(FRAMES)
