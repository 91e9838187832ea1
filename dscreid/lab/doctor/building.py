"""Build the model and training loader of a stage in this process, and check the weights they need."""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader

from dscreid.engine.runner import ReIDRunner
from dscreid.errors import CheckpointError, DatasetError, DscreidError
from dscreid.lab.dataset_checks import Finding, Severity
from dscreid.lab.doctor.memory import is_out_of_memory, within_free_memory
from dscreid.lab.doctor.stages import Stage, dicts_in
from dscreid.models.reid import BaseReID
from dscreid.registry import MODELS
from dscreid.utils.build_errors import config_errors
from dscreid.utils.checkpoint import load_checkpoint


def build_loader(settings: Mapping[str, Any]) -> DataLoader:
    """Build a loader that reads in this process, so that errors surface here."""
    changed = copy.deepcopy(dict(settings)) | {'num_workers': 0}
    changed.pop('persistent_workers', None)
    return ReIDRunner.build_dataloader(changed, seed=0)


def try_loader(stage: Stage) -> tuple[DataLoader | None, list[Finding]]:
    """Build the training loader of a stage. If that fails, return None and a finding."""
    settings = stage.config.get('train_dataloader')
    if settings is None:
        return None, []
    try:
        with config_errors(stage.subject):
            return build_loader(settings), []
    except DatasetError as error:
        message, details = 'not tried: the training data cannot be read', [str(error)]
    except DscreidError as error:
        message, details = str(error), []
    return None, [Finding('dry batch', stage.subject, Severity.BROKEN, message, details=tuple(details))]


def try_model(stage: Stage, num_classes: int | None = None) -> tuple[BaseReID | None, list[Finding]]:
    """Build the model of a stage with its weights, or with random weights if the files cannot be used.

    Args:
        stage: The stage.
        num_classes: Number of identities in its training data, if known. Replaces ``num_classes=None``.

    Returns:
        The model, or None if it cannot be built, and findings about it and its weights files.
    """
    findings: list[Finding] = []
    try:
        with config_errors(stage.subject), within_free_memory(torch.device('cpu')):
            return _build(stage, num_classes, findings), findings
    except (DscreidError, RuntimeError, MemoryError) as error:
        message, remedy = str(error), ''
        if is_out_of_memory(error) or is_out_of_memory(error.__cause__):
            message = 'not enough memory to build the model'
            remedy = 'end other processes, or use another machine'
        elif not isinstance(error, DscreidError):
            raise
    return None, [*findings, Finding('model', stage.subject, Severity.BROKEN, message, remedy)]


def _build(stage: Stage, num_classes: int | None, findings: list[Finding]) -> BaseReID:
    settings = copy.deepcopy(stage.config.model)
    if settings.type == 'SourceReID' and settings.get('num_classes') is None:
        settings.num_classes = num_classes or 1
    findings += _source_finding(stage)
    pretrained = [part for part in dicts_in(settings) if part.get('pretrained') is not None]
    files = dict.fromkeys(str(part['pretrained']) for part in pretrained)
    if stage.config.get('source') is not None:  # the source checkpoint contains the tower's weights
        files = {}
        _clear(pretrained)
    model = MODELS.build(settings)
    try:
        model.init_weights()
    except CheckpointError as error:
        findings.append(Finding('weights', stage.subject, Severity.BROKEN, str(error)))
        _clear(pretrained)
        return MODELS.build(settings)
    if files:
        findings.append(Finding('weights', stage.subject, Severity.OK, f'read {", ".join(files)}'))
    return model


def _source_finding(stage: Stage) -> list[Finding]:
    """Check whether the source checkpoint named by the config can be read."""
    named = (stage.config.get('source') or {}).get('checkpoint')
    if named is None:
        return []
    try:
        load_checkpoint(Path(named))
    except DscreidError as error:
        return [Finding('weights', stage.subject, Severity.BROKEN, f'source checkpoint: {error}')]
    return [Finding('weights', stage.subject, Severity.OK, f'read the source checkpoint {named}')]


def _clear(pretrained: list[dict[str, Any]]) -> None:
    for part in pretrained:
        part['pretrained'] = None
