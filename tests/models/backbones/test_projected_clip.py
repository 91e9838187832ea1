"""Encoders of CLIP-ReID and TF-CLIP against open_clip's own blocks and plain loops."""

import pytest
import torch
from clip_files import make_clip, save_archive

from dscreid.errors import CheckpointError, ConfigError
from dscreid.models.backbones import ProjectedCLIP, TemporalMemoryCLIP, skip_pretrained
from dscreid.models.backbones.temporal_memory_clip import MessageDiffusion

TOWER = dict(type='CLIPVisionTransformer', image_size=(32, 16), patch_size=8, width=64, layers=3, heads=2)
FRAMES = torch.randn(2, 3, 3, 32, 16, generator=torch.Generator().manual_seed(0))


def build(kind=ProjectedCLIP, tower=TOWER, **keywords):
    torch.manual_seed(0)
    return kind(tower, **keywords).eval()


def tokens_of(model, clip):
    """Tokens of a clip's frames after each block, (T, L, D), by open_clip's own modules."""
    tokens = model.tower._embeds(clip)
    found = []
    for block in model.tower.transformer.resblocks:
        tokens = block(tokens)
        found.append(tokens)
    return found


@torch.no_grad()
def test_three_features_are_means_of_class_tokens():
    model = build(joint_width=6)
    parts = model.training_parts(FRAMES)
    assert model.embed_dim == 64 + 6
    assert list(parts) == ['static', 'dynamic', 'before_last']
    for row, clip in enumerate(FRAMES):
        *_, before, after = tokens_of(model, clip)
        last = model.tower.ln_post(after[:, 0])
        torch.testing.assert_close(parts['before_last'][row], before[:, 0].mean(0), rtol=1e-4, atol=1e-5)
        expected = torch.cat([last.mean(0), (last @ model.projection).mean(0)])
        torch.testing.assert_close(parts['static'][row], expected, rtol=1e-4, atol=1e-5)
    static, dynamic = model(FRAMES)
    assert static is dynamic
    torch.testing.assert_close(static, parts['static'])


class TestCameras:
    @torch.no_grad()
    @pytest.mark.parametrize('kind', [ProjectedCLIP, TemporalMemoryCLIP])
    def test_class_tokens_know_camera_and_modality(self, kind):
        keywords = dict(num_heads=2) if kind is TemporalMemoryCLIP else {}
        model = build(kind, joint_width=6, cameras=4, **keywords)
        assert model.needs_modalities
        assert model.needs_cameras
        plain = build(kind, joint_width=6, **keywords)
        plain.load_state_dict(model.state_dict(), strict=False)
        assert not plain.needs_modalities
        assert not plain.needs_cameras
        found = model(FRAMES, ['ir:3', 'rgb:0'])[0]
        for row, (modality, camera) in enumerate([(1, 3), (0, 0)]):
            own = build(kind, joint_width=6, **keywords)
            own.load_state_dict(plain.state_dict())
            own.tower.class_embedding.add_(model.camera_embeddings[modality, camera])
            torch.testing.assert_close(found[row], own(FRAMES[row, None])[0][0], rtol=1e-4, atol=1e-5)
        assert not torch.allclose(found[0], model(FRAMES, ['rgb:3', 'rgb:0'])[0][0], atol=1e-4)

    @pytest.mark.parametrize(
        ('places', 'message'),
        [
            (None, 'needs the camera of each tracklet'),
            (['rgb', 'ir'], 'needs the camera of each tracklet'),
            (['rgb:1'], 'needs the camera of each tracklet'),
            (['rgb:1', 'ir:4'], 'cameras 1 to 4; set cameras of ProjectedCLIP to more than the largest number, not 4'),
        ],
    )
    def test_unknown_cameras_are_refused(self, places, message):
        with pytest.raises(ValueError, match=message):
            build(cameras=4)(FRAMES, places)


#: the shape of ``make_clip``'s tower
CLIP_TOWER = TOWER | dict(width=128, layers=2)


class TestProjection:
    def build(self, path, **keywords):
        model = build(tower=CLIP_TOWER | dict(pretrained=str(path)), **keywords)
        model.init_weights()
        return model

    def test_it_comes_with_the_tower(self, tmp_path):
        clip = make_clip()
        save_archive(clip.state_dict(), path := tmp_path / 'ViT.pt')
        model = self.build(path, joint_width=32)
        torch.testing.assert_close(model.projection.detach(), clip.visual.proj.detach().half().float())
        torch.testing.assert_close(model.tower.ln_post.weight, clip.visual.ln_post.weight)
        with pytest.raises(
            CheckpointError, match=r'shape \(128, 32\), the config needs \(128, 16\); correct joint_wid'
        ):
            self.build(path, joint_width=16)
        # weights that a run starts from replace it
        fresh = build(tower=CLIP_TOWER | dict(pretrained=str(path)), joint_width=32)
        before = fresh.projection.detach().clone()
        skip_pretrained(fresh)
        fresh.init_weights()
        assert torch.equal(fresh.projection, before)

    def test_a_tower_alone_has_none(self, tmp_path):
        weights = {name: value for name, value in make_clip().visual.state_dict().items() if name != 'proj'}
        torch.save(weights, path := tmp_path / 'tower.pt')
        tower = CLIP_TOWER | dict(pretrained_activation='quick_gelu', pretrained=str(path))
        model = build(tower=tower, joint_width=32)
        with pytest.raises(CheckpointError, match=r'has no projection .* set pretrained_projection=False'):
            model.init_weights()
        model = build(tower=tower, joint_width=32, pretrained_projection=False)
        before = model.projection.detach().clone()
        model.init_weights()
        assert torch.equal(model.projection, before)

    def test_bad_values_are_named(self):
        with pytest.raises(ConfigError, match='needs a positive joint_width and no negative cameras, got 0 and 0'):
            build(joint_width=0)
        with pytest.raises(ConfigError, match='num_heads must divide the width 64, got 5'):
            build(TemporalMemoryCLIP, num_heads=5)


class TestTemporalMemory:
    @torch.no_grad()
    def test_messages_equal_plain_attention(self):
        torch.manual_seed(0)
        diffusion = MessageDiffusion(8, 2)
        tokens = torch.randn(2, 3, 5, 8)
        found = diffusion(tokens)
        assert found.shape == (2, 3, 6, 8)
        for row, frames in enumerate(tokens):
            messages = torch.stack([diffusion.message(frame.mean(0)) for frame in frames])
            normalized = diffusion.message_norm(messages)[None]
            messages = messages + diffusion.message_attention(normalized, normalized, normalized)[0][0]
            for number, frame in enumerate(frames):
                joined = torch.cat([frame, messages[number, None]])
                normalized = diffusion.block.ln_1(joined)[None]
                joined = joined + diffusion.block.attn(normalized, normalized, normalized)[0][0]
                expected = joined + diffusion.block.mlp(diffusion.block.ln_2(joined))
                torch.testing.assert_close(found[row, number], expected, rtol=1e-4, atol=1e-5)

    @torch.no_grad()
    def test_parts(self):
        model = build(TemporalMemoryCLIP, joint_width=6, num_heads=2)
        parts = model.training_parts(FRAMES)
        assert model.segments == {'last': 64, 'projected': 6, 'temporal': 64}
        assert {name: parts[name].shape[-1] for name in model.part_widths} == model.part_widths
        for row, clip in enumerate(FRAMES):
            tokens = model.tower.ln_post(tokens_of(model, clip)[-1])
            frames = model.diffusion(tokens[None])[0].mean(1)
            projected = torch.stack([frame @ model.projection for frame in tokens]).mean(0)
            torch.testing.assert_close(parts['frames'][row], frames, rtol=1e-4, atol=1e-5)
            torch.testing.assert_close(parts['tokens'][row], projected, rtol=1e-4, atol=1e-5)
            expected = torch.cat([tokens[:, 0].mean(0), projected[0], frames.mean(0)])
            torch.testing.assert_close(parts['static'][row], expected, rtol=1e-4, atol=1e-5)

    @pytest.mark.parametrize('name', ['temporal', 'frames'])
    def test_the_temporal_branch_does_not_train_the_tower(self, name):
        model = build(TemporalMemoryCLIP, joint_width=6, num_heads=2)
        parts = model.training_parts(FRAMES)
        parts |= dict(zip(model.segments, parts['static'].split(list(model.segments.values()), dim=1), strict=True))
        parts[name].sum().backward()
        assert model.diffusion.message.weight.grad.any()
        touched = [parameter.grad for parameter in model.tower.parameters() if parameter.grad is not None]
        assert not any(grad.any() for grad in touched)
