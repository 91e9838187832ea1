"""Spatio-temporal prompting against a slow version on explicit lists of tokens."""

import math
import shutil

import pytest
import torch
from torch import nn

from dscreid.errors import ConfigError
from dscreid.models.backbones import FrameAverage, SpatioTemporalPrompting
from dscreid.models.backbones.spatio_temporal_prompting import COMPILE_MODES
from dscreid.registry import MODELS

LAYERS, WIDTH, HEADS = 4, 32, 2
TOWER = {
    'type': 'CLIPVisionTransformer',
    'image_size': (16, 8),
    'patch_size': 4,
    'width': WIDTH,
    'layers': LAYERS,
    'heads': HEADS,
}


def make(num_frames=3, start_layer=1, num_heads=4, **settings):
    torch.manual_seed(num_frames * 10 + start_layer)
    return SpatioTemporalPrompting(
        {**TOWER, **settings}, num_frames=num_frames, start_layer=start_layer, num_heads=num_heads
    ).eval()


def norm(x, weights, name):
    mean, variance = x.mean(-1, keepdim=True), x.var(-1, unbiased=False, keepdim=True)
    return (x - mean) / (variance + 1e-5).sqrt() * weights[f'{name}.weight'] + weights[f'{name}.bias']


def attend(queries, keys, weights, name, heads):
    """Multi-head attention of ``(Lq, D)`` over ``(Lk, D)``, one head after the other."""
    w_q, w_k, w_v = weights[f'{name}.in_proj_weight'].chunk(3)
    b_q, b_k, b_v = weights[f'{name}.in_proj_bias'].chunk(3)
    q, k, v = queries @ w_q.T + b_q, keys @ w_k.T + b_k, keys @ w_v.T + b_v
    size = q.shape[1] // heads
    outputs = []
    for head in range(heads):
        part = slice(head * size, (head + 1) * size)
        scores = q[:, part] @ k[:, part].T / math.sqrt(size)
        outputs.append(scores.softmax(-1) @ v[:, part])
    return torch.cat(outputs, 1) @ weights[f'{name}.out_proj.weight'].T + weights[f'{name}.out_proj.bias']


def run_block(tokens, weights, index):
    """One residual attention block with QuickGELU on a frame's tokens ``(L, D)``."""
    name = f'tower.transformer.resblocks.{index}'
    x = norm(tokens, weights, f'{name}.ln_1')
    tokens = tokens + attend(x, x, weights, f'{name}.attn', HEADS)
    x = norm(tokens, weights, f'{name}.ln_2')
    x = x @ weights[f'{name}.mlp.c_fc.weight'].T + weights[f'{name}.mlp.c_fc.bias']
    x = x * torch.sigmoid(1.702 * x)
    return tokens + x @ weights[f'{name}.mlp.c_proj.weight'].T + weights[f'{name}.mlp.c_proj.bias']


def embed_frame(frame, weights, patch=4):
    tokens = [weights['tower.class_embedding']]
    kernel = weights['tower.conv1.weight']
    for top in range(0, frame.shape[1], patch):
        for left in range(0, frame.shape[2], patch):
            piece = frame[:, top : top + patch, left : left + patch]
            tokens.append((kernel * piece).sum((1, 2, 3)))
    return norm(torch.stack(tokens) + weights['tower.positional_embedding'], weights, 'tower.ln_pre')


def encode_tracklet(frames, weights, start_layer, num_heads):
    """Static and dynamic feature of one tracklet ``(T, 3, H, W)``, tokens in lists."""
    num_frames = len(frames)
    image_tokens = [embed_frame(frame, weights) for frame in frames]
    prompts = None  # prompts[frame][prompt]
    for index in range(LAYERS):
        if index == start_layer:
            prompts = [[weights['prompt_embedding'][i, j] for j in range(num_frames)] for i in range(num_frames)]
        elif index > start_layer:
            prompts = [[prompts[j][i] for j in range(num_frames)] for i in range(num_frames)]
        for i in range(num_frames):
            if prompts is None:
                image_tokens[i] = run_block(image_tokens[i], weights, index)
                continue
            length = len(image_tokens[i])
            output = run_block(torch.cat([image_tokens[i], torch.stack(prompts[i])]), weights, index)
            image_tokens[i], prompts[i] = output[:length], list(output[length:])
    class_tokens = torch.stack([tokens[0] for tokens in image_tokens])
    every_prompt = torch.stack([token for row in prompts for token in row])
    gathered = attend(class_tokens, every_prompt, weights, 'attn', num_heads)
    return tuple(norm(tokens, weights, 'tower.ln_post').mean(0) for tokens in (class_tokens, gathered))


@pytest.mark.parametrize(
    ('num_frames', 'start_layer'),
    [(1, 2), (2, 0), (3, 1), (4, 3), (5, 2), (6, 1), (7, 0), (6, 3)],
)
def test_against_lists_of_tokens(num_frames, start_layer):
    model = make(num_frames, start_layer)
    inputs = torch.randn(2, num_frames, 3, 16, 8)
    with torch.no_grad():
        static, dynamic = model(inputs)
        for row in range(2):
            wanted = encode_tracklet(inputs[row], model.state_dict(), start_layer, 4)
            torch.testing.assert_close(static[row], wanted[0], rtol=1e-4, atol=1e-4)
            torch.testing.assert_close(dynamic[row], wanted[1], rtol=1e-4, atol=1e-4)
    assert static.shape == dynamic.shape == (2, WIDTH)
    assert model.embed_dim == WIDTH


@pytest.mark.parametrize(('start_layer', 'reached'), [(LAYERS - 1, False), (LAYERS - 2, True), (0, True)])
def test_frames_talk_through_swapped_prompts_alone(start_layer, reached):
    """Changing frame 1 moves frame 0's class token only when a swap lies between two prompted blocks."""
    model = make(3, start_layer)
    inputs = torch.randn(1, 3, 3, 16, 8)
    changed = inputs.clone()
    changed[0, 1] += 1
    with torch.no_grad():
        before, _ = model._encode(inputs)
        after, _ = model._encode(changed)
    assert torch.allclose(before[0, 0], after[0, 0], atol=1e-5) is not reached


def test_tracklets_do_not_mix():
    model = make(3, 1)
    inputs = torch.randn(3, 3, 3, 16, 8)
    with torch.no_grad():
        together = model(inputs)
        alone = model(inputs[1:2])
    for batch, single in zip(together, alone, strict=True):
        torch.testing.assert_close(batch[1:2], single, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('shape', [(2, 5, 3, 16, 8), (2, 7, 3, 16, 8), (6, 3, 16, 8)])
def test_wrong_number_of_frames(shape):
    with pytest.raises(ValueError, match=r'inputs must be \(N, T=6'):
        make(6)(torch.zeros(shape))


def test_wrong_arguments():
    for wrong, message in (
        ({'start_layer': LAYERS}, 'start_layer must be 0 to 3'),
        ({'start_layer': -1}, 'start_layer'),
        ({'num_frames': 0}, 'num_frames'),
        ({'num_heads': 5}, 'num_heads=5'),
    ):
        with pytest.raises(ConfigError, match=message):
            make(**wrong)


def test_prompts_start_standard_normal():
    prompts = make(20, 1).prompt_embedding
    assert prompts.shape == (20, 20, WIDTH)
    assert abs(prompts.mean()) < 0.05
    assert abs(prompts.std() - 1) < 0.05


@pytest.mark.parametrize('start_layer', [0, 3])
def test_every_parameter_gets_a_gradient(start_layer):
    model = make(2, start_layer).train()
    static, dynamic = model(torch.randn(2, 2, 3, 16, 8))
    (static.pow(2).sum() + (dynamic * static).sum()).backward()
    assert [name for name, parameter in model.named_parameters() if parameter.grad is None] == []


def features_and_gradients(model, inputs):
    """Both features, and the gradient of each parameter by name."""
    static, dynamic = model(inputs)
    (static * dynamic.detach() + dynamic.pow(3)).sum().backward()
    return (static, dynamic), {name: parameter.grad for name, parameter in model.named_parameters()}


@pytest.mark.parametrize('frozen', [(), ('tower.',), ('tower.transformer.resblocks.0', 'prompt', 'attn.')], ids=str)
@pytest.mark.parametrize('start_layer', [0, 1, 3])
def test_recomputation_changes_no_bit(start_layer, frozen):
    inputs = torch.randn(2, 3, 3, 16, 8)
    outcomes = []
    for with_cp in (False, True):
        model = make(3, start_layer).train()
        model.with_cp = with_cp
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(not name.startswith(frozen))
        outcomes.append(features_and_gradients(model, inputs))
    (plain, expected), (recomputed, found) = outcomes
    assert all(map(torch.equal, plain, recomputed))
    learning = {name for name, gradient in expected.items() if gradient is not None}
    assert learning == {name for name in expected if not name.startswith(frozen)}
    assert all(torch.equal(found[name], expected[name]) for name in learning)


def saved_bytes(run):
    """Bytes of the distinct tensors, parameters left out, that a function keeps for its gradient."""
    kept = {}

    def keep(tensor):
        if not isinstance(tensor, nn.Parameter) and not isinstance(tensor._base, nn.Parameter):
            storage = tensor.untyped_storage()
            kept[storage.data_ptr()] = storage  # held, so that no address is given twice
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        result = run()
    return sum(storage.nbytes() for storage in kept.values()), result


def test_recomputation_keeps_inputs_of_blocks_alone():
    inputs = torch.randn(2, 3, 3, 16, 8)
    sizes = {}
    for with_cp in (False, True):
        model = make(3, 3).train()
        model.with_cp = with_cp
        sizes[with_cp], _ = saved_bytes(lambda model=model: model(inputs))
        model.eval()
        sizes[with_cp, 'evaluation'], _ = saved_bytes(lambda model=model: model(inputs))
    assert sizes[True] < sizes[False] / 3
    assert sizes[True, 'evaluation'] == sizes[False, 'evaluation']  # in training alone


@pytest.mark.slow
@pytest.mark.skipif(shutil.which('g++') is None, reason='torch.compile needs a C++ compiler')
def test_compiled_blocks_change_results_by_rounding_alone():
    inputs = torch.randn(2, 3, 3, 16, 8)
    outcomes = []
    for compile_blocks in (False, True):
        torch.manual_seed(0)
        model = SpatioTemporalPrompting(TOWER, num_frames=3, start_layer=3, num_heads=4, compile_blocks=compile_blocks)
        features = model.train()(inputs)
        sum(half.pow(2).sum() for half in features).backward()
        outcomes.append((features, [parameter.grad for parameter in model.parameters()]))
    assert torch._dynamo.utils.counters['stats']['unique_graphs'] == 2  # whole blocks and the last one
    torch._dynamo.reset()
    torch.testing.assert_close(*outcomes, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('mode', [False, True, *COMPILE_MODES])
def test_blocks_are_compiled_in_the_named_mode(mode, monkeypatch):
    asked = []
    monkeypatch.setattr(torch, 'compile', lambda function, mode: asked.append(mode) or function)
    SpatioTemporalPrompting(TOWER, num_frames=3, start_layer=3, num_heads=4, compile_blocks=mode)
    assert asked == {False: [], True: [None]}.get(mode, [mode])


def test_torch_knows_the_modes():
    assert set(COMPILE_MODES) <= torch._inductor.list_mode_options().keys()  # some versions know more


@pytest.mark.parametrize('mode', ['fast', 1, None])
def test_unknown_modes_are_refused(mode):
    with pytest.raises(ConfigError, match=r"compile_blocks must be True, False or one of .*'?reduce-overhead.*, got "):
        SpatioTemporalPrompting(TOWER, num_frames=3, start_layer=3, num_heads=4, compile_blocks=mode)


def test_autocast_returns_float32_close_to_full_precision():
    model = make(3, 1).train()
    inputs = torch.randn(2, 3, 3, 16, 8)
    wanted = model(inputs)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        found = model(inputs)
    for low, full in zip(found, wanted, strict=True):
        assert low.dtype == torch.float32
        torch.testing.assert_close(low, full, rtol=0.1, atol=0.1)
    sum(value.sum() for value in found).backward()


def test_frame_average():
    torch.manual_seed(0)
    model = MODELS.build({'type': 'FrameAverage', 'tower': TOWER}).eval()
    assert isinstance(model, FrameAverage)
    assert model.embed_dim == WIDTH
    for num_frames in (1, 5):
        inputs = torch.randn(2, num_frames, 3, 16, 8)
        with torch.no_grad():
            static, dynamic = model(inputs)
            wanted = torch.stack([model.tower(tracklet).mean(0) for tracklet in inputs])
        torch.testing.assert_close(static, wanted, rtol=1e-4, atol=1e-5)
        assert torch.equal(static, dynamic)
