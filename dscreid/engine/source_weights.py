"""Weights that stage 2 takes over from stage 1."""

from pathlib import Path

from mmengine.model import is_model_wrapper
from torch import nn

from dscreid.utils.checkpoint import load_model_weights

#: Classifiers know the identities they were trained on and stay behind.
_HEADS = ('static_head.', 'dynamic_head.')
#: Published checkpoints converted by ``convert_vld.py`` carry no necks of ours.
_NECKS = ('static_neck.', 'dynamic_neck.')


def unwrap_model(model: nn.Module) -> nn.Module:
    """The model itself, out of a wrapper for distributed training."""
    return model.module if is_model_wrapper(model) else model


def load_source_weights(model: nn.Module, checkpoint: str | Path) -> None:
    """Load a checkpoint's encoder and necks, strictly; classifiers are left as they are.

    Args:
        model: The model to adapt or to test, unwrapped.
        checkpoint: A checkpoint of ``SourceReID`` or ``AdaptiveReID``, or a converted published one.

    Raises:
        CheckpointError: The file is missing, unsafe, or of another architecture; the message lists the differences.
    """
    load_model_weights(model, checkpoint, allow_missing=_NECKS + _HEADS, ignore=_HEADS)
