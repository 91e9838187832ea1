"""Build the model and training loader of a stage in this process, and check the weights they need."""

import copy
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine import Config
from torch.utils.data import DataLoader

from dscreid.engine.runner import ReIDRunner
from dscreid.errors import CheckpointError, DatasetError, DscreidError
from dscreid.lab.dataset_checks import Finding, Severity
from dscreid.lab.doctor.memory import is_out_of_memory, within_free_memory
from dscreid.lab.doctor.stages import Stage
from dscreid.models.reid import BaseReID
from dscreid.registry import DATASETS, MODELS
from dscreid.utils.build_errors import config_errors
from dscreid.utils.checkpoint import load_checkpoint


def build_loader(settings: Mapping[str, Any] | None) -> DataLoader | None:
    """Build a loader that reads in this process, so that errors surface here. None without settings.

    Args:
        settings: Config of the loader.

    Raises:
        DscreidError: If it cannot be built.
    """
    if settings is None:
        return None
    settings = copy.deepcopy(dict(settings)) | {'num_workers': 0}
    settings.pop('persistent_workers', None)
    return ReIDRunner.build_dataloader(settings, seed=0)


def try_loader(stage: Stage) -> tuple[DataLoader | None, list[Finding]]:
    """Build the training loader of a stage. If that fails, return None and a finding."""
    try:
        with config_errors(stage.subject):
            return build_loader(stage.config.get('train_dataloader')), []
    except DatasetError as error:
        message, details = 'not tried: the training data cannot be read', (str(error),)
    except DscreidError as error:
        message, details = str(error), ()
    return None, [Finding('dry batch', stage.subject, Severity.BROKEN, message, details=details)]


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
        if is_out_of_memory(error) or is_out_of_memory(error.__cause__):
            message, remedy = (
                'not enough memory to build the model',
                'end other processes, or use another machine',
            )
        elif isinstance(error, DscreidError):
            message, remedy = str(error), ''
        else:
            raise
    return None, [*findings, Finding('model', stage.subject, Severity.BROKEN, message, remedy)]


def check_weights(stage: Stage) -> list[Finding]:
    """Check the weights files of a stage, without any training data."""
    return try_model(stage)[1]


def _build(stage: Stage, num_classes: int | None, findings: list[Finding]) -> BaseReID:
    settings = copy.deepcopy(stage.config.model)
    if settings.type == 'SourceReID' and settings.get('num_classes') is None:
        settings.num_classes = num_classes or 1
    findings += _source_finding(stage)
    if stage.config.get('source') is not None:  # the source checkpoint contains the tower's weights
        _without_pretrained(settings)
    files = list(dict.fromkeys(_pretrained(settings)))
    model = MODELS.build(settings)
    try:
        model.init_weights()
    except CheckpointError as error:
        findings.append(Finding('weights', stage.subject, Severity.BROKEN, str(error)))
        _without_pretrained(settings)
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


def _pretrained(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if node.get('pretrained') is not None:
            yield str(node['pretrained'])
        node = list(node.values())
    if isinstance(node, (list, tuple)):
        for child in node:
            yield from _pretrained(child)


def _without_pretrained(node: Any) -> None:
    if isinstance(node, dict):
        if node.get('pretrained') is not None:
            node['pretrained'] = None
        node = list(node.values())
    if isinstance(node, (list, tuple)):
        for child in node:
            _without_pretrained(child)


def count_tracklets(config: Config) -> int:
    """Return the number of tracklets in a config's test split. 0 without a test split.

    Raises:
        DscreidError: If the dataset cannot be read.
    """
    settings = config.get('test_dataloader')
    return len(DATASETS.build(dict(settings['dataset'], pipeline=[]))) if settings else 0
