"""Weights that a run starts from: those of its source stage, or its own if it resumes."""

from pathlib import Path
from typing import Any

from mmengine.model import is_model_wrapper
from torch import nn

from dscreid.errors import CheckpointError
from dscreid.utils.checkpoint import (
    in_words,
    list_differences,
    list_setting_differences,
    load_checkpoint,
    load_model_weights,
    load_weights,
)

#: Heads, such as classifiers, and losses are specific to the training of a model, so they are not loaded.
_HEAD_SUFFIX, _LOSSES = '_head', 'losses'
#: Converted checkpoints of VLD do not contain these necks.
_NECKS = ('static_neck.', 'dynamic_neck.')
#: Averaged encoder of some models. Where a file has none, the encoder itself is copied.
_AVERAGE = 'average.'
#: Infrared tones of colors. Most files have none, because they are learned during an adaptation.
_TONES = ('data_preprocessor.tone_table', 'data_preprocessor.knows_tones')


def unwrap_model(model: nn.Module) -> Any:
    """Return the model without its wrapper for distributed training, if it has one."""
    return model.module if is_model_wrapper(model) else model


def load_source_weights(model: nn.Module, checkpoint: str | Path, partial: bool = False) -> None:
    """Load the encoder and necks of a checkpoint of either stage, or a converted one; classifiers stay unchanged.

    With ``partial``, only the weights that fit are loaded, and a warning lists the others. ``model`` is unwrapped.

    Raises:
        CheckpointError: If the file is missing, unsafe, of another architecture, or holds NaN or infinite values.
    """
    heads = tuple({f'{name.partition(".")[0]}.' for name in model.state_dict() if _is_of_training(name)})
    start_average: Any = getattr(model, 'start_average', None)
    averages = start_average is not None
    file_averages = averages and any(name.startswith(_AVERAGE) for name in load_weights(checkpoint))

    has_tones = _TONES[0] in model.state_dict()

    def is_left_out(name: str) -> bool:
        needless = (name in _TONES and not has_tones) or (name.startswith(_AVERAGE) and not averages)
        return _is_of_training(name) or needless

    missing = _NECKS + _TONES + heads + (() if file_averages else (_AVERAGE,))
    load_model_weights(model, checkpoint, allow_missing=missing, ignore=is_left_out, partial=partial)
    if averages and not file_averages:
        start_average()
    counts = {name: (int((~value.isfinite()).sum()), value.numel()) for name, value in model.state_dict().items()}
    if broken := [f'{name} ({bad} of {size} values)' for name, (bad, size) in counts.items() if bad]:
        raise CheckpointError(
            f'{checkpoint}: holds NaN or infinite values in {in_words(broken)}; use an earlier checkpoint of that run, '
            'or train it again with a lower learning rate'
        )


def check_resumable(model: nn.Module, checkpoint: str | Path) -> dict:
    """Check that an unwrapped model can resume from a checkpoint, and return the checkpoint's content."""
    content = load_checkpoint(checkpoint)
    if differences := list_setting_differences(model, content) + list_differences(model, load_weights(checkpoint)):
        raise CheckpointError(
            f'{checkpoint}: cannot be resumed, it does not fit {type(model).__name__} ({in_words(differences)}); '
            'use the config with which the run was started, or another --work-dir'
        )
    return content


def _is_of_training(name: str) -> bool:
    part = name.partition('.')[0]
    return part.endswith(_HEAD_SUFFIX) or part == _LOSSES
