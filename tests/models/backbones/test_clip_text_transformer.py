"""CLIP's text encoder equals open_clip's, and loads whole CLIP models only."""

import pytest
import torch
from clip_files import make_clip, save_archive

from dscreid.errors import CheckpointError, ConfigError
from dscreid.models.backbones import CLIPTextTransformer

TEXT = dict(context_length=8, vocab_size=20, width=128, heads=2, layers=2)
#: start, three words, end (the largest number), nothing
TOKENS = torch.tensor([18, 4, 2, 7, 19, 0, 0, 0])


@pytest.fixture(scope='module')
def clip():
    return make_clip(**TEXT)


def build(pretrained=None, **settings):
    sizes = {name: value for name, value in TEXT.items() if name != 'heads'}
    encoder = CLIPTextTransformer(
        **{**sizes, 'output_dim': 32, 'pretrained': pretrained and str(pretrained), **settings}
    )
    encoder.init_weights()
    return encoder.eval()


@torch.no_grad()
@pytest.mark.parametrize('layout', ['openai', 'open_clip', 'prefixed'])
def test_a_text_without_its_padding_gives_the_same_feature(clip, layout, tmp_path):
    path, settings = tmp_path / 'clip.pt', dict(pretrained_activation='quick_gelu')
    weights = clip.state_dict()
    if layout == 'openai':
        save_archive(weights, path, half=False)
        settings = {}
    elif layout == 'prefixed':  # open_clip's CustomTextCLIP
        others = ('visual.', 'logit_scale')
        weights = {name if name.startswith(others) else f'text.{name}': value for name, value in weights.items()}
    if layout != 'openai':
        torch.save(weights, path)
    encoder = build(path, **settings)
    found = encoder.encode(encoder.token_embedding(TOKENS[:5])[None])
    torch.testing.assert_close(found, clip.encode_text(TOKENS[None]), rtol=1e-4, atol=1e-5)


def test_what_cannot_be_loaded(clip, tmp_path):
    with pytest.raises(CheckpointError, match=r'missing\.pt: pretrained weights not found; for CLIP ViT-B/16 get'):
        build(tmp_path / 'missing.pt')
    torch.save(clip.visual.state_dict(), path := tmp_path / 'visual.pt')
    with pytest.raises(CheckpointError, match='contains no text encoder of CLIP; use a whole CLIP model'):
        build(path, pretrained_activation='quick_gelu')
    save_archive(clip.state_dict(), path := tmp_path / 'ViT.pt')
    with pytest.raises(ConfigError, match="was trained with quick_gelu, not gelu; set activation='quick_gelu'"):
        build(path, activation='gelu')
    with pytest.raises(CheckpointError, match=r'does not fit the text encoder .*unexpected transformer\.resblocks\.1'):
        build(path, layers=1)
    torch.save(clip.state_dict(), path := tmp_path / 'clip.pt')
    with pytest.raises(ConfigError, match=r"does not say with which activation .* pretrained_activation='quick_gelu'"):
        build(path)


def test_bad_values_are_named():
    with pytest.raises(ConfigError, match='width must be a multiple of 64, got 96'):
        build(width=96)
    with pytest.raises(ConfigError, match=r"activation must be one of \['gelu', 'quick_gelu'\], got relu"):
        build(activation='relu')
    with pytest.raises(ValueError, match='a text has 1 to 8 tokens, got 9'):
        build().encode(torch.zeros(1, 9, 128))
