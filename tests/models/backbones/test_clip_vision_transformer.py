"""The tower equals open_clip's own; its guards refuse what would silently ruin features."""

import copy
import json
import zipfile

import open_clip
import pytest
import torch
import torch.nn.functional as F
from clip_files import make_clip, save_archive
from safetensors.torch import save_file

from dscreid.errors import CheckpointError, ConfigError
from dscreid.models.backbones import CLIPVisionTransformer, SpatioTemporalPrompting, skip_pretrained
from dscreid.models.backbones.pretrained import OPENAI_VIT_B_16_SHA256, OPENAI_VIT_B_16_URL, TOWER_KIND
from dscreid.utils.checkpoint import sha256

SMALL = {'image_size': (32, 32), 'patch_size': 8, 'width': 128, 'layers': 2, 'heads': 2}
IMAGES = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope='module')
def clip():
    return make_clip()


def contiguous(state):
    return {name: value.contiguous() for name, value in state.items()}


def features(clip, images):
    """open_clip's own features before the projection."""
    visual = copy.copy(clip.visual)
    visual._parameters = {**visual._parameters, 'proj': None}
    with torch.no_grad():
        return visual(images)


@pytest.fixture(scope='module')
def archive(clip, tmp_path_factory):
    path = tmp_path_factory.mktemp('archive') / 'ViT.pt'
    save_archive(clip.state_dict(), path)
    return path


def build(pretrained=None, **settings):
    settings = {**SMALL, 'pretrained': pretrained and str(pretrained), **settings}
    tower = CLIPVisionTransformer(**settings).eval()
    tower.init_weights()
    return tower


def test_openai_archive_equals_open_clip(archive, clip):
    halved = copy.deepcopy(clip)
    halved.load_state_dict({k: v.half().float() for k, v in clip.state_dict().items()})
    tower = build(archive, pretrained_sha256=sha256(archive).upper())
    assert all(value.dtype == torch.float32 for value in tower.parameters())
    torch.testing.assert_close(tower(IMAGES), features(halved, IMAGES))


def test_archive_is_read_without_running_it(archive, monkeypatch):
    monkeypatch.setattr(torch.jit, 'load', lambda *_, **__: pytest.fail('ran the archive'))
    monkeypatch.setattr(torch, 'load', lambda *_, **__: pytest.fail('unpickled the archive'))
    build(archive)


def test_archive_that_refers_to_code_is_refused(archive, tmp_path):
    bad = tmp_path / 'bad.pt'
    with zipfile.ZipFile(archive) as source, zipfile.ZipFile(bad, 'w') as target:
        for name in source.namelist():
            data = source.read(name)
            if name.endswith('/data.pkl'):
                data = f"cos\nsystem\n(S'touch {tmp_path}/ran'\ntR.".encode()
            target.writestr(name, data)
    with pytest.raises(CheckpointError, match=r'bad\.pt: refused, because it refers to os\.system'):
        build(bad)
    assert not (tmp_path / 'ran').exists()


@pytest.mark.parametrize('form', ['safetensors', 'bin', 'training', 'visual'])
def test_open_clip_files(form, clip, tmp_path):
    state = contiguous(clip.state_dict())
    if form == 'safetensors':
        save_file(state, path := tmp_path / 'open_clip_model.safetensors', {'format': 'pt'})
    elif form == 'bin':
        torch.save(state, path := tmp_path / 'open_clip_pytorch_model.bin')
    elif form == 'training':
        state = {f'module.{name}': value for name, value in state.items()}
        torch.save({'state_dict': state, 'epoch': 3}, path := tmp_path / 'epoch_3.pt')
    else:
        torch.save(clip.visual.state_dict(), path := tmp_path / 'visual.pt')
    tower = build(path, pretrained_activation='quick_gelu')
    torch.testing.assert_close(tower(IMAGES), features(clip, IMAGES))


def test_gelu_tower_equals_open_clip(tmp_path):
    clip = make_clip(quick_gelu=False)
    torch.save(clip.state_dict(), path := tmp_path / 'laion.bin')
    tower = build(path, activation='gelu', pretrained_activation='gelu')
    torch.testing.assert_close(tower(IMAGES), features(clip, IMAGES))


def test_quick_gelu_guard(archive, clip, tmp_path):
    with pytest.raises(ConfigError, match=r'trained with quick_gelu.*set activation='):
        build(archive, activation='gelu')
    with pytest.raises(ConfigError, match='trained with quick_gelu, but pretrained_activation says gelu'):
        build(archive, activation='gelu', pretrained_activation='gelu')
    save_file(contiguous(clip.state_dict()), plain := tmp_path / 'plain.safetensors')
    with pytest.raises(ConfigError, match='trained with quick_gelu'):
        build(plain, activation='gelu', pretrained_activation='quick_gelu')
    with pytest.raises(ConfigError, match='trained with gelu'):
        build(plain, pretrained_activation='gelu')


@pytest.mark.parametrize('activation', ['gelu', 'quick_gelu'])
def test_unknown_activation_is_refused(activation, clip, tmp_path):
    folder = tmp_path / 'openai'  # a path says nothing about weights
    folder.mkdir()
    save_file(contiguous(clip.state_dict()), path := folder / 'laion_quickgelu.safetensors', {'by': 'openai'})
    with pytest.raises(ConfigError, match=r'does not say with which activation.*set pretrained_activation='):
        build(path, activation=activation)
    build(path, activation=activation, pretrained_activation=activation)


def test_heads_of_openai_archive_are_checked(archive):
    with pytest.raises(CheckpointError, match='heads=2, the config says heads=4'):
        build(archive, heads=4)


def test_positions_are_resized(archive, clip):
    tower = build(archive, image_size=(64, 24))
    source = clip.visual.positional_embedding.detach().half().float()
    grid = source[1:].T.reshape(1, 128, 4, 4)
    wanted = F.interpolate(grid, (8, 3), mode='bilinear', align_corners=False, antialias=False)
    torch.testing.assert_close(tower.positional_embedding[0], source[0], rtol=0, atol=0)
    torch.testing.assert_close(tower.positional_embedding[1:].T.reshape(1, 128, 8, 3), wanted)
    assert tower(torch.randn(2, 3, 64, 24)).shape == (2, 128)


def test_square_positions_are_resized_for_an_oblong_grid_of_as_many(archive, clip):
    tower = build(archive, image_size=(64, 16))  # 8x2 positions from 4x4
    grid = clip.visual.positional_embedding.detach().half().float()[1:].T.reshape(1, 128, 4, 4)
    wanted = F.interpolate(grid, (8, 2), mode='bilinear', align_corners=False, antialias=False)
    torch.testing.assert_close(tower.positional_embedding[1:].T.reshape(1, 128, 8, 2), wanted)


def test_ambiguous_positions_are_refused(clip, tmp_path):
    torch.save(clip.visual.state_dict(), path := tmp_path / 'visual.pt')
    with pytest.raises(CheckpointError, match=r'16 positions may be a grid of 4x4 or 8x2'):
        build(path, image_size=(64, 16), pretrained_activation='quick_gelu')
    tower = build(image_size=(64, 16))  # the file says that its grid is 8x2
    metadata = {'kind': TOWER_KIND, 'settings': json.dumps(tower.settings)}
    save_file(contiguous(tower.state_dict()), path := tmp_path / 'tower.safetensors', metadata)
    same = build(path, image_size=(64, 16)).positional_embedding
    torch.testing.assert_close(same, tower.positional_embedding, rtol=0, atol=0)


@pytest.mark.parametrize('name', ['conv1.weight', 'positional_embedding', 'ln_post.bias'])
def test_integers_are_no_weights(name, clip, tmp_path):
    state = clip.visual.state_dict()
    torch.save({**state, name: state[name].long()}, path := tmp_path / 'integers.pt')
    with pytest.raises(CheckpointError, match=rf'integers\.pt: .*{name}.*int64'):
        build(path, pretrained_activation='quick_gelu')


def test_missing_file_says_where_to_get_it(tmp_path):
    with pytest.raises(CheckpointError) as caught:
        build(tmp_path / 'ViT-B-16.pt')
    for part in ('ViT-B-16.pt', OPENAI_VIT_B_16_URL, OPENAI_VIT_B_16_SHA256, 'timm/vit_base_patch16'):
        assert part in str(caught.value)
    assert open_clip.get_pretrained_url('ViT-B-16', 'openai') == OPENAI_VIT_B_16_URL


def test_wrong_hash(archive):
    with pytest.raises(CheckpointError, match=f'has sha256 {sha256(archive)}, expected {"0" * 64}'):
        build(archive, pretrained_sha256='0' * 64)


def test_wrong_architecture_lists_differences(archive, tmp_path):
    with pytest.raises(CheckpointError, match=r'does not fit .*missing transformer\.resblocks\.2'):
        build(archive, layers=3)
    with pytest.raises(CheckpointError, match=r'c_fc\.weight has shape'):
        build(archive, mlp_ratio=2)
    with pytest.raises(CheckpointError, match=r'unexpected transformer\.resblocks\.1'):
        build(archive, layers=1)
    torch.save({'layer1.weight': torch.zeros(2)}, other := tmp_path / 'resnet.pth')
    with pytest.raises(CheckpointError, match='no vision transformer of CLIP'):
        build(other)


def test_unknown_parts_are_refused(clip, tmp_path):
    torch.save({**clip.state_dict(), 'adapter.weight': torch.zeros(2)}, path := tmp_path / 'more.bin')
    with pytest.raises(CheckpointError, match=r'belong to no CLIP model \(adapter\.weight\)'):
        build(path, pretrained_activation='quick_gelu')
    torch.save({**clip.state_dict(), 'visual.adapter': torch.zeros(2)}, path)
    with pytest.raises(CheckpointError, match='unexpected adapter'):
        build(path, pretrained_activation='quick_gelu')


def test_settings_of_exported_tower_are_checked(tmp_path):
    tower = build()
    metadata = {'kind': TOWER_KIND, 'settings': json.dumps(tower.settings)}
    save_file(contiguous(tower.state_dict()), path := tmp_path / 'tower.safetensors', metadata)
    torch.testing.assert_close(build(path)(IMAGES), tower(IMAGES), rtol=0, atol=0)
    assert build(path, image_size=(64, 32)).positional_embedding.shape == (33, 128)
    with pytest.raises(ConfigError, match='trained with quick_gelu'):
        build(path, activation='gelu')
    with pytest.raises(CheckpointError, match='heads=2, the config says heads=4'):
        build(path, heads=4)
    with pytest.raises(CheckpointError, match=r'stem=None, the config says stem=\{'):
        build(path, stem={'type': 'ConvStem', 'channels': (8, 8)})


def test_pretrained_is_read_by_init_weights_once(archive):
    missing = dict(type='CLIPVisionTransformer', **SMALL, pretrained='missing.pt')
    model = SpatioTemporalPrompting(missing, num_frames=2, start_layer=1, num_heads=2)
    with pytest.raises(CheckpointError, match='not found'):
        model.init_weights()
    skip_pretrained(model)
    model.init_weights()

    tower = build(archive)
    with torch.no_grad():
        tower.class_embedding.zero_()
    tower.init_weights()
    assert not tower.class_embedding.any()

    model = SpatioTemporalPrompting({**missing, 'pretrained': str(archive)}, 2, 1, 2)
    model.init_weights()
    torch.testing.assert_close(model.tower.class_embedding, build(archive).class_embedding)


def test_conv_stem_tower_has_no_idle_parameter():
    stem = {'type': 'ConvStem', 'channels': (8, 16)}
    settings = {
        'image_size': (64, 32),
        'patch_size': 8,
        'width': 32,
        'layers': 2,
        'heads': 2,
        'activation': 'gelu',
    }
    tower = CLIPVisionTransformer(**settings, stem=stem)
    assert stem == {'type': 'ConvStem', 'channels': (8, 16)}
    assert tower.embed(torch.randn(2, 3, 64, 32)).shape == (2, 33, 32)
    tower(torch.randn(2, 3, 64, 32)).pow(2).sum().backward()
    assert all(parameter.grad is not None for parameter in tower.parameters())
    assert 'proj' not in tower.state_dict()
    # the same total stride, by a last convolution of stride 1
    stem['channels'] = (8, 16, 16)
    assert CLIPVisionTransformer(**settings, stem=stem).embed(torch.randn(1, 3, 64, 32)).shape == (1, 33, 32)


@pytest.mark.parametrize(
    ('wrong', 'message'),
    [
        ({'image_size': (30, 32)}, 'multiples of'),
        ({'image_size': (32,)}, 'multiples of'),
        ({'heads': 3}, 'multiple of heads=3'),
        ({'activation': 'relu'}, 'activation must be one of'),
        ({'pretrained_activation': 'relu'}, 'pretrained_activation must be one of'),
        ({'stem': {'type': 'ConvStem', 'channels': (8,)}}, 'total stride of 2 or 4'),
    ],
)
def test_wrong_arguments(wrong, message):
    with pytest.raises(ConfigError, match=message):
        CLIPVisionTransformer(**{**SMALL, **wrong})


def test_wrong_image_size_in_forward():
    with pytest.raises(ValueError, match=r'images must be \(B, 3'):
        build()(torch.zeros(1, 3, 16, 32))
