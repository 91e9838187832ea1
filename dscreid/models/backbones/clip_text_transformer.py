"""CLIP's text encoder, for prompts that are given as embeddings."""

from mmengine.model import BaseModule
from open_clip.transformer import TextTransformer
from torch import Tensor

from dscreid.errors import CheckpointError, ConfigError
from dscreid.models.backbones.clip_vision_transformer import ACTIVATIONS
from dscreid.models.backbones.pretrained import CLIP_REMEDY, HEAD_WIDTH, check_activation, find_weights, stored_settings
from dscreid.registry import MODELS
from dscreid.utils.checkpoint import in_words, list_differences, load_weights

_PARTS = ('transformer.', 'token_embedding.', 'positional_embedding', 'ln_final.', 'text_projection')


@MODELS.register_module()
class CLIPTextTransformer(TextTransformer, BaseModule):
    """Text encoder of CLIP (Radford et al., ICML 2021), based on open_clip, with the same parameter names.

    :meth:`init_weights`, not the constructor, loads the pretrained weights.

    Args:
        width: Dimension of the tokens, a multiple of 64; blocks have one head for each 64 dimensions.
        layers: Number of blocks.
        output_dim: Width P of the joint space of images and texts.
        activation: 'quick_gelu' (OpenAI's weights) or 'gelu' (most open_clip weights).
        pretrained: A whole CLIP model, in the same formats as that of ``CLIPVisionTransformer``. With None the weights
            are random; what such an encoder says about words has no meaning.
        pretrained_sha256: Expected SHA-256 of the file (hexadecimal). None accepts any file.
        pretrained_activation: Activation of the file, only for open_clip files, which do not tell.
        context_length: Number of positions.
        vocab_size: Number of tokens.
    """

    def __init__(
        self,
        width: int = 512,
        layers: int = 12,
        output_dim: int = 512,
        activation: str = 'quick_gelu',
        pretrained: str | None = None,
        pretrained_sha256: str | None = None,
        pretrained_activation: str | None = None,
        context_length: int = 77,
        vocab_size: int = 49408,
    ) -> None:
        if width < 1 or width % HEAD_WIDTH:
            raise ConfigError(f'CLIPTextTransformer: width must be a multiple of {HEAD_WIDTH}, got {width}')
        if activation not in ACTIVATIONS:
            raise ConfigError(f'CLIPTextTransformer: activation must be one of {sorted(ACTIVATIONS)}, got {activation}')
        super().__init__(
            context_length=context_length,
            vocab_size=vocab_size,
            width=width,
            heads=width // HEAD_WIDTH,
            layers=layers,
            output_dim=output_dim,
            act_layer=ACTIVATIONS[activation],
        )
        self.is_init = False
        self.activation = activation
        self.pretrained, self.pretrained_sha256 = pretrained, pretrained_sha256
        self.pretrained_activation = pretrained_activation

    def init_weights(self) -> None:
        """Load the text encoder of ``pretrained`` on the first call.

        Raises CheckpointError if the file is missing, has another hash, has no text encoder, or does not fit;
        ConfigError if its activation is unknown or another one.
        """
        if self.pretrained is not None and not self.is_init:
            path, file = self.pretrained, find_weights(self.pretrained, self.pretrained_sha256, CLIP_REMEDY)
            content = load_weights(file)
            prefix = 'text.' if any(name.startswith('text.') for name in content) else ''
            own = {name.removeprefix(prefix): value for name, value in content.items() if name.startswith(prefix)}
            weights = {name: value.float() for name, value in own.items() if name.startswith(_PARTS)}
            image_class = content.get('visual.class_embedding')
            if image_class is None or 'token_embedding.weight' not in weights:
                raise CheckpointError(
                    f"{path}: contains no text encoder of CLIP; use a whole CLIP model, such as OpenAI's"
                )
            stored = stored_settings(path, file, {'class_embedding': image_class}, self.pretrained_activation)
            check_activation(path, stored, self.activation)
            if differences := list_differences(self, weights):
                raise CheckpointError(f'{path}: does not fit the text encoder of the config ({in_words(differences)})')
            self.load_state_dict(weights)
        self.is_init = True

    def encode(self, embeddings: Tensor) -> Tensor:
        """Encode token embeddings, float (B, L, width), whose last token ends the text: float (B, P), not normalized.

        Tokens after the end of a text have no effect, because attention is causal; leave them out.
        """
        length = embeddings.shape[1]
        if not 1 <= length <= self.context_length:
            raise ValueError(f'a text has 1 to {self.context_length} tokens, got {length}')
        mask = self.attn_mask[:length, :length]
        tokens = self.transformer(embeddings + self.positional_embedding[:length], attn_mask=mask)
        return self.ln_final(tokens[:, -1]) @ self.text_projection
