"""Published checkpoints: the converted models compute what the published networks compute from the same weights."""

import numpy as np
import published_weights as published
import pytest
import torch
import torch.nn.functional as F

from dscreid.engine.source_weights import load_source_weights
from dscreid.errors import CheckpointError, ConfigError
from dscreid.models.published import LAYOUTS, convert_weights, recognize
from dscreid.models.reid import BaseReID
from dscreid.utils.checkpoint import load_weights

MODALITIES = ['rgb', 'ir', 'rgb']
WEIGHTS = {
    'agw': published.agw_weights,
    'clip-reid': published.clip_reid_weights,
    'sdcl': published.sdcl_weights,
}


def converted_model(weights, **options):
    """The model of the converted weights, all of which must have a place, in evaluation mode."""
    converted = convert_weights(weights, image_size=published.SIZE, **options)
    model = BaseReID(dict(converted.backbone))
    model.load_state_dict(converted.state_dict)
    return model.eval(), converted


def frames(height, width):
    return torch.randn(3, 2, 3, height, width, generator=torch.Generator().manual_seed(1))


def mean_over_frames(forward, inputs):
    """Each output of ``forward(images, visible)``, averaged over the frames of each tracklet."""
    rows = [forward(tracklet, name == 'rgb') for tracklet, name in zip(inputs, MODALITIES, strict=True)]
    return [torch.stack([row[part].mean(0) for row in rows]) for part in range(len(rows[0]))]


@torch.no_grad()
@pytest.mark.parametrize(('depth', 'non_local'), [(18, False), (18, True), (50, False), (50, True)])
def test_agw(depth, non_local):
    weights = published.agw_weights(depth, non_local)
    model, converted = converted_model(weights)
    inputs = frames(64, 32)
    pooled, _ = mean_over_frames(lambda *given: published.agw_forward(weights, *given), inputs)
    static, dynamic = model.extract_feat(inputs, MODALITIES)
    torch.testing.assert_close(static, pooled, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(dynamic, pooled, rtol=1e-4, atol=1e-5)
    # a picture is a tracklet of one frame, and its feature is the normalized output of the neck
    pictures = inputs[:, :1]
    _, after_neck = mean_over_frames(lambda *given: published.agw_forward(weights, *given), pictures)
    found = model.embed(pictures, MODALITIES).static
    torch.testing.assert_close(found, F.normalize(after_neck, dim=1), rtol=1e-4, atol=1e-5)
    assert converted.backbone.get('non_local', False) == non_local
    assert {name.partition('.')[0] for name in converted.dropped} == {
        'visible_module', 'thermal_module', 'base_resnet', 'classifier',
    }  # fmt: skip


@torch.no_grad()
def test_clip_reid():
    weights = published.clip_reid_weights()
    model, converted = converted_model(weights)
    inputs = frames(*published.SIZE)
    before, after = mean_over_frames(lambda images, _: published.clip_reid_forward(weights, images), inputs)
    for half in model.extract_feat(inputs):
        torch.testing.assert_close(half, before, rtol=1e-4, atol=1e-5)
    for neck in (model.static_neck, model.dynamic_neck):
        torch.testing.assert_close(neck(before), after, rtol=1e-4, atol=1e-5)
    assert converted.backbone['joint_width'] == 64
    assert converted.meta['tower']['activation'] == 'quick_gelu'
    assert len(converted.notes) == 2
    assert {name.partition('.')[0] for name in converted.dropped} == {
        'classifier', 'classifier_proj', 'prompt_learner', 'text_encoder',
    }  # fmt: skip


def test_the_tower_of_clip_reid_alone(tmp_path):
    """Of a file with a projection, an encoder without one takes the tower, if it may take a part."""
    converted = convert_weights(published.clip_reid_weights(), image_size=published.SIZE)
    model = BaseReID(dict(type='FrameAverage', tower=converted.backbone['tower']))
    torch.save({'state_dict': converted.state_dict, 'meta': converted.meta}, path := tmp_path / 'source.pth')
    with pytest.raises(CheckpointError, match=r'unexpected backbone\.projection'):
        load_source_weights(model, path)
    load_source_weights(model, path, partial=True)
    tower = model.backbone.tower.state_dict()
    assert all(torch.equal(value, converted.state_dict[f'backbone.tower.{name}']) for name, value in tower.items())


@torch.no_grad()
@pytest.mark.parametrize('conv_stem', [True, False])
def test_sdcl(conv_stem):
    weights = published.sdcl_weights(conv_stem=conv_stem)
    model, converted = converted_model(weights)
    assert converted.backbone['conv_stem'] == conv_stem
    inputs = frames(*published.SIZE)
    deep, shallow = mean_over_frames(lambda *given: published.sdcl_forward(weights, *given), inputs)
    static, dynamic = model.extract_feat(inputs, MODALITIES)
    torch.testing.assert_close(static, shallow, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(dynamic, deep, rtol=1e-4, atol=1e-5)
    for neck, name in ((model.static_neck, 'bottlenecks'), (model.dynamic_neck, 'bottleneck')):
        torch.testing.assert_close(neck(deep), published.batch_norm(weights, name, deep), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('name', ['clip-reid', 'sdcl'])
def test_positions_of_another_size_are_resized(name):
    weights = WEIGHTS[name](size=(128, 64))  # 8x4 positions, not those of a square or of the config
    converted = convert_weights(weights, image_size=published.SIZE)
    key = next(key for key in weights if key.endswith(('positional_embedding', 'pos_embed')))
    grid = weights[key].flatten(0, -2)[1:].T.reshape(1, -1, 8, 4)
    wanted = F.interpolate(grid, (4, 2), mode='bilinear', align_corners=False).flatten(2)[0].T
    found = next(
        value for key, value in converted.state_dict.items() if key.endswith(('positional_embedding', 'pos_embed'))
    )
    torch.testing.assert_close(found.flatten(0, -2)[1:], wanted)


@pytest.mark.parametrize('layout', WEIGHTS)
@pytest.mark.parametrize('wrapper', [None, 'net', 'state_dict'])
def test_files_as_they_are_published(layout, wrapper, tmp_path):
    """DataParallel's prefix, a wrapper with results of the training, half precision, and no counters."""
    weights = WEIGHTS[layout]()
    content = {f'module.{name}': value.half() for name, value in weights.items() if not name.endswith('tracked')}
    if wrapper:
        content = {wrapper: content, 'epoch': 30, 'mAP': np.float64(0.5), 'cmc': np.ones(3, dtype=np.float32)}
    torch.save(content, path := tmp_path / 'model_best.t')
    loaded = load_weights(path)
    assert recognize(loaded, 'file') == layout
    _, converted = converted_model(loaded)
    assert {value.dtype for value in converted.state_dict.values()} == {torch.float32, torch.int64}


def without(weights, *names):
    return {name: value for name, value in weights.items() if name not in names}


def faulty(what):
    """Weights with one fault."""
    if what in ('resnet-101', 'no block'):
        weights = published.agw_weights()
        if what == 'resnet-101':
            draw = published.Draw()
            published.resnet(draw, 'base_resnet.base.', 101)
            return {**weights, **draw.weights}
        return {name: value for name, value in weights.items() if '.layer4.1.' not in name}
    if what == 'attention of DDAG':
        return published.agw_weights() | {'wpa.conv.weight': torch.zeros(1)}
    if what == 'non-local early':
        return published.agw_weights() | {'NL_1.0.theta.bias': torch.zeros(1)}
    if what == 'one stem':
        return without(published.agw_weights(), 'thermal_module.thermal.bn1.bias')
    if what == 'no trunk':
        return {name: value for name, value in published.agw_weights().items() if not name.startswith('base_resnet')}
    if what == 'wide neck':
        return published.agw_weights() | {'bottleneck.weight': torch.ones(3)}
    if what == 'clip resnet':
        return published.clip_reid_weights() | {'image_encoder.attnpool.k_proj.weight': torch.zeros(1)}
    if what == 'overlapping patches':
        return published.clip_reid_weights() | {
            'image_encoder.positional_embedding': torch.zeros(211, published.WIDTH),
        }
    if what == 'adapter':
        return published.clip_reid_weights() | {'image_encoder.adapter.weight': torch.zeros(1)}
    if what == 'no convolutions':
        return {name: value for name, value in published.sdcl_weights().items() if '.conv.' not in name}
    if what == 'no patches':
        return without(published.sdcl_weights(), 'base.patch_embed.proj.weight')
    if what in ('flat patches', 'flat positions'):
        name = 'base.patch_embed.proj.weight' if what == 'flat patches' else 'base.pos_embed'
        return published.sdcl_weights() | {name: torch.zeros(3)}
    if what in ('image_encoder.proj', 'bottleneck.bias', 'bottleneck_proj.running_var'):
        return without(published.clip_reid_weights(), what)
    if what == 'flat neck':
        return published.clip_reid_weights() | {'bottleneck_proj.weight': torch.ones(2, 3)}
    if what == 'narrow':
        return published.clip_reid_weights() | {'image_encoder.conv1.weight': torch.zeros(8, 3, 16, 16)}
    if what == 'local branches':
        return published.sdcl_weights() | {'bottleneck_1.weight': torch.zeros(1)}
    if what == 'of this project':
        return {'backbone.tower.proj': torch.zeros(1)}
    if what == 'of another':
        return {f'model.{number}.conv.weight': torch.zeros(1) for number in range(5)}
    return published.clip_reid_weights() | {'prompt_embedding': torch.zeros(1), 'attn.in_proj_weight': torch.zeros(1)}


@pytest.mark.parametrize(
    ('what', 'message'),
    [
        (
            'resnet-101',
            r'of AGW, but of \[3, 4, 23, 3\] bottleneck blocks; only depths 18, 34 and 50',
        ),
        ('no block', r'but of \[2, 2, 2, 1\] basic blocks; only depths'),
        ('attention of DDAG', r'unknown weights: wpa\.conv\.weight'),
        ('non-local early', r'unknown NL_1\.0\.theta\.bias|unexpected backbone\.non_local_blocks'),
        ('one stem', r'missing backbone\.stems\.ir\.bn1\.bias'),
        ('no trunk', r'is none of a two-stream ResNet of AGW, a CLIP-ReID checkpoint, an SDCL checkpoint, a VLD'),
        ('wide neck', r'static_neck\.weight has shape \(3,\), not \(512,\)'),
        ('clip resnet', r'a CLIP-ReID checkpoint with a ResNet; only its vision transformer ViT-B/16 is supported'),
        ('overlapping patches', r'positional_embedding has 211 rows'),
        ('adapter', r'unexpected backbone\.tower\.adapter\.weight'),
        *(
            (name, rf'is not a CLIP-ReID checkpoint \(missing {name}\)')
            for name in ('image_encoder.proj', 'bottleneck.bias', 'bottleneck_proj.running_var')
        ),
        ('flat neck', r'is not a CLIP-ReID checkpoint, its weights have other shapes'),
        ('no convolutions', r'stems\.rgb\.proj\.weight has shape \(128, 64, 8, 8\), not \(128, 3, 8, 8\)'),
        ('no patches', r'is not an SDCL checkpoint \(missing base\.patch_embed\.proj\.weight\)'),
        ('flat patches', r'is not an SDCL checkpoint, its weights have other shapes'),
        ('flat positions', r'positional_embedding is torch\.float32 of shape \(\)'),
        ('narrow', r'is not a CLIP-ReID checkpoint, its weights have other shapes'),
        ('local branches', r'unknown weights: bottleneck_1\.weight'),
        ('of this project', 'has the names of this project already; use it as it is'),
        (
            'of another',
            r'its weights have names such as model\.0\.conv\.weight, model\.1\.conv\.weight, model\.2',
        ),
        ('two layouts', r'may be a CLIP-ReID checkpoint or a VLD checkpoint; choose with --layout'),
    ],
)
def test_faults_are_one_sentence(what, message):
    with pytest.raises(CheckpointError, match=message) as caught:
        convert_weights(faulty(what), 'file.pth', image_size=published.SIZE)
    assert str(caught.value).startswith('file.pth: ')
    assert '\n' not in str(caught.value)


def test_layouts_by_name():
    assert convert_weights(published.clip_reid_weights(), layout='clip-reid', image_size=published.SIZE)
    with pytest.raises(CheckpointError, match='is not a VLD checkpoint'):
        convert_weights(published.clip_reid_weights(), layout='vld', image_size=published.SIZE)
    with pytest.raises(ConfigError, match=f"layout must be one of {', '.join(LAYOUTS)}, got 'agv'"):
        convert_weights({}, layout='agv')


def test_embeddings_of_cameras_are_named():
    converted = convert_weights(published.clip_reid_weights(cameras=6), image_size=published.SIZE)
    assert 'cv_embed' in converted.dropped
    assert 'embeddings of its cameras (cv_embed), which are left out' in converted.notes[-1]
