"""Estimate before each epoch which labels are correct, from the losses of two networks (DART)."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor
from torch.utils.data import DataLoader

from dscreid.distributed import from_main_process
from dscreid.engine.extraction import BATCH_SIZE, extract_features, training_set_loader
from dscreid.engine.source_weights import unwrap_model
from dscreid.errors import ConfigError
from dscreid.models.heads import IdentityHead
from dscreid.models.losses import clean_probabilities
from dscreid.models.reid import SupervisedReID
from dscreid.registry import HOOKS
from dscreid.structures import Modality, TrackletFeatures
from dscreid.utils.build_errors import config_errors

#: Part of a batch, and the half whose losses decide: each network trains with what the other one believes.
_DECIDED_BY = {'clean_static': 'dynamic', 'clean_dynamic': 'static'}


@HOOKS.register_module()
class CleanProbabilityHook(Hook):
    """Set the parts ``clean_static`` and ``clean_dynamic``, the probability that each tracklet's label is correct.

    Before each epoch, each half's classifier gives the cross entropy of all training tracklets, without augmentation
    and in evaluation mode. ``clean_probabilities`` of those of a modality weigh the training of the *other* half.

    Args:
        pipeline: Transforms that load a tracklet for its losses, without augmentation.
        begin: First epoch, from 0, that needs the parts.
        batch_size: Tracklets per batch and process.
        num_workers: Worker processes; None for as many as the training loader has.
    """

    common_settings = MappingProxyType({'pipeline': 'eval_pipeline'})
    priority = 'BELOW_NORMAL'

    def __init__(
        self,
        pipeline: Sequence[Mapping],
        begin: int = 1,
        batch_size: int = BATCH_SIZE,
        num_workers: int | None = None,
    ) -> None:
        self.pipeline, self.begin, self.batch_size, self.num_workers = pipeline, begin, batch_size, num_workers
        self.dataloader: DataLoader

    def before_train(self, runner: Runner) -> None:
        """Build the loader; raise a ConfigError if the model lacks a classifier of each half or the parts."""
        model = unwrap_model(runner.model)
        heads = [getattr(model, f'{half}_head', None) for half in _DECIDED_BY.values()]
        if not (isinstance(model, SupervisedReID) and all(isinstance(head, IdentityHead) for head in heads)):
            raise ConfigError(
                'CleanProbabilityHook: needs SupervisedReID with an IdentityHead named static and one named dynamic'
            )
        with config_errors('CleanProbabilityHook'):
            train_loader = runner.train_loop.dataloader
            self.dataloader = training_set_loader(train_loader, self.pipeline, self.batch_size, self.num_workers)

    def before_train_epoch(self, runner: Runner) -> None:
        """Estimate the probabilities with the current weights."""
        if runner.epoch < self.begin:
            return
        model, dataset = unwrap_model(runner.model), self.dataloader.dataset
        logits = extract_features(model, self.dataloader, lambda *batch: _logits(model, *batch), 'losses')
        labels: Any = torch.from_numpy(dataset.labels).to(logits.static.device)  # type: ignore[attr-defined]
        losses = {
            half: F.cross_entropy(getattr(logits, half), labels, reduction='none').cpu().numpy()
            for half in _DECIDED_BY.values()
        }
        groups = {modality: dataset.indices(modality) for modality in Modality}  # type: ignore[attr-defined]
        seed = (runner.seed or 0) + runner.epoch

        def estimate() -> dict[str, np.ndarray]:
            return {part: _by_modality(losses[half], groups, seed) for part, half in _DECIDED_BY.items()}

        found = from_main_process(estimate)
        shares = ', '.join(f'{part} {np.mean(values >= 0.5):.3f}' for part, values in found.items())
        runner.logger.info(f'epoch {runner.epoch + 1} share of labels that are probably correct: {shares}')
        model.set_tracklet_parts({part: torch.from_numpy(values).float() for part, values in found.items()})


def _logits(model: SupervisedReID, inputs: Tensor, modalities: Sequence[str] | None = None) -> TrackletFeatures:
    parts = model.ranking_parts(inputs, modalities)
    heads = (model.get_submodule(f'{half}_head') for half in ('static', 'dynamic'))
    necks = (parts['neck_static'], parts['neck_dynamic'])
    return TrackletFeatures(*(F.linear(neck, head.weight) for neck, head in zip(necks, heads, strict=True)))


def _by_modality(losses: np.ndarray, groups: Mapping[Modality, np.ndarray], seed: int) -> np.ndarray:
    probabilities = np.ones(len(losses))
    for rows in groups.values():
        probabilities[rows] = clean_probabilities(losses[rows], seed)
    return probabilities
