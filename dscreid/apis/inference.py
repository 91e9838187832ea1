"""Build a model for inference."""

import copy
import logging
from pathlib import Path

import torch
from mmengine import Config
from mmengine.logging import print_log

from dscreid.apis.config import config_name, load_config, require_keys
from dscreid.engine.common_settings import fill_common_settings
from dscreid.engine.source_weights import load_source_weights
from dscreid.errors import ConfigError
from dscreid.models.reid import BaseReID, is_supervised
from dscreid.registry import MODELS
from dscreid.utils.build_errors import config_errors


def init_model(
    config: str | Path | Config, checkpoint: str | Path | None = None, device: str | torch.device = 'cpu'
) -> BaseReID:
    """Build a config's model, load weights, and set it to evaluation mode; ``pretrained`` CLIP weights are not read.

    Args:
        config: Path or short name of a config, such as ``dsc/dsc_bupt2hitsz``, or the config itself.
        checkpoint: A checkpoint of either stage or a converted published one; None for random weights, with a warning.
        device: Device of the model.

    Returns:
        The model; ``model.extract_feat(inputs)`` gives raw static and dynamic features (N, D).

    Raises:
        ConfigError: If the config is missing or malformed, or the device does not exist.
        CheckpointError: If the checkpoint is missing, unsafe, from another architecture, or not finite.
    """
    device = _usable_device(device)
    config = copy.deepcopy(config) if isinstance(config, Config) else load_config(config)
    fill_common_settings(config._cfg_dict)
    model = build_model(config)
    if checkpoint is None:
        message = 'init_model: no checkpoint is given, the weights are random'
        print_log(message, logger='current', level=logging.WARNING)
    else:
        load_source_weights(model, checkpoint)
    return model.to(device).eval()


def build_model(config: Config) -> BaseReID:
    """Build a config's model without weights; a classifier whose size the data decides gets one output."""
    require_keys(config, 'model')
    settings = dict(config.model)
    if is_supervised(settings) and settings.get('num_classes') is None:
        settings['num_classes'] = 1  # features need no classifier
    with config_errors(f'{config_name(config)}: model'):
        return MODELS.build(settings)


def _usable_device(device: str | torch.device) -> torch.device:
    try:
        torch.zeros(1, device=device).cpu()  # the device 'meta' holds no values
    except (RuntimeError, AssertionError, NotImplementedError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"device {str(device)!r} cannot be used ({reason}); use 'cpu' or 'cuda'") from error
    return torch.device(device)
