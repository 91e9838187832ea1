"""One dry batch of each stage on this machine's device: nothing is written, no weights are kept."""

import copy
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from dscreid.apis.config import config_name, fit_to_machine
from dscreid.apis.doctor.stages import Stage
from dscreid.datasets.doctor import Finding, Severity
from dscreid.engine.training_data import check_batch_size
from dscreid.errors import CheckpointError, DatasetError, DscreidError
from dscreid.models.reid import BaseReID
from dscreid.pseudo_labels import CrossLabels, PseudoLabels
from dscreid.registry import DATASETS, MODELS
from dscreid.structures import Modality, TrackletFeatures
from dscreid.utils.build_errors import config_errors
from dscreid.utils.machine import process_memory

#: Tracklets of a pseudo-label cluster of the dry batch.
_CLUSTER = 4
#: A first step of so many seconds is not repeated for a better measurement.
_SLOW_SECONDS = 20


@dataclass(frozen=True)
class BatchMeasure:
    """What one batch took.

    Attributes:
        tracklets: Tracklets in the batch.
        load_seconds: Reading and decoding it in one process; workers share this.
        step_seconds: Computing on it.
    """

    tracklets: int
    load_seconds: float
    step_seconds: float


@dataclass(frozen=True)
class StageMeasure:
    """What the dry batches of a stage told.

    Attributes:
        parameters: Number of the model's parameters.
        embed_dim: D of its static and dynamic features.
        counts: Tracklets of the adaptation's training split, by modality; empty for other stages.
        train: The training step; None where there was none.
        extraction: The extraction of a batch.
        iterations: Training steps of an epoch.
        epochs: Epochs of the stage.
        workers: Loading processes of the training.
    """

    parameters: int
    embed_dim: int
    counts: Mapping[Modality, int]
    train: BatchMeasure | None
    extraction: BatchMeasure | None
    iterations: int = 0
    epochs: int = 0
    workers: int = 0


def try_stage(stage: Stage, device: torch.device) -> tuple[list[Finding], StageMeasure | None]:
    """Run one batch of each of a stage's steps.

    Args:
        stage: The stage.
        device: Where to compute.

    Returns:
        Findings, and the measurements where a model could be built.
    """
    config = copy.deepcopy(stage.config)
    fit_to_machine(config)
    findings: list[Finding] = []
    subject = f'{stage.name} ({config_name(config)})'
    loader, model = _built(config, subject, findings)
    if model is None or (loader is None and config.get('train_dataloader') is not None):
        return findings, None
    model.to(device)
    labelled = stage.name != 'adaptation'
    train = extraction = None
    if loader is not None and stage.name != 'evaluation':
        prepare = None if labelled else lambda: fill_memories(model, loader)
        train = _try(
            findings, subject, 'training step', device, lambda: _train_step(model, loader, device, prepare)
        )
    settings = stage.extraction_loader or config.get('test_dataloader')
    if settings is not None:
        extraction = _try(
            findings, subject, 'extraction batch', device, lambda: _extract(model, settings, device)
        )
    return findings, StageMeasure(
        parameters=sum(p.numel() for p in model.parameters()),
        embed_dim=model.backbone.embed_dim,
        counts={} if labelled else {m: len(loader.dataset.indices(m)) for m in Modality},
        train=train,
        extraction=extraction,
        iterations=0 if train is None else len(loader),
        epochs=(config.get('train_cfg') or {}).get('max_epochs', 0),
        workers=(config.get('train_dataloader') or {}).get('num_workers', 0),
    )


def _built(config: Any, subject: str, findings: list[Finding]) -> tuple[DataLoader | None, BaseReID | None]:
    """Training loader and model; what cannot be built is None and a finding, and the other one is tried."""
    loader = model = None
    try:
        with config_errors(subject):
            loader = _build_loader(config.get('train_dataloader'))
    except DatasetError as error:
        message = 'nothing tried: the training data cannot be read'
        findings.append(Finding('dry batch', subject, Severity.BROKEN, message, details=(str(error),)))
    except DscreidError as error:
        findings.append(Finding('dry batch', subject, Severity.BROKEN, str(error)))
    try:
        with config_errors(subject):
            model = _build_model(config, loader, findings, subject)
    except DscreidError as error:
        findings.append(Finding('dry batch', subject, Severity.BROKEN, str(error)))
    return loader, model


def _try(
    findings: list[Finding],
    subject: str,
    what: str,
    device: torch.device,
    step: Callable[[], BatchMeasure],
) -> BatchMeasure | None:
    """Run a step and add what became of it to the findings."""
    if device.type == 'cuda':
        torch.cuda.reset_peak_memory_stats()
    try:
        measure = step()
    except (DscreidError, FloatingPointError) as error:
        findings.append(Finding('dry batch', subject, Severity.BROKEN, f'{what}: {error}'))
        return None
    except RuntimeError as error:
        if 'out of memory' not in str(error) and 'allocate memory' not in str(error):
            raise
        remedy = 'use a smaller batch_size, or another machine'
        findings.append(
            Finding('dry batch', subject, Severity.BROKEN, f'{what}: not enough memory on {device}', remedy)
        )
        return None
    memory = torch.cuda.max_memory_allocated() if device.type == 'cuda' else process_memory()
    of = 'GPU memory' if device.type == 'cuda' else 'memory of this process'
    message = (
        f'{what}: {measure.tracklets} tracklets loaded in {measure.load_seconds:.2f} s by one process, computed in '
        f'{measure.step_seconds:.2f} s on {device}; peak {memory / 2**30:.2f} GiB {of}'
    )
    values = dict(vars(measure), peak_memory=memory)
    findings.append(Finding('dry batch', subject, Severity.OK, message, values=values))
    return measure


def _build_loader(settings: Mapping[str, Any] | None) -> DataLoader | None:
    """A loader in this process: what fails, fails here."""
    if settings is None:
        return None
    settings = copy.deepcopy(dict(settings)) | {'num_workers': 0}
    settings.pop('persistent_workers', None)
    loader = Runner.build_dataloader(settings, seed=0)
    check_batch_size(loader)
    return loader


def _build_model(config: Any, loader: DataLoader | None, findings: list[Finding], subject: str) -> BaseReID:
    """The stage's model, with random weights where those that the config names cannot be used."""
    settings = copy.deepcopy(config.model)
    if settings.type == 'SourceReID' and settings.get('num_classes') is None:
        found = getattr(getattr(loader, 'dataset', None), 'num_classes', None)
        settings.num_classes = found or 1
    if config.get('source') is not None:  # whose checkpoint brings the tower's weights with it
        _without_pretrained(settings)
    model = MODELS.build(settings)
    try:
        model.init_weights()
    except CheckpointError as error:
        findings.append(Finding('weights', subject, Severity.BROKEN, str(error)))
        _without_pretrained(settings)
        model = MODELS.build(settings)
    return model


def _without_pretrained(node: Any) -> None:
    if isinstance(node, dict):
        if node.get('pretrained') is not None:
            node['pretrained'] = None
        node = list(node.values())
    if isinstance(node, (list, tuple)):
        for child in node:
            _without_pretrained(child)


def fill_memories(model: BaseReID, loader: DataLoader) -> None:
    """Give an adaptation what its first epoch would: memories of all tracklets, and labels for the sampler.

    Features are random and clusters are made up, four tracklets each, alike in both modalities.

    Args:
        model: ``AdaptiveReID``.
        loader: Its training loader; the sampler is told the labels.
    """
    device = next(model.parameters()).device
    generator = torch.Generator().manual_seed(0)
    rows = {m: loader.dataset.indices(m) for m in Modality}
    labels = {m: np.arange(len(rows[m]), dtype=np.int64) // _CLUSTER for m in Modality}
    features = {
        m: TrackletFeatures(
            *(
                torch.randn(len(rows[m]), model.backbone.embed_dim, generator=generator).to(device)
                for _ in range(2)
            )
        )
        for m in Modality
    }
    # losses across modalities ask for cross labels; clusters that the other side lacks have none
    common = min(values.max() for values in labels.values())
    cross = CrossLabels(**{m.value: np.where(labels[m] <= common, labels[m], -1) for m in Modality})
    made_up = PseudoLabels(
        rgb=labels[Modality.RGB],
        ir=labels[Modality.IR],
        shared=False,
        cross=cross if model.cross_loss is not None else None,
    )
    model.reset_memories(
        features[Modality.RGB], features[Modality.IR], made_up, rows[Modality.RGB], rows[Modality.IR]
    )
    loader.sampler.set_labels(labels[Modality.RGB], labels[Modality.IR])


def _train_step(
    model: BaseReID, loader: DataLoader, device: torch.device, prepare: Callable[[], None] | None
) -> BatchMeasure:
    """Forward and backward of one batch.

    Raises:
        FloatingPointError: The loss or a gradient is not finite.
    """
    if prepare is not None:
        prepare()
    batch, load_seconds = _first_batch(loader)
    model.train()
    seconds = _warm_seconds(lambda: _forward_and_backward(model, batch), device)
    return BatchMeasure(len(batch['inputs']), load_seconds, seconds)


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
def _extract(model: BaseReID, settings: Mapping[str, Any], device: torch.device) -> BatchMeasure:
    """Features of one batch.

    Raises:
        FloatingPointError: A feature is not finite.
    """
    with config_errors('extraction loader'):
        loader = _build_loader(settings)
    batch, load_seconds = _first_batch(loader)
    model.eval()
    seconds = _warm_seconds(lambda: _predict(model, batch), device)
    return BatchMeasure(len(batch['inputs']), load_seconds, seconds)


def _predict(model: BaseReID, batch: dict[str, Any]) -> None:
    ready = model.data_preprocessor(batch, training=False)
    found = model(ready['inputs'], ready['data_samples'], mode='predict')
    if not all(torch.isfinite(sample.feature).all() for sample in found):
        raise FloatingPointError('features are not finite')


def _first_batch(loader: DataLoader) -> tuple[dict[str, Any], float]:
    """A batch, and the seconds that reading and decoding it took."""
    start = time.perf_counter()
    batch = next(iter(loader))
    return batch, time.perf_counter() - start


def _warm_seconds(step: Callable[[], None], device: torch.device) -> float:
    """Seconds of a step once it is warm; of the first one where that is slow already."""
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


def count_tracklets(settings: Mapping[str, Any]) -> int:
    """Number of tracklets that a loader's dataset lists."""
    return len(DATASETS.build(dict(settings['dataset'], pipeline=[])))
