"""Try a stage before a long run: build it, send two tracklets of each set through it, and make one training step."""

import copy
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine import Config
from mmengine.runner import Runner
from torch import Tensor
from torch.utils.data import DataLoader

from dscreid.apis.build import build_runner
from dscreid.apis.inference import build_model
from dscreid.apis.test import check_evaluations
from dscreid.engine.hooks import ClusterHook, find_cluster_hook
from dscreid.engine.label_state import held_centers
from dscreid.engine.schedule import turn_at
from dscreid.engine.source_weights import unwrap_model
from dscreid.errors import ConfigError, LabelingError
from dscreid.models.losses import BatchLoss
from dscreid.models.reid import AdaptiveReID, BaseReID, SupervisedReID
from dscreid.pseudo_labels import CrossLabels, Labeler, LabelingContext, PseudoLabels
from dscreid.structures import Modality, TrackletFeatures
from dscreid.utils.build_errors import config_errors

_TRIED = 2  # tracklets per set
_FAILS = 'fails on a trial batch'
#: Tracklets per artificial identity.
TRIAL_IDENTITY = 32


def check_stage(config: Config) -> None:
    """Build a stage and send two tracklets through it before another stage runs for hours."""
    if config.get('train_cfg') is None:
        build_model(config)
        check_evaluations(config)
        return
    with tempfile.TemporaryDirectory(prefix='dscreid_check_') as folder:
        try_runner(quiet_runner(config, folder, None, None))


def quiet_runner(config: Config, folder: str, resumed: Path | None, source: Path | None) -> Runner:
    """Build a stage's runner for a trial, with its logs in a temporary folder; see ``build_runner``."""
    config = copy.deepcopy(config)
    config.work_dir, config.log_level = folder, 'ERROR'
    if config.get('visualizer') is not None:
        config.visualizer.vis_backends = [dict(type='LocalVisBackend')]  # others may report to a server
    return build_runner(config, resumed, source)


def try_runner(runner: Runner) -> str:
    """Decode and encode two tracklets of each set, and make one training step; return a line that describes it.

    For an adaptation, artificial features are labeled by each labeler, the memories are filled, and the losses are
    computed for every epoch in which a labeler or a loss begins, and for the last two epochs; for supervised training,
    for every epoch in which a loss begins. The runner must not be used afterwards.

    Raises:
        DscreidError: If a frame cannot be read, or the parts do not fit together.
    """
    model = unwrap_model(runner.model)
    dimension = _encode(model, runner.train_loop.dataloader, training=True)
    loops: list[Any] = [loop for loop in (runner.val_loop, runner.test_loop) if loop is not None]
    if (hook := find_cluster_hook(runner)) is not None:
        hook.before_train(runner)  # builds its loader
    for owner in loops if hook is None else [*loops, hook]:
        _encode(model, owner.dataloader, training=False)
    for loop in loops:
        batch = loop.dataloader.collate_fn(_first_items(loop.dataloader))
        with torch.no_grad(), config_errors(f'evaluation {_FAILS}'):
            loop.evaluator.process(data_samples=model.val_step(batch), data_batch=batch)
        for metric in loop.evaluator.metrics:
            metric.results.clear()
    _try_step(runner, model, hook)
    tracklets = f'{_TRIED} tracklets of each set decoded and encoded'
    labeled = '' if hook is None else ', labels by each labeler'
    return f'tried: {tracklets}, features of {dimension} numbers per half{labeled}; one training step'


def _first_items(loader: DataLoader) -> list[Any]:
    """Take tracklets without the sampler, because a sampler for pseudo labels yields nothing before there are any."""
    dataset: Any = loader.dataset
    return [dataset[number] for number in range(min(_TRIED, len(dataset)))]


@torch.no_grad()
def _encode(model: BaseReID, loader: DataLoader, training: bool) -> int:
    """Send tracklets through pipeline, preprocessing and model; return the feature dimension."""
    dataset: Any = loader.dataset
    items = _first_items(loader)
    if not all(isinstance(item, dict) and {'inputs', 'data_samples'} <= item.keys() for item in items):
        raise ConfigError(
            f'the pipeline of {type(dataset).__name__} {dataset.split} gives no inputs and data_samples; it must load '
            "frames and end with dict(type='PackTracklet')"
        )
    batch = model.data_preprocessor(loader.collate_fn(items), training=training)
    model.eval()
    try:
        static, _ = model.extract_feat(batch['inputs'], model.modalities_of(batch['data_samples']))
    except (ValueError, RuntimeError) as error:
        encoder, shape = type(model.backbone).__name__, tuple(batch['inputs'].shape)
        reason = ' '.join(str(error).split())
        raise ConfigError(
            f'{encoder} cannot encode what the pipeline gives, {shape}: {reason}; size and num_frames must agree'
        ) from error
    return static.shape[1]


def _try_step(runner: Runner, model: BaseReID, hook: ClusterHook | None) -> None:
    model.train()
    dataset = runner.train_loop.dataloader.dataset
    with config_errors(f'a training step {_FAILS}'), runner.optim_wrapper.optim_context(runner.model):
        items = [dataset[row] for row in _rows(dataset)]
        batch = model.data_preprocessor(runner.train_loop.dataloader.collate_fn(items), training=True)
        if isinstance(model, AdaptiveReID) and hook is not None:
            total = _losses_of_adaptation(runner, model, hook, batch)
        elif isinstance(model, SupervisedReID):
            if model.memory_heads:
                _fill_memories(model, batch)
            model.set_tracklet_parts({name: torch.ones(len(dataset)) for name in model.tracklet_parts})
            total = _losses_of_all_epochs(model, batch)
        else:
            total = _sum(model(**batch, mode='loss'))
    with config_errors(f'the step of the optimizer {_FAILS}'):
        runner.optim_wrapper.update_params(total)


def _fill_memories(model: SupervisedReID, batch: dict[str, Any]) -> None:
    """Fill the memories of the heads from a labeled batch instead of all tracklets."""
    samples = batch['data_samples']
    labels = torch.tensor([sample.label for sample in samples], device=batch['inputs'].device)
    with torch.no_grad():
        static, _ = model.extract_feat(batch['inputs'], model.modalities_of(samples))
    model.fill_memories(model.make_memories(static.float(), labels))


def _losses_of_all_epochs(model: SupervisedReID, batch: dict[str, Any]) -> Tensor:
    """Sum the losses of every epoch in which a loss begins."""
    totals = []
    for epoch in sorted({0, *(loss.begin for loss in model.losses.values() if isinstance(loss, BatchLoss))}):
        model.set_epoch(epoch)
        totals.append(_sum(model(**batch, mode='loss')))
    return torch.stack(totals).sum()


def _rows(dataset: Any) -> list[int]:
    """Choose two tracklets of each modality, of the same two identities if the dataset has labels."""
    rows = []
    for modality in Modality:
        found = dataset.indices(modality)
        if dataset.labels is not None:
            _, first = np.unique(dataset.labels[found], return_index=True)
            found = found[first]
        rows += [int(found[0]), int(found[min(1, len(found) - 1)])]
    return rows


def _losses_of_adaptation(runner: Runner, model: AdaptiveReID, hook: ClusterHook, batch: dict[str, Any]) -> Tensor:
    samples = batch['data_samples']
    raw = model.extract_feat(batch['inputs'], model.modalities_of(samples))
    loader: Any = hook.dataloader
    dataset = loader.dataset
    rows = {modality: dataset.indices(modality) for modality in Modality}
    features = {m: trial_features(len(rows[m]), model) for m in Modality}
    drawn = {m: np.searchsorted(rows[m], [s.index for s in samples if s.modality == m.value]) for m in Modality}
    # Each epoch replaces the memories, so its losses are differentiated immediately, down to the features.
    static, dynamic = (half.detach().requires_grad_() for half in raw)
    labels, own = trial_labels(rows, model), False
    for epoch in epochs_to_try(runner.train_loop.max_epochs, hook, model):
        labeler = hook.labelers[turn_at(epoch, hook.begin_epochs, hook.turns)]
        centers = held_centers(model.memories, labels.groups)
        known = (centers.features, centers.groups) if centers else ()
        context = LabelingContext(epoch, {m: dataset.cameras[rows[m]] for m in Modality}, *known)
        # a labeler that reads centers needs those that another labeler left
        found = _labels(labeler, features, context) if own or not labeler.needs_centers else None
        own = found is not None and all((found.of(m)[drawn[m]] >= 0).all() for m in Modality)
        labels = found if found is not None and own else trial_labels(rows, model)
        model.set_epoch(epoch)
        model.reset_memories(*features.values(), labels, *rows.values())
        for _ in range(model.steps):
            _sum(model.losses_of(static, dynamic, samples)).backward()
            model.update_memories()
    gradients = [(half, leaf.grad) for half, leaf in zip(raw, (static, dynamic), strict=True)]
    return _sum({f'loss {n}': (half * grad).sum() for n, (half, grad) in enumerate(gradients) if grad is not None})


def epochs_to_try(max_epochs: int, hook: ClusterHook, model: AdaptiveReID) -> list[int]:
    """Choose epochs that together use every labeler and loss, in ascending order."""
    epochs = {max_epochs - 1, max_epochs - 2}
    for begin, turn in zip(hook.begin_epochs, hook.turns, strict=True):
        epochs |= {begin + place for place in range(len(turn))}
    epochs |= {getattr(loss, 'begin', 0) for loss in (*model.neighbor_losses, model.cross_loss, model.hybrid_loss)}
    if any(labeler.needs_centers for labeler in hook.labelers):
        epochs |= {epoch - 1 for epoch in epochs}  # these leave the centers that a labeler reads
    return sorted(epoch for epoch in epochs if 0 <= epoch < max_epochs)


def trial_features(count: int, model: BaseReID, size: int = TRIAL_IDENTITY) -> TrackletFeatures:
    """Make unit features of ``count`` tracklets of well-separated identities, ``size`` tracklets each, for a model."""
    encoder: Any = model.backbone
    device, dimension = next(model.parameters()).device, encoder.embed_dim
    generator = torch.Generator().manual_seed(0)
    identities = torch.randn(2, 1 + count // size, dimension, generator=generator)
    noise = torch.randn(2, count, dimension, generator=generator)
    halves = identities[:, torch.arange(count) // size] + 0.1 * noise
    return TrackletFeatures(*torch.nn.functional.normalize(halves, dim=2).to(device))


def trial_labels(rows: Mapping[Modality, np.ndarray], model: AdaptiveReID, size: int = TRIAL_IDENTITY) -> PseudoLabels:
    """Label ``rows`` by the identities of ``trial_features``, with matched clusters for losses that need them."""
    labels = {m: np.arange(len(rows[m]), dtype=np.int64) // size for m in Modality}
    common = min(values.max() for values in labels.values())
    rgb, ir = (np.where(labels[m] <= common, labels[m], -1) for m in Modality)
    cross = CrossLabels(rgb=rgb, ir=ir) if model.cross_loss or model.hybrid_loss else None
    partners = np.arange(labels[Modality.IR].max() + 1).clip(max=common) if model.hybrid_loss else None
    joint = dict(zip(Modality, (rgb, ir), strict=True)) if model.memories.joint else None
    own = labels[Modality.RGB], labels[Modality.IR]
    return PseudoLabels(*own, shared=False, cross=cross, partners=partners, joint=joint)


def _labels(
    labeler: Labeler, features: dict[Modality, TrackletFeatures], context: LabelingContext
) -> PseudoLabels | None:
    """Apply a labeler to the features; None if there are too few for its settings."""
    name = type(labeler).__name__
    try:
        with config_errors(f'labeling by {name} {_FAILS}'):
            labels = labeler(features[Modality.RGB], features[Modality.IR], context if labeler.needs_context else None)
    except LabelingError:
        return None
    if not isinstance(labels, PseudoLabels) or any(len(labels.of(m)) != len(features[m]) for m in Modality):
        raise ConfigError(f'{name} returns {type(labels).__name__}; a labeler returns PseudoLabels of all tracklets')
    return labels


def _sum(losses: dict[str, Tensor]) -> Tensor:
    total = sum((value for name, value in losses.items() if 'loss' in name), torch.zeros(()))
    if not torch.isfinite(total):
        raise ConfigError(f"the loss of a trial training step is {total.item()}; check the losses' settings")
    return total
