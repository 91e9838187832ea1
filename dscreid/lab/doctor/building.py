"""Build the model and training loader of a stage in this process, and check the weights they need."""

import copy
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader

from dscreid.engine.runner import ReIDRunner
from dscreid.errors import CheckpointError, DatasetError, DscreidError
from dscreid.lab.dataset_checks import Finding, Severity
from dscreid.lab.doctor.memory import within_free_memory
from dscreid.lab.doctor.stages import Stage, dicts_in
from dscreid.models.reid import BaseReID, is_supervised
from dscreid.registry import MODELS
from dscreid.utils.build_errors import config_errors
from dscreid.utils.checkpoint import load_checkpoint
from dscreid.utils.out_of_memory import is_out_of_memory


def build_loader(settings: Mapping[str, Any]) -> DataLoader:
    """Build a loader that reads in this process, so that errors surface here."""
    changed = copy.deepcopy(dict(settings)) | {'num_workers': 0}
    changed.pop('persistent_workers', None)
    return ReIDRunner.build_dataloader(changed, seed=0)


def try_loader(stage: Stage) -> Generator[Finding, None, DataLoader | None]:
    """Build the training loader of a stage. If that fails, yield a finding and return None."""
    settings = stage.config.get('train_dataloader')
    if settings is None:
        return None
    try:
        with config_errors(stage.subject):
            return build_loader(settings)
    except DatasetError as error:
        message, details = 'not tried: the training data cannot be read', (str(error),)
        yield Finding('dry batch', stage.subject, Severity.BROKEN, message, details=details)
    except DscreidError as error:
        yield Finding('dry batch', stage.subject, Severity.BROKEN, str(error))
    return None


def try_model(stage: Stage, num_classes: int | None = None) -> Generator[Finding, None, BaseReID | None]:
    """Build the model of a stage with its weights, or with random weights if the files cannot be used.

    ``num_classes`` is the number of identities in its training data, if known, and replaces ``num_classes=None``.
    Yields findings about the model and its weights files. Returns None if it cannot be built.
    """
    yield from _check_source(stage)
    model = None
    try:
        with config_errors(stage.subject), within_free_memory(torch.device('cpu')):
            model, findings = _build(stage, num_classes)
    except (DscreidError, RuntimeError, MemoryError) as error:
        message, remedy = str(error), ''
        if is_out_of_memory(error) or is_out_of_memory(error.__cause__):
            message = 'not enough memory to build the model'
            remedy = 'end other processes, or use another machine'
        elif not isinstance(error, DscreidError):
            raise
        findings = [Finding('model', stage.subject, Severity.BROKEN, message, remedy)]
    yield from findings
    return model


def _build(stage: Stage, num_classes: int | None) -> tuple[BaseReID, list[Finding]]:
    settings = copy.deepcopy(stage.config.model)
    if is_supervised(settings) and settings.get('num_classes') is None:
        settings.num_classes = num_classes or 1
    files: dict[str, None] = {}
    for part in dicts_in(settings):
        if part.get('pretrained') is not None and stage.config.get('source') is not None:
            part['pretrained'] = None  # the source checkpoint contains the tower's weights
        elif part.get('pretrained') is not None:
            files[str(part['pretrained'])] = None
    model = MODELS.build(settings)
    try:
        model.init_weights()
    except CheckpointError as error:
        return model, [Finding('weights', stage.subject, Severity.BROKEN, str(error))]
    read = f'read {", ".join(files)}'
    return model, [Finding('weights', stage.subject, Severity.OK, read)] if files else []


def _check_source(stage: Stage) -> Iterator[Finding]:
    """Check whether the source checkpoint named by the config can be read."""
    if (named := (stage.config.get('source') or {}).get('checkpoint')) is None:
        return
    try:
        load_checkpoint(Path(named))
        yield Finding('weights', stage.subject, Severity.OK, f'read the source checkpoint {named}')
    except DscreidError as error:
        yield Finding('weights', stage.subject, Severity.BROKEN, f'source checkpoint: {error}')
