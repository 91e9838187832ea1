"""Make one trial training step on a few tracklets, with every labeler and loss that the stage uses."""

import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from mmengine.runner import Runner
from torch import Tensor

from dscreid.engine.hooks import ClusterHook, find_cluster_hook
from dscreid.engine.label_state import held_centers
from dscreid.engine.schedule import turn_at
from dscreid.engine.source_weights import unwrap_model
from dscreid.errors import ConfigError, DscreidError, LabelingError
from dscreid.models.reid import AdaptiveReID, BaseReID
from dscreid.pseudo_labels import CrossLabels, Labeler, LabelingContext, PseudoLabels
from dscreid.structures import Modality, TrackletFeatures

#: Tracklets per artificial identity.
TRIAL_IDENTITY = 32
#: Errors raised by a class that does not fit.
_ERRORS = (
    TypeError, ValueError, LookupError, AttributeError, AssertionError, RuntimeError, ArithmeticError,
    NotImplementedError,
)  # fmt: skip


def try_step(runner: Runner) -> None:
    """Make a forward pass, a backward pass and an optimizer step on four tracklets.

    For an adaptation, artificial features are labeled by each labeler, the memories are filled, and the losses are
    computed for every epoch in which a labeler or a loss begins, and for the last two epochs. The hooks must have
    begun; the model is changed and must not be used afterwards.

    Raises:
        ConfigError: If a labeler, a loss, a memory or the optimizer does not fit the rest.
    """
    model = unwrap_model(runner.model)
    hook = find_cluster_hook(runner)
    model.train()
    dataset = runner.train_loop.dataloader.dataset
    with explained('a training step'), runner.optim_wrapper.optim_context(runner.model):
        items = [dataset[row] for row in _rows(dataset)]
        batch = model.data_preprocessor(runner.train_loop.dataloader.collate_fn(items), training=True)
        if isinstance(model, AdaptiveReID) and hook is not None:
            total = _losses_of_adaptation(runner, model, hook, batch)
        else:
            total = _sum(model(**batch, mode='loss'))
    _check_finite(total)
    with explained('the step of the optimizer'):
        runner.optim_wrapper.update_params(total)


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
    groups, left_by = None, None
    for epoch in _epochs_to_try(runner.train_loop.max_epochs, hook, model):
        labeler = hook.labelers[turn_at(epoch, hook.begin_epochs, hook.turns)]
        centers = held_centers(model.memories, groups)
        context = LabelingContext(
            epoch=epoch,
            cameras={m: dataset.cameras[rows[m]] for m in Modality},
            centers=None if centers is None else centers.features,
            groups=None if centers is None else centers.groups,
        )
        # a labeler that reads centers needs those of the previous epoch
        follows = left_by == epoch - 1 or not labeler.needs_centers
        labels = _labels(labeler, features, context) if follows else None
        left_by = epoch
        if labels is None or any((labels.of(m)[drawn[m]] < 0).any() for m in Modality):
            labels, left_by = trial_labels(rows, model), None
        groups = labels.groups
        model.set_epoch(epoch)
        model.reset_memories(
            features[Modality.RGB], features[Modality.IR], labels, rows[Modality.RGB], rows[Modality.IR]
        )
        loss = _sum(model.losses_of(static, dynamic, samples))
        _check_finite(loss)
        loss.backward()
        model.update_memories()
    gradients = [(half, leaf.grad) for half, leaf in zip(raw, (static, dynamic), strict=True)]
    return sum(((half * grad).sum() for half, grad in gradients if grad is not None), torch.zeros(()))


def _epochs_to_try(max_epochs: int, hook: ClusterHook, model: AdaptiveReID) -> list[int]:
    """Choose epochs that together use every labeler and loss, in ascending order."""
    epochs = {max_epochs - 1, max_epochs - 2}
    for begin, turn in zip(hook.begin_epochs, hook.turns, strict=True):
        epochs |= {begin + place for place in range(len(turn))}
    epochs |= {getattr(loss, 'begin', 0) for loss in (*model.neighbor_losses, model.cross_loss)}
    if any(labeler.needs_centers for labeler in hook.labelers):
        epochs |= {epoch - 1 for epoch in epochs}  # these leave the centers that a labeler reads
    return sorted(epoch for epoch in epochs if 0 <= epoch < max_epochs)


def trial_features(count: int, model: BaseReID, size: int = TRIAL_IDENTITY) -> TrackletFeatures:
    """Make unit features of ``count`` tracklets of well-separated identities, the same in both modalities.

    The model gives their dimension and device; ``size`` is the number of tracklets per identity.
    """
    encoder: Any = model.backbone
    device, dimension = next(model.parameters()).device, encoder.embed_dim
    generator = torch.Generator().manual_seed(0)
    identities = torch.randn(2, 1 + count // size, dimension, generator=generator)
    noise = torch.randn(2, count, dimension, generator=generator)
    halves = identities[:, torch.arange(count) // size] + 0.1 * noise
    return TrackletFeatures(*torch.nn.functional.normalize(halves, dim=2).to(device))


def trial_labels(rows: Mapping[Modality, np.ndarray], model: AdaptiveReID, size: int = TRIAL_IDENTITY) -> PseudoLabels:
    """Label tracklets by the identities of ``trial_features``, with cross labels for losses that need them.

    Only the number of each modality's ``rows`` counts; ``size`` is the number of tracklets per identity.
    """
    labels = {m: np.arange(len(rows[m]), dtype=np.int64) // size for m in Modality}
    common = min(values.max() for values in labels.values())
    rgb, ir = (np.where(labels[m] <= common, labels[m], -1) for m in Modality)
    cross = None if model.cross_loss is None else CrossLabels(rgb=rgb, ir=ir)
    return PseudoLabels(rgb=labels[Modality.RGB], ir=labels[Modality.IR], shared=False, cross=cross)


def _labels(
    labeler: Labeler, features: dict[Modality, TrackletFeatures], context: LabelingContext
) -> PseudoLabels | None:
    """Apply a labeler to the features; None if there are too few for its settings."""
    name = type(labeler).__name__
    given = context if labeler.needs_context else None
    try:
        with explained(f'labeling by {name}'):
            labels = labeler(features[Modality.RGB], features[Modality.IR], given)
    except LabelingError:
        return None
    if not isinstance(labels, PseudoLabels):
        raise ConfigError(f'{name} returns {type(labels).__name__}; a labeler returns PseudoLabels')
    for m in Modality:
        if len(labels.of(m)) != len(features[m]):
            counts = f'{len(labels.of(m))} labels for {len(features[m])} {m.value} tracklets'
            raise ConfigError(f'{name} returns {counts}')
    return labels


def _check_finite(loss: Tensor) -> None:
    if not torch.isfinite(loss):
        raise ConfigError(f"the loss of a trial training step is {loss.item()}; check the losses' settings")


def _sum(losses: dict[str, Tensor]) -> Tensor:
    return sum((value for name, value in losses.items() if 'loss' in name), torch.zeros(()))


@contextmanager
def explained(what: str) -> Iterator[None]:
    """Turn errors of a class that does not fit into a ConfigError with the failing line."""
    try:
        yield
    except DscreidError:
        raise
    except _ERRORS as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        reason = ' '.join(str(error).split()) or 'no message'
        place, kind = f'{last.filename}:{last.lineno}', type(error).__name__
        raise ConfigError(f'{what} fails on a trial batch: {kind}: {reason} ({place})') from error
