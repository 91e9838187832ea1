"""Learning of prompts: their words, the learning rates, and what is learned."""

import math

import open_clip
import pytest
import torch

from dscreid.errors import ConfigError
from dscreid.models.backbones import CLIPTextTransformer
from dscreid.models.losses import image_text_contrastive_loss
from dscreid.models.prompt_learning import IdentityPrompts, PromptLearning, learn_prompts

TEXT = 'A photo of a X X X X person.'


@pytest.fixture(scope='module')
def encoder():
    torch.manual_seed(0)
    return CLIPTextTransformer(width=64, layers=1, output_dim=8, activation='gelu').eval()


def features(num=12):
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(num) % 3
    centers = 2 * torch.randn(3, 8, generator=generator)
    return centers[labels] + 0.2 * torch.randn(num, 8, generator=generator), labels


def test_learned_tokens_replace_the_placeholders(encoder):
    prompts = IdentityPrompts(encoder, TEXT, 3)
    found = prompts(torch.tensor([2, 0]))
    tokens = open_clip.tokenize(TEXT)[0]
    assert tokens[11] == tokens.max()  # the end of the text
    words = encoder.token_embedding(tokens[:12])
    assert found.shape == (2, 12, 64)
    assert torch.equal(found[:, :5], words[None, :5].expand(2, -1, -1))
    assert torch.equal(found[:, 9:], words[None, 9:].expand(2, -1, -1))
    assert torch.equal(found[:, 5:9], prompts.tokens[[2, 0]])
    assert [name for name, _ in prompts.named_parameters()] == ['tokens']
    with pytest.raises(ConfigError, match="the text 'A photo' of the prompts has no word X"):
        IdentityPrompts(encoder, 'A photo', 3)


def test_learning_rates_are_those_of_the_released_code():
    rates = [PromptLearning().rate(epoch) for epoch in range(1, 121)]
    for epoch in range(1, 5):
        assert rates[epoch - 1] == pytest.approx(1e-5 + 3.4e-4 * epoch / 5)
    for epoch in (5, 60, 120):
        cosine = math.cos(math.pi * epoch / 120)
        assert rates[epoch - 1] == pytest.approx(1e-6 + 0.5 * 3.49e-4 * (1 + cosine))
    assert rates[-1] == pytest.approx(1e-6)


def test_only_the_prompts_learn_and_they_fit_the_images(encoder):
    images, labels = features()
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    losses, found = {}, {}
    for epochs in (1, 40):
        torch.manual_seed(3)
        settings = PromptLearning(epochs=epochs, batch_size=5, lr=0.01, warmup_epochs=0)
        found[epochs] = learn_prompts(encoder, TEXT, images, labels, 4, settings)
        losses[epochs] = image_text_contrastive_loss(images, found[epochs][labels], labels).item()
    assert losses[40] < 0.8 * losses[1]
    assert found[40].shape == (4, 8)
    assert not found[40].requires_grad
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())


def test_features_are_those_of_the_learned_prompts(encoder):
    images, labels = features()
    torch.manual_seed(5)
    settings = PromptLearning(epochs=1, batch_size=12, lr=1e-30, min_lr=0.0, warmup_epochs=0, weight_decay=0.0)
    found = learn_prompts(encoder, TEXT, images, labels, 3, settings)
    torch.manual_seed(5)
    prompts = IdentityPrompts(encoder, TEXT, 3)  # as they were before a step without effect
    with torch.no_grad():
        torch.testing.assert_close(found, encoder.encode(prompts(torch.arange(3))), rtol=1e-4, atol=1e-5)


def test_bad_values_are_named():
    for bad in (dict(epochs=0), dict(batch_size=0), dict(lr=0.0), dict(temperature=0.0), dict(weight_decay=-1.0)):
        with pytest.raises(ConfigError, match='PromptLearning: needs epochs and batch_size of at least 1'):
            PromptLearning(**bad)
