"""Weights that a run starts from: those of its source stage, or its own when it resumes."""

from pathlib import Path

from mmengine.model import is_model_wrapper
from torch import nn

from dscreid.errors import CheckpointError
from dscreid.utils.checkpoint import list_differences, load_model_weights, load_weights

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


def check_resumable(model: nn.Module, checkpoint: str | Path) -> None:
    """Refuse to resume from another architecture, of which MMEngine's Runner would load what happens to fit.

    Args:
        model: The model that is to be resumed, unwrapped.
        checkpoint: A checkpoint of the interrupted run.

    Raises:
        CheckpointError: The file is missing, unsafe, or of another architecture.
    """
    differences = list_differences(model, load_weights(checkpoint))
    if differences:
        shown = ', '.join(differences[:5]) + (', ...' if len(differences) > 5 else '')
        raise CheckpointError(
            f'{checkpoint}: cannot be resumed, it does not fit {type(model).__name__} ({shown}); use the config with '
            'which the run was started, or another --work-dir'
        )
