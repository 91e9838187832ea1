"""Random weights in the layouts of published checkpoints, and what their networks compute from them.

The forward passes follow the published descriptions, weight by weight, and use nothing of the project.
"""

import re

import torch
import torch.nn.functional as F

SIZE = (64, 32)  # height and width of the images


class Draw:
    """Random weights by name."""

    def __init__(self, seed=0):
        self.generator = torch.Generator().manual_seed(seed)
        self.weights = {}

    def normal(self, name, *shape, scale=None):
        scale = scale or torch.Size(shape[1:]).numel() ** -0.5
        self.weights[name] = torch.randn(shape, generator=self.generator) * scale

    def linear(self, name, *shape, bias=True):
        self.normal(f'{name}.weight', *shape)
        if bias:
            self.normal(f'{name}.bias', shape[0], scale=0.1)

    def norm(self, name, channels, statistics=False):
        self.weights[f'{name}.weight'] = 1 + 0.2 * torch.randn(channels, generator=self.generator)
        self.normal(f'{name}.bias', channels, scale=0.1)
        if statistics:
            self.normal(f'{name}.running_mean', channels, scale=0.1)
            self.weights[f'{name}.running_var'] = 0.5 + torch.rand(channels, generator=self.generator)
            self.weights[f'{name}.num_batches_tracked'] = torch.tensor(7)


def batch_norm(weights, name, values):
    parts = [weights[f'{name}.{part}'] for part in ('running_mean', 'running_var', 'weight', 'bias')]
    return F.batch_norm(values, *parts)


# --- AGW and its descendants ------------------------------------------------------------------------------------------

BLOCKS = {18: (2, 2, 2, 2), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}


def resnet(draw, prefix, depth):
    """All weights of a ResNet without classifier."""
    draw.normal(f'{prefix}conv1.weight', 64, 3, 7, 7)
    draw.norm(f'{prefix}bn1', 64, statistics=True)
    expansion, inside = (1 if depth == 18 else 4), 64
    for layer, count in enumerate(BLOCKS[depth], start=1):
        width = 32 * 2**layer
        sizes = [(width, 3), (width, 3)] if depth == 18 else [(width, 1), (width, 3), (4 * width, 1)]
        for block in range(count):
            channels, place = inside, f'{prefix}layer{layer}.{block}'
            for number, (outside, kernel) in enumerate(sizes, start=1):
                draw.normal(f'{place}.conv{number}.weight', outside, channels, kernel, kernel)
                draw.norm(f'{place}.bn{number}', outside, statistics=True)
                channels = outside
            if block == 0 and inside != width * expansion:
                draw.normal(f'{place}.downsample.0.weight', channels, inside, 1, 1)
                draw.norm(f'{place}.downsample.1', channels, statistics=True)
            inside = channels


def agw_weights(depth=18, non_local=False, seed=0):
    """As clustercontrast/models/agw.py names them; the parts of a ResNet that never run are shared to save memory."""
    draw = Draw(seed)
    resnet(draw, 'base_resnet.base.', depth)
    trunk = dict(draw.weights)
    for module in ('visible_module.visible.', 'thermal_module.thermal.'):
        draw.weights |= {name.replace('base_resnet.base.', module): value for name, value in trunk.items()}
        draw.normal(f'{module}conv1.weight', 64, 3, 7, 7)
        draw.norm(f'{module}bn1', 64, statistics=True)
    width = 512 if depth == 18 else 2048
    for layer, count in ((2, 2), (3, 3 if depth > 18 else 2)) if non_local else ():
        channels = width // 2 ** (4 - layer)
        for index in range(count):
            place = f'NL_{layer}.{index}'
            for part in ('g.0', 'theta', 'phi'):
                draw.linear(f'{place}.{part}', 1, channels, 1, 1)
            draw.normal(f'{place}.W.0.weight', channels, 1, 1, 1, scale=0.02)
            draw.normal(f'{place}.W.0.bias', channels, scale=0.1)
            draw.norm(f'{place}.W.1', channels, statistics=True)
    draw.norm('bottleneck', width, statistics=True)
    draw.normal('classifier.weight', 5, width)
    return draw.weights


def agw_forward(weights, images, visible):
    """GeM feature and the neck's output of images, float (B, 3, H, W), of one modality."""
    stem = 'visible_module.visible' if visible else 'thermal_module.thermal'
    maps = F.conv2d(images, weights[f'{stem}.conv1.weight'], stride=2, padding=3)
    maps = F.max_pool2d(F.relu(batch_norm(weights, f'{stem}.bn1', maps)), 3, 2, 1)
    for layer in range(1, 5):
        names = [name for name in weights if name.startswith(f'base_resnet.base.layer{layer}.')]
        count = 1 + max(int(name.split('.')[3]) for name in names)
        non_local = len([name for name in weights if re.fullmatch(rf'NL_{layer}\.\d\.theta\.weight', name)])
        for block in range(count):
            maps = _residual(weights, f'base_resnet.base.layer{layer}.{block}', maps, 2 if layer in (2, 3) else 1)
            if block >= count - non_local:
                maps = _non_local(weights, f'NL_{layer}.{block - count + non_local}', maps)
    pooled = ((maps**3).mean(dim=(2, 3)) + 1e-12) ** (1 / 3)
    return pooled, batch_norm(weights, 'bottleneck', pooled)


def _residual(weights, place, maps, stride):
    before, first = maps, f'{place}.downsample.0.weight' in weights
    convolutions = 3 if f'{place}.conv3.weight' in weights else 2
    strided = 2 if convolutions == 3 else 1
    for number in range(1, convolutions + 1):
        kernel = weights[f'{place}.conv{number}.weight']
        step = stride if first and number == strided else 1
        maps = F.conv2d(maps, kernel, stride=step, padding=kernel.shape[2] // 2)
        maps = batch_norm(weights, f'{place}.bn{number}', maps)
        maps = F.relu(maps) if number < convolutions else maps
    if first:
        before = F.conv2d(before, weights[f'{place}.downsample.0.weight'], stride=stride)
        before = batch_norm(weights, f'{place}.downsample.1', before)
    return F.relu(maps + before)


def _non_local(weights, place, maps):
    value, query, key = (
        F.conv2d(maps, weights[f'{place}.{part}.weight'], weights[f'{place}.{part}.bias']).flatten(2)
        for part in ('g.0', 'theta', 'phi')
    )
    affinity = torch.einsum('bcq,bck->bqk', query, key) / key.shape[2]
    read = torch.einsum('bqk,bck->bcq', affinity, value).unflatten(2, maps.shape[2:])
    read = F.conv2d(read, weights[f'{place}.W.0.weight'], weights[f'{place}.W.0.bias'])
    return batch_norm(weights, f'{place}.W.1', read) + maps


# --- transformers -----------------------------------------------------------------------------------------------------

WIDTH, HEAD_WIDTH, LAYERS = 128, 64, 3


def attention(tokens, weight, bias, out_weight, out_bias):
    """Multi-head self-attention of tokens, float (B, L, D)."""
    query, key, value = (
        part.unflatten(2, (-1, HEAD_WIDTH)).transpose(1, 2) for part in F.linear(tokens, weight, bias).chunk(3, dim=2)
    )
    affinity = (query @ key.transpose(2, 3) * query.shape[3] ** -0.5).softmax(dim=3)
    return F.linear((affinity @ value).transpose(1, 2).flatten(2), out_weight, out_bias)


def layer_norm(weights, name, tokens, eps=1e-5):
    return F.layer_norm(tokens, tokens.shape[-1:], weights[f'{name}.weight'], weights[f'{name}.bias'], eps)


def clip_reid_weights(cameras=0, seed=0, size=SIZE, width=WIDTH, layers=LAYERS, joint_width=64):
    """As CLIP-ReID's model/make_model_clipreid.py names them; those of the text side are a selection."""
    draw = Draw(seed)
    draw.normal('image_encoder.class_embedding', width)
    draw.normal('image_encoder.positional_embedding', 1 + size[0] * size[1] // 256, width, scale=0.5)
    draw.normal('image_encoder.proj', width, joint_width, scale=width**-0.5)
    draw.normal('image_encoder.conv1.weight', width, 3, 16, 16)
    for name in ('ln_pre', 'ln_post'):
        draw.norm(f'image_encoder.{name}', width)
    for number in range(layers):
        place = f'image_encoder.transformer.resblocks.{number}'
        draw.normal(f'{place}.attn.in_proj_weight', 3 * width, width)
        draw.normal(f'{place}.attn.in_proj_bias', 3 * width, scale=0.1)
        draw.linear(f'{place}.attn.out_proj', width, width)
        draw.linear(f'{place}.mlp.c_fc', 4 * width, width)
        draw.linear(f'{place}.mlp.c_proj', width, 4 * width)
        for name in ('ln_1', 'ln_2'):
            draw.norm(f'{place}.{name}', width)
    for suffix, columns in (('', width), ('_proj', joint_width)):
        draw.norm(f'bottleneck{suffix}', columns, statistics=True)
        draw.normal(f'classifier{suffix}.weight', 5, columns)
    for name in ('prompt_learner.cls_ctx', 'prompt_learner.token_prefix', 'text_encoder.ln_final.weight'):
        draw.normal(name, 5, 4)
    if cameras:
        draw.normal('cv_embed', cameras, width)
    return draw.weights


def clip_reid_forward(weights, images):
    """What a test compares (NECK_FEAT 'before' and 'after'), before its L2 norm, of images, float (B, 3, H, W)."""
    name = 'image_encoder'
    tokens = F.conv2d(images, weights[f'{name}.conv1.weight'], stride=16).flatten(2).transpose(1, 2)
    tokens = torch.cat([weights[f'{name}.class_embedding'].expand(len(tokens), 1, -1), tokens], dim=1)
    tokens = layer_norm(weights, f'{name}.ln_pre', tokens + weights[f'{name}.positional_embedding'])
    layers = len({key.split('.')[3] for key in weights if key.startswith(f'{name}.transformer.')})
    for number in range(layers):
        own = {
            key.removeprefix(f'{name}.transformer.resblocks.{number}.'): value
            for key, value in weights.items()
            if f'.resblocks.{number}.' in key
        }
        parts = [own[f'attn.{part}'] for part in ('in_proj_weight', 'in_proj_bias', 'out_proj.weight', 'out_proj.bias')]
        tokens = tokens + attention(layer_norm(own, 'ln_1', tokens), *parts)
        inner = F.linear(layer_norm(own, 'ln_2', tokens), own['mlp.c_fc.weight'], own['mlp.c_fc.bias'])
        tokens = tokens + F.linear(
            inner * torch.sigmoid(1.702 * inner), own['mlp.c_proj.weight'], own['mlp.c_proj.bias']
        )
    feature = layer_norm(weights, f'{name}.ln_post', tokens)[:, 0]
    projected = feature @ weights[f'{name}.proj']
    after_necks = [
        batch_norm(weights, 'bottleneck', feature), batch_norm(weights, 'bottleneck_proj', projected)
    ]  # fmt: skip
    return torch.cat([feature, projected], dim=1), torch.cat(after_necks, dim=1)


CHANNELS = 64  # of SDCL's convolutions


def _sdcl_block(draw, place):
    draw.linear(f'{place}.attn.qkv', 3 * WIDTH, WIDTH)
    draw.linear(f'{place}.attn.proj', WIDTH, WIDTH)
    draw.linear(f'{place}.mlp.fc1', 4 * WIDTH, WIDTH)
    draw.linear(f'{place}.mlp.fc2', WIDTH, 4 * WIDTH)
    for name in ('norm1', 'norm2'):
        draw.norm(f'{place}.{name}', WIDTH)


def sdcl_weights(seed=0, size=SIZE, conv_stem=True):
    """As SDCL's clustercontrast/model_vit_cmrefine names them; with or without convolutions before the patches."""
    draw = Draw(seed)
    draw.normal('base.cls_token', 1, 1, WIDTH, scale=0.5)
    draw.normal('base.pos_embed', 1, 1 + size[0] * size[1] // 256, WIDTH, scale=0.5)
    for name in ('patch_embed', 'patch_embed2'):
        if not conv_stem:
            draw.linear(f'base.{name}.proj', WIDTH, 3, 16, 16)
            continue
        draw.normal(f'base.{name}.conv.0.weight', CHANNELS, 3, 7, 7)
        for number in (3, 6):
            draw.normal(f'base.{name}.conv.{number}.weight', CHANNELS, CHANNELS, 3, 3)
        for number in (1, 4):
            draw.norm(f'base.{name}.conv.{number}.IN', CHANNELS // 2)
            draw.norm(f'base.{name}.conv.{number}.BN', CHANNELS // 2, statistics=True)
        draw.norm(f'base.{name}.conv.7', CHANNELS, statistics=True)
        draw.linear(f'base.{name}.proj', WIDTH, CHANNELS, 8, 8)
    for number in range(LAYERS):
        _sdcl_block(draw, f'base.blocks.{number}')
    draw.norm('base.norm', WIDTH)
    draw.linear('base.fc', 10, WIDTH)
    draw.norm('base.decoder_norm', 1, statistics=True)
    for branch in ('b1', 'b2'):
        _sdcl_block(draw, f'{branch}.0')
        draw.norm(f'{branch}.1', WIDTH)
    for name in ('bottleneck', 'bottlenecks'):
        draw.norm(name, WIDTH, statistics=True)
    return draw.weights


def sdcl_forward(weights, images, visible):
    """Deep and shallow feature before their necks, of images, float (B, 3, H, W), of one modality."""
    embed = 'base.patch_embed' if visible else 'base.patch_embed2'
    maps = _sdcl_stem(weights, embed, images) if f'{embed}.conv.0.weight' in weights else images
    kernel = weights[f'{embed}.proj.weight']
    patches = F.conv2d(maps, kernel, weights[f'{embed}.proj.bias'], stride=kernel.shape[2])
    tokens = torch.cat([weights['base.cls_token'].expand(len(maps), -1, -1), patches.flatten(2).transpose(1, 2)], dim=1)
    first = tokens = tokens + weights['base.pos_embed']
    for number in range(LAYERS - 1):
        tokens = _run_sdcl_block(weights, f'base.blocks.{number}', tokens)
    shallow = torch.cat([tokens[:, :1], first[:, 1:]], dim=1)
    return tuple(
        layer_norm(weights, f'{branch}.1', _run_sdcl_block(weights, f'{branch}.0', given), 1e-6)[:, 0]
        for branch, given in (('b1', tokens), ('b2', shallow))
    )


def _sdcl_stem(weights, embed, images):
    maps = F.conv2d(images, weights[f'{embed}.conv.0.weight'], stride=2, padding=3)
    for number in (1, 4):
        half, place = CHANNELS // 2, f'{embed}.conv.{number}'
        instance = F.instance_norm(
            maps[:, :half], weight=weights[f'{place}.IN.weight'], bias=weights[f'{place}.IN.bias']
        )
        maps = F.relu(torch.cat([instance, batch_norm(weights, f'{place}.BN', maps[:, half:])], dim=1))
        maps = F.conv2d(maps, weights[f'{embed}.conv.{number + 2}.weight'], padding=1)
    return F.relu(batch_norm(weights, f'{embed}.conv.7', maps))


def _run_sdcl_block(weights, place, tokens):
    own = {name.removeprefix(f'{place}.'): value for name, value in weights.items() if name.startswith(f'{place}.')}
    parts = [own[f'attn.{part}'] for part in ('qkv.weight', 'qkv.bias', 'proj.weight', 'proj.bias')]
    tokens = tokens + attention(layer_norm(own, 'norm1', tokens, 1e-6), *parts)
    inner = F.gelu(F.linear(layer_norm(own, 'norm2', tokens, 1e-6), own['mlp.fc1.weight'], own['mlp.fc1.bias']))
    return tokens + F.linear(inner, own['mlp.fc2.weight'], own['mlp.fc2.bias'])
