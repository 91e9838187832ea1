"""First stage of CLIP-ReID (Li et al., AAAI 2023): learn a text prompt for each identity, with both encoders frozen."""

import math
from dataclasses import dataclass

import open_clip
import torch
from mmengine.logging import print_log
from torch import Tensor, nn

from dscreid.errors import ConfigError
from dscreid.models.backbones.clip_text_transformer import CLIPTextTransformer
from dscreid.models.losses.functional import image_text_contrastive_loss
from dscreid.utils.progress import track

#: Word of a text that stands for a learned token.
PLACEHOLDER = 'X'


@dataclass(frozen=True)
class PromptLearning:
    """Settings of the first stage, with the values of the released code."""

    epochs: int = 120  #: passes through all tracklets, at least 1
    batch_size: int = 64  #: tracklets per step, at least 1
    lr: float = 3.5e-4  #: learning rate of Adam after the warm-up, positive
    weight_decay: float = 1e-4  #: L2 penalty of Adam, not negative
    warmup_epochs: int = 5  #: epochs in which the learning rate grows from ``warmup_lr``
    warmup_lr: float = 1e-5  #: learning rate before the first epoch
    min_lr: float = 1e-6  #: learning rate at the end of the cosine decay
    temperature: float = 1.0  #: of the loss, positive

    def __post_init__(self) -> None:
        sizes = self.epochs >= 1 and self.batch_size >= 1 and self.warmup_epochs >= 0
        rates = self.lr > 0 and self.warmup_lr >= 0 and self.min_lr >= 0 and self.weight_decay >= 0
        if not sizes or not rates or self.temperature <= 0:
            raise ConfigError(
                'PromptLearning: needs epochs and batch_size of at least 1, a positive lr and temperature, and no '
                f'negative value, got {self}'
            )

    def rate(self, epoch: int) -> float:
        """Return the learning rate of an epoch, counted from 1: linear warm-up, then cosine decay."""
        if epoch < self.warmup_epochs:
            return self.warmup_lr + (self.lr - self.warmup_lr) * epoch / self.warmup_epochs
        return self.min_lr + (self.lr - self.min_lr) * (1 + math.cos(math.pi * epoch / self.epochs)) / 2


class IdentityPrompts(nn.Module):
    """Token embeddings of a text, with learned tokens of each identity in the place of each word ``X``.

    Args:
        encoder: Text encoder, whose embeddings the other words have.
        text: The text.
        num_classes: Number of identities.
    """

    def __init__(self, encoder: CLIPTextTransformer, text: str, num_classes: int) -> None:
        super().__init__()
        tokens = open_clip.tokenize(text, encoder.context_length)[0]
        # as CLIP finds the end of a text: its token has the largest number
        tokens = tokens[: int(tokens.argmax()) + 1].to(encoder.positional_embedding.device)
        placeholder = open_clip.tokenize(PLACEHOLDER, encoder.context_length)[0, 1]
        self.places = (tokens == placeholder).nonzero()[:, 0]
        if not len(self.places):
            raise ConfigError(f'the text {text!r} of the prompts has no word {PLACEHOLDER}, which stands for a token')
        self.words = encoder.token_embedding(tokens).detach()
        learned = torch.randn(num_classes, len(self.places), self.words.shape[1]) * 0.02
        self.tokens = nn.Parameter(learned.to(self.words.device))

    def forward(self, labels: Tensor) -> Tensor:
        """Return the prompts of identities, int64 (B,): float (B, L, width)."""
        prompts = self.words.expand(len(labels), -1, -1)
        return prompts.index_copy(1, self.places, self.tokens[labels])


def learn_prompts(
    encoder: CLIPTextTransformer,
    text: str,
    features: Tensor,
    labels: Tensor,
    num_classes: int,
    settings: PromptLearning,
) -> Tensor:
    """Learn the prompts of all identities from image features, and return their text features, float32 (C, P).

    ``features`` are float32 (N, P), ``labels`` int64 (N,) in [0, C). The encoder is frozen. Random numbers are those of
    the CPU's global generator.
    """
    encoder.requires_grad_(False)
    prompts = IdentityPrompts(encoder, text, num_classes)
    optimizer = torch.optim.Adam(prompts.parameters(), lr=settings.lr, weight_decay=settings.weight_decay)
    total = torch.zeros((), device=features.device)
    for epoch in track(range(1, settings.epochs + 1), 'learn prompts', total=settings.epochs):
        optimizer.param_groups[0]['lr'] = settings.rate(epoch)
        total.zero_()
        for rows in torch.randperm(len(features)).to(features.device).split(settings.batch_size):
            loss = _loss(encoder, prompts, features[rows], labels[rows], settings.temperature)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.detach() * len(rows)
    print_log(f'prompts: loss {float(total) / len(features):.3f} in the last epoch', logger='current')
    with torch.no_grad():
        everyone = torch.arange(num_classes, device=features.device).split(settings.batch_size)
        return torch.cat([encoder.encode(prompts(rows)) for rows in everyone])


def _loss(
    encoder: CLIPTextTransformer, prompts: IdentityPrompts, features: Tensor, labels: Tensor, temperature: float
) -> Tensor:
    found, rows = labels.unique(return_inverse=True)  # each text is encoded once
    return image_text_contrastive_loss(features, encoder.encode(prompts(found))[rows], labels, temperature)
