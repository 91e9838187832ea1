"""Dry run of one batch of each stage on this machine's device. Writes no files and keeps no weights."""

import copy
import math
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader

from dscreid.apis.config import fit_to_machine
from dscreid.apis.preflight import trial_features, trial_labels
from dscreid.apis.recomputation import choose_recomputation
from dscreid.engine.extraction import check_both_modalities, extraction_loader
from dscreid.engine.step_memory import optimizer_bytes
from dscreid.errors import DscreidError
from dscreid.lab.dataset_checks import Finding, Severity
from dscreid.lab.doctor.building import build_loader, try_loader, try_model
from dscreid.lab.doctor.memory import within_free_memory
from dscreid.lab.doctor.stages import Stage
from dscreid.models.reid import BaseReID, SupervisedReID
from dscreid.structures import Modality
from dscreid.utils.build_errors import config_errors
from dscreid.utils.machine import free_gpu_memory
from dscreid.utils.out_of_memory import is_out_of_memory
from dscreid.utils.quantities import size_text

#: Tracklets per pseudo-label cluster of the dry batch if each modality has at least ``_MANY`` tracklets.
_CLUSTER, _MANY = 4, 100
#: A slower first step is not repeated for a better measurement. A batch that would take longer is not computed; its
#: time is scaled up from a few tracklets, and its memory is not tried.
_SLOW_SECONDS, _LONG_SECONDS = 20, 120
_SMALLER = 'use a smaller batch_size, end other processes, or use a machine with more memory'


@dataclass(frozen=True)
class BatchMeasure:
    """Measurements of one batch."""

    tracklets: int  # tracklets in the batch
    load_seconds: float  # time to read and decode the batch in one process; workers share this time
    step_seconds: float  # time to compute the batch; scaled up from fewer tracklets if it takes long


@dataclass(frozen=True)
class StageMeasure:
    """Measurements of a stage's dry batches."""

    parameters: int  # number of model parameters
    embed_dim: int  # dimension D of its static and of its dynamic features
    counts: Mapping[Modality, int]  # tracklets of the adaptation's training split, by modality; empty for other stages
    train: BatchMeasure | None  # the training step, or None if there is none
    extraction: BatchMeasure | None  # the extraction of a batch
    iterations: int = 0  # training steps per epoch
    epochs: int = 0  # epochs of the stage
    workers: int = 0  # loader processes of the training


@dataclass(frozen=True)
class Step:
    """One computation that a stage repeats."""

    name: str  # name for messages
    batch: dict[str, Any]  # output of the loader, with lists inputs and data_samples
    load_seconds: float  # see BatchMeasure
    run: Callable[[dict[str, Any]], None]  # computes a batch; raises FloatingPointError if a result is not finite
    optimizer: int = 0  # bytes that the optimizer needs in addition


def try_stage(stage: Stage, device: torch.device) -> Generator[Finding, None, StageMeasure | None]:
    """Run one batch of each step of a stage; yield each finding immediately.

    Returns:
        The measurements, or None if no model could be built.
    """
    config = copy.deepcopy(stage.config)
    stage = Stage(stage.name, config)
    fit_to_machine(config)
    if stage.name != 'evaluation':
        choose_recomputation(config, free_gpu_memory())
    loader = yield from try_loader(stage)
    model = yield from try_model(stage, getattr(getattr(loader, 'dataset', None), 'num_classes', None))
    if model is None or (loader is None and config.get('train_dataloader') is not None):
        return None
    model.to(device)
    train = extraction = None
    if loader is not None and stage.name != 'evaluation':
        train = yield from _try(stage, device, 'training step', lambda: _train_step(stage, model, loader))
    settings = extraction_loader(config) or config.get('test_dataloader')
    if settings is not None:
        extraction = yield from _try(stage, device, 'extraction batch', lambda: _extraction(model, settings))
    backbone: Any = model.backbone
    rows = _rows_of(loader) if stage.name == 'adaptation' and loader is not None else {}
    return StageMeasure(
        parameters=sum(p.numel() for p in model.parameters()),
        embed_dim=int(backbone.embed_dim),
        counts={modality: len(found) for modality, found in rows.items()},
        train=train,
        extraction=extraction,
        iterations=0 if train is None or loader is None else len(loader),
        epochs=(config.get('train_cfg') or {}).get('max_epochs', 0),
        workers=(config.get('train_dataloader') or {}).get('num_workers', 0),
    )


def _try(
    stage: Stage, device: torch.device, name: str, prepare: Callable[[], Step]
) -> Generator[Finding, None, BatchMeasure | None]:
    try:
        finding, measure = try_step(prepare(), device, stage.subject)
    except (DscreidError, FloatingPointError, RuntimeError, MemoryError) as error:
        message, remedy, measure = f'{name}: {error}', '', None
        if is_out_of_memory(error):
            message, remedy = f'{name}: not enough memory on {device}', _SMALLER
        elif not isinstance(error, (DscreidError, FloatingPointError)):
            raise
        finding = Finding('dry batch', stage.subject, Severity.BROKEN, message, remedy)
    yield finding
    return measure


def _train_step(stage: Stage, model: BaseReID, loader: DataLoader) -> Step:
    if stage.name == 'adaptation':
        check_both_modalities(loader.dataset)
        _fill_memories(model, loader)
    elif isinstance(model, SupervisedReID):
        fill_identity_memories(model)
    batch, seconds = _first_batch(loader)
    model.train()
    return Step('training step', batch, seconds, partial(_forward_and_backward, model), optimizer_bytes(model))


def _extraction(model: BaseReID, settings: Mapping[str, Any]) -> Step:
    with config_errors('extraction loader'):
        loader = build_loader(settings)
    batch, seconds = _first_batch(loader)
    model.eval()
    return Step('extraction batch', batch, seconds, partial(_predict, model))


def try_step(step: Step, device: torch.device, subject: str) -> tuple[Finding, BatchMeasure]:
    """Run a step on two tracklets, and on the whole batch unless that takes long.

    Raises:
        FloatingPointError: If a result is not finite.
        RuntimeError, MemoryError: If the step does not fit into the free memory.
    """
    part = small_part(step.batch)
    share, total = len(part['inputs']), len(step.batch['inputs'])
    with within_free_memory(device):
        state = torch.empty(step.optimizer, dtype=torch.uint8, device=device)
        seconds = _warm_seconds(lambda: step.run(part), device) * total / share
        if whole := share == total or seconds <= _LONG_SECONDS:
            seconds = _warm_seconds(lambda: step.run(step.batch), device)
        del state
    how = f'in {seconds:.2f} s' if whole else f'in about {seconds:.0f} s, forecast from {share} of them,'
    message = f'{step.name}: {total} tracklets loaded in {step.load_seconds:.2f} s by one process, computed {how} '
    message += f'on {device}'
    if device.type == 'cuda':
        message += f', with a peak of {size_text(torch.cuda.max_memory_allocated())} of its memory'
    finding = Finding('dry batch', subject, Severity.OK, message)
    return finding, BatchMeasure(total, step.load_seconds, seconds)


def small_part(batch: Mapping[str, Any]) -> dict[str, Any]:
    """Return one tracklet of each modality of a batch, or up to two tracklets if there is only one modality."""
    modalities = [sample.modality for sample in batch['data_samples']]
    rows = sorted(modalities.index(modality) for modality in set(modalities))
    rows = rows if len(rows) > 1 else list(range(min(2, len(modalities))))
    return {key: [batch[key][row] for row in rows] for key in ('inputs', 'data_samples')}


def _rows_of(loader: DataLoader) -> dict[Modality, np.ndarray]:
    """Rows of a loader's tracklets by modality, int64 (n,) each."""
    dataset: Any = loader.dataset
    return {modality: dataset.indices(modality) for modality in Modality}


def _fill_memories(model: BaseReID, loader: DataLoader) -> None:
    """Set the memories of an ``AdaptiveReID`` and the sampler's labels from artificial features and clusters."""
    rows = _rows_of(loader)
    size = _CLUSTER if min(map(len, rows.values())) >= _MANY else 1
    labels = trial_labels(rows, model, size)
    rgb, ir = (trial_features(len(rows[m]), model, size) for m in Modality)
    model.reset_memories(rgb, ir, labels, rows[Modality.RGB], rows[Modality.IR])
    sampler: Any = loader.sampler
    sampler.set_labels(labels.rgb, labels.ir, *([] if labels.joint is None else [labels.joint]))


def fill_identity_memories(model: SupervisedReID) -> None:
    """Set the memories of a model's heads to random vectors, so that its losses can be computed before any training."""
    heads = model.memory_heads.items()
    model.fill_memories({name: torch.randn_like(head.memory) / len(head.memory[0]) ** 0.5 for name, head in heads})


def _forward_and_backward(model: BaseReID, batch: dict[str, Any]) -> None:
    losses = model(**model.data_preprocessor(batch, training=True), mode='loss')
    total = sum(value for name, value in losses.items() if 'loss' in name)
    total.backward()
    value = total.item()
    finite = all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
    model.zero_grad(set_to_none=True)
    if not math.isfinite(value) or not finite:
        raise FloatingPointError(f'the loss is {value}, its gradients are {"" if finite else "not "}finite')


@torch.no_grad()
def _predict(model: BaseReID, batch: dict[str, Any]) -> None:
    ready = model.data_preprocessor(batch, training=False)
    found = model(ready['inputs'], ready['data_samples'], mode='predict')
    if not all(torch.isfinite(sample.feature).all() for sample in found):
        raise FloatingPointError('features are not finite')


def _first_batch(loader: DataLoader) -> tuple[dict[str, Any], float]:
    """Return a batch and the seconds it took to read and decode it."""
    start = time.perf_counter()
    batch = next(iter(loader))
    return batch, time.perf_counter() - start


def _warm_seconds(step: Callable[[], None], device: torch.device) -> float:
    """Return the seconds of a step after warm-up, or of the first step if that is already slow."""
    seconds = math.inf
    for _ in range(2):
        start = time.perf_counter()
        step()
        if device.type == 'cuda':
            torch.cuda.synchronize()
        seconds = min(seconds, time.perf_counter() - start)
        if seconds > _SLOW_SECONDS:
            break
    return seconds
