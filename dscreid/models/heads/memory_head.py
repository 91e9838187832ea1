"""Heads that compare clips with a frozen memory of the identities, filled once before the first epoch."""

from typing import Any

import torch
from torch import Tensor, nn

from dscreid.errors import ConfigError
from dscreid.models.heads.memory_prompt import MemoryPrompt
from dscreid.models.losses.labeled_batch import LabeledBatch
from dscreid.models.memories.feature_memory import cluster_centers
from dscreid.models.prompt_learning import PromptLearning, learn_prompts
from dscreid.registry import MODELS


@MODELS.register_module()
class IdentityMemoryHead(nn.Module):
    """Inner products of a part with a frozen memory of one vector per identity.

    The memory holds the mean of the part over the tracklets of each identity. ``IdentityMemoryHook`` fills it before
    the first epoch; it is saved in checkpoints.

    Args:
        in_features: Width D of the part.
        num_classes: Number of identities C.
        part: The part, ``static`` or one of the segments of the encoder, that is compared.
    """

    memory: Tensor
    is_filled: Tensor

    def __init__(self, in_features: int, num_classes: int, part: str = 'projected') -> None:
        super().__init__()
        self.part, self.out_features = part, num_classes
        self.reads: tuple[str, ...] = (part,)
        self.register_buffer('memory', torch.zeros(num_classes, in_features))
        self.register_buffer('is_filled', torch.tensor(False))
        self._was_checked = False

    def forward(self, batch: LabeledBatch) -> Tensor:
        """Compute logits, float32 (R, C); raise a ConfigError if the memory was not filled."""
        return batch.part(self.part).float() @ self.checked_memory().T

    def make_memory(self, features: Tensor, labels: Tensor, seed: int = 0) -> Tensor:
        """Compute a memory, float32 (C, D), from the part of all training tracklets, float32 (N, D).

        ``labels`` are int64 (N,) in [0, C). An identity without tracklets gets zeros. ``seed`` is not used.
        """
        return cluster_centers(features, labels, len(self.memory), normalize=False)

    def fill(self, memory: Tensor) -> None:
        """Set the memory, float (C, D)."""
        self.memory.copy_(memory)
        self.is_filled.fill_(True)

    def checked_memory(self) -> Tensor:
        """Return the memory; raise a ConfigError if it was not filled."""
        if not self._was_checked and not self.is_filled:  # asked once, because the answer is on the device
            raise ConfigError(
                f'{type(self).__name__}: its memory is empty; add '
                "default_hooks=dict(memory=dict(type='IdentityMemoryHook')) to the config"
            )
        self._was_checked = True
        return self.memory


@MODELS.register_module()
class PromptedMemoryHead(IdentityMemoryHead):
    """``IdentityMemoryHead`` of TF-CLIP: each clip changes the memory before it is compared; see ``MemoryPrompt``.

    Args:
        in_features: As in ``IdentityMemoryHead``.
        num_classes: As in ``IdentityMemoryHead``.
        part: As in ``IdentityMemoryHead``.
        tokens: The part with the tokens of a clip, float (R, L, D).
        prompt: Further arguments of ``MemoryPrompt``.
    """

    def __init__(
        self,
        in_features: int,
        num_classes: int,
        part: str = 'projected',
        tokens: str = 'tokens',
        prompt: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(in_features, num_classes, part)
        self.tokens, self.reads = tokens, (part, tokens)
        self.prompt = MemoryPrompt(in_features, **(prompt or {}))

    def forward(self, batch: LabeledBatch) -> Tensor:
        """Compute logits, float32 (R, C); raise a ConfigError if the memory was not filled."""
        prompted = self.prompt(self.checked_memory(), batch.part(self.tokens)).float()
        return torch.einsum('rd,rcd->rc', batch.part(self.part).float(), prompted)


@MODELS.register_module()
class TextMemoryHead(IdentityMemoryHead):
    """``IdentityMemoryHead`` of CLIP-ReID: the memory holds text features of prompts that are learned per identity.

    The text encoder is needed only to make the memory, and is no part of the model. See ``learn_prompts``.

    Args:
        in_features: As in ``IdentityMemoryHead``.
        num_classes: As in ``IdentityMemoryHead``.
        encoder: Config of the text encoder, ``dict(type='CLIPTextTransformer', ...)`` without ``output_dim``.
        part: As in ``IdentityMemoryHead``.
        text: Text in which each word ``X`` stands for a learned token.
        learning: Fields of ``PromptLearning``.
    """

    def __init__(
        self,
        in_features: int,
        num_classes: int,
        encoder: dict[str, Any],
        part: str = 'projected',
        text: str = 'A photo of a X X X X person.',
        learning: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(in_features, num_classes, part)
        self.encoder, self.text = dict(encoder), text
        self.learning = PromptLearning(**(learning or {}))

    def make_memory(self, features: Tensor, labels: Tensor, seed: int = 0) -> Tensor:
        """Learn prompts for the part of all training tracklets, float32 (N, D), and return their features, (C, D).

        ``labels`` are int64 (N,) in [0, C). All random numbers come from ``seed``. Raises as ``encoder.init_weights``.
        """
        with torch.random.fork_rng(devices=[]):  # all numbers are drawn on the CPU
            torch.default_generator.manual_seed(seed)
            encoder = MODELS.build({**self.encoder, 'output_dim': features.shape[1]})
            encoder.init_weights()
            encoder = encoder.to(features.device).eval()
            return learn_prompts(encoder, self.text, features, labels, len(self.memory), self.learning)
