"""Weights that stage 2 takes over from stage 1."""

from pathlib import Path

from mmengine.model import is_model_wrapper
from torch import nn

from dscreid.utils.checkpoint import load_model_weights

#: Classifiers know the source's identities and stay behind.
_SOURCE_ONLY = ('static_head.', 'dynamic_head.')
#: Published checkpoints converted by ``convert_vld.py`` carry no necks of ours.
_MAY_BE_MISSING = ('static_neck.', 'dynamic_neck.', 'static_head.', 'dynamic_head.')


def unwrap_model(model: nn.Module) -> nn.Module:
    """The model itself, out of a wrapper for distributed training."""
    return model.module if is_model_wrapper(model) else model


def load_source_weights(model: nn.Module, checkpoint: str | Path) -> None:
    """Load a source model's encoder and necks, strictly.

    Args:
        model: The model to adapt or to test, unwrapped.
        checkpoint: A checkpoint of ``SourceReID`` or ``AdaptiveReID``, or a converted published one.

    Raises:
        CheckpointError: The file is missing, unsafe, or of another architecture; the message lists the differences.
    """
    has_heads = any(name.startswith(_SOURCE_ONLY) for name in model.state_dict())
    load_model_weights(model, checkpoint, allow_missing=_MAY_BE_MISSING, ignore=() if has_heads else _SOURCE_ONLY)
