"""Create new pseudo labels, memories and batches before each epoch (DSLU and simpler methods)."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from dscreid.engine import label_state
from dscreid.engine.extraction import (
    BATCH_SIZE,
    check_both_modalities,
    extract_features,
    recalibrated_features,
    training_set_loader,
)
from dscreid.engine.schedule import begins_anew, check_stages, turn_at
from dscreid.engine.source_weights import unwrap_model
from dscreid.engine.tone_learner import ToneLearner
from dscreid.errors import CheckpointError, ConfigError, DatasetError, LabelingError, TrainingError
from dscreid.neighbors import NeighborSearch, search_with, with_shared_searches
from dscreid.pseudo_labels import (
    Labeler,
    LabelingContext,
    PseudoLabels,
    build_labeler,
    label_diagnostics,
    label_statistics,
    labeling_within_memory,
)
from dscreid.pseudo_labels.faults import LabelLimits, feature_faults, label_faults, mean_cosine
from dscreid.registry import HOOKS
from dscreid.structures import Modality, TrackletFeatures
from dscreid.utils.build_errors import config_errors
from dscreid.utils.checkpoint import meta_of
from dscreid.utils.progress import progress_bar

#: Checkpoint keys of the cluster centers and labels that the epoch after a resumption may need.
_CENTERS_KEY, _LABELS_KEY = 'cluster_centers', 'cluster_labels'
POLICIES = ('stop', 'keep', 'skip')


@dataclass(frozen=True)
class ClusteringRound:
    """Features and pseudo labels of all tracklets at the start of a zero-based epoch."""

    epoch: int
    rgb: TrackletFeatures
    ir: TrackletFeatures
    labels: PseudoLabels


@HOOKS.register_module()
class ClusterHook(Hook):
    """Extract features, label them, rebuild the memories and pass the labels to the batch sampler.

    Before each round, the log gives the estimated time and memory of the clustering. If the clustering certainly does
    not fit, the run ends before it starts.

    Args:
        pipeline: Transforms that load a tracklet for its features, without augmentation.
        labelers: Labeler configs, each with its zero-based ``begin_epoch`` (default 0). The last one that has begun
            labels an epoch. ``dict(begin_epoch=b, cycle=[A, B])`` alternates between A and B, starting with A.
        batch_size: Tracklets per batch and process of the extraction.
        num_workers: Worker processes of the extraction; None for as many as the training loader has.
        recalibrate_necks: Estimate the necks' statistics on the target before the first epoch.
        diagnostics: Compare the labels with the ground truth if the dataset has one; only for the log.
        neighbor_search: Fields of ``NeighborSearch`` for the labelers, such as
            ``dict(index='HNSW32', parameters='efSearch=64')``, or ``dict(shared=False)`` if several processes should
            leave exact searches to the first one.
        on_failure: How to handle an epoch whose features or labels violate ``limits`` or are rejected by the labeler
            or the batch sampler. The log gives the reason. Features that are not finite always end the run.

            - ``stop`` ends the run.
            - ``keep`` uses the previous labels, with memories of the new features. Without such labels the run ends.
            - ``skip`` skips the epoch. This helps only if another labeler takes over later, because the weights do
              not change. Learning rates scheduled by iteration do not change either.
        limits: Keyword arguments of ``LabelLimits``.
    """

    common_settings = MappingProxyType({'pipeline': 'eval_pipeline'})
    # after the sampler has been told the epoch's number (DistSamplerSeedHook: NORMAL)
    priority = 'BELOW_NORMAL'

    def __init__(
        self,
        pipeline: Sequence[Mapping],
        labelers: Sequence[dict],
        batch_size: int = BATCH_SIZE,
        num_workers: int | None = None,
        recalibrate_necks: bool = True,
        diagnostics: bool = True,
        neighbor_search: dict | None = None,
        on_failure: str = 'stop',
        limits: Mapping | None = None,
    ) -> None:
        if on_failure not in POLICIES:
            raise ConfigError(f"ClusterHook: on_failure must be one of {', '.join(POLICIES)}, got '{on_failure}'")
        self.on_failure = on_failure
        with config_errors('ClusterHook'):
            self.limits = LabelLimits(**(limits or {}))
            self.neighbor_search = NeighborSearch(**(neighbor_search or {}))
        stages = [dict(stage) for stage in labelers]
        self.begin_epochs = [stage.pop('begin_epoch', 0) for stage in stages]
        check_stages(self.begin_epochs)
        #: All labelers in the order of the config, and each stage's positions in that list.
        self.labelers: list[Labeler] = []
        self.turns: list[range] = []
        for stage in stages:
            first = len(self.labelers)
            self.labelers += [build_labeler(labeler, 'ClusterHook') for labeler in _cycle(stage)]
            self.turns.append(range(first, len(self.labelers)))
        if self.labelers[0].needs_centers:
            raise ConfigError(
                f'ClusterHook: {type(self.labelers[0]).__name__} reads the cluster centers of the previous epoch and '
                'cannot label the first one; begin with another labeler, such as ClusterLabeler'
            )
        self.pipeline, self.batch_size, self.num_workers = pipeline, batch_size, num_workers
        self.recalibrate_necks, self.diagnostics = recalibrate_necks, diagnostics
        #: The epoch's features and labels, for hooks that evaluate them; None in a skipped epoch.
        self.last: ClusteringRound | None = None
        #: The last usable labels.
        self.labels: PseudoLabels | None = None
        #: Whether checkpoints hold the labels.
        self.saves_labels = on_failure == 'keep'
        self._resumed_centers: label_state.Centers | None = None
        #: Made before training if the model learns the infrared tones of colors.
        self._tones: ToneLearner | None = None
        #: Made before training: the loader of all training tracklets, and the dataset rows and cameras of a modality.
        self.dataloader: DataLoader
        self.rows: dict[Modality, np.ndarray]
        self._cameras: dict[Modality, np.ndarray]
        self._pids: np.ndarray | None = None

    def before_train(self, runner) -> None:
        """Build the extraction loader and check that the training loader and the model fit together."""
        train_loader, model = runner.train_loop.dataloader, unwrap_model(runner.model)
        if not hasattr(train_loader.sampler, 'set_labels'):
            raise ConfigError(
                f'ClusterHook: {type(train_loader.sampler).__name__} takes no pseudo labels; '
                "train_dataloader needs sampler=dict(type='PseudoLabelSampler', ...)"
            )
        if not hasattr(model, 'reset_memories'):
            raise ConfigError(f'ClusterHook: {type(model).__name__} has no memories; use AdaptiveReID as the model')
        with config_errors('ClusterHook'):
            self.dataloader = training_set_loader(train_loader, self.pipeline, self.batch_size, self.num_workers)
        dataset: Any = self.dataloader.dataset
        check_both_modalities(dataset)
        self.rows = {modality: dataset.indices(modality) for modality in Modality}
        self._cameras = {modality: dataset.cameras[rows] for modality, rows in self.rows.items()}
        for labeler in self.labelers:
            labeler.check_cameras(self._cameras)
        if begins_anew(runner):
            self._resumed_centers = self.labels = None  # from another run, whose weights this one starts from
        if (tones := getattr(model.data_preprocessor, 'tones', None)) is not None:
            self._tones = ToneLearner(model, self.dataloader, tones)
            self.saves_labels = True  # the next epoch learns from them
        if self.diagnostics:
            try:
                self._pids = dataset.read_ground_truth()
            except DatasetError as error:
                runner.logger.info(f'pseudo labels are not compared with a ground truth: {error}')

    def before_train_epoch(self, runner) -> None:
        """Extract features, label them and rebuild the memories."""
        model = unwrap_model(runner.model)
        model.set_epoch(runner.epoch)
        if (last := self._usable_round(runner)) is not None:
            self.labels = last.labels
            model.reset_memories(last.rgb, last.ir, last.labels, *self.rows.values())
        self.last = last

    def _usable_round(self, runner) -> ClusteringRound | None:
        """Return a round whose labels the batch sampler accepted, following ``on_failure``; None to skip the epoch."""
        sampler = runner.train_loop.dataloader.sampler
        try:
            self._learn_tones(runner)
            features = self._features(runner, recalibrate=self.recalibrate_necks and runner.epoch == 0)
            if faults := feature_faults(dict(zip(Modality, features, strict=True)), self.limits):
                raise LabelingError('; '.join(faults))
            labels = self._label(runner, *features)
            self._log(runner, labels, features)
            if faults := label_faults(labels, self.limits):
                raise LabelingError('; '.join(faults))
            _hand_over(sampler, labels)
        except LabelingError as error:
            place = f'epoch {runner.epoch + 1}: the pseudo labels cannot be used: {error}'
            if self.on_failure == 'skip':
                runner.logger.warning(f'{place}. The epoch is skipped (on_failure)')
                sampler.rest()
                return None
            if self.on_failure == 'stop' or self.labels is None:
                reason = '' if self.on_failure == 'stop' else ' (on_failure=keep, but there are no earlier labels)'
                raise LabelingError(f'{place}{reason}') from error
            runner.logger.warning(f'{place}. The labels of the previous epoch are kept (on_failure)')
            labels = self.labels
            _hand_over(sampler, labels)
        return ClusteringRound(runner.epoch, *features, labels)

    def _learn_tones(self, runner) -> None:
        """Learn the infrared tones of colors from the last labels, or from first ones without any tones."""
        if self._tones is None:
            return
        model, labels = unwrap_model(runner.model), self.labels
        if labels is None:
            recalibrate = self.recalibrate_necks and runner.epoch == 0
            labels = self._label(runner, *self._features(runner, recalibrate))
        if labels.shared:
            model.data_preprocessor.learn_tones(self._tones.table(labels))

    def make_round(self, runner) -> ClusteringRound:
        """Extract and label all tracklets with the current weights and labeler, without changing the run."""
        features = self._features(runner)
        return ClusteringRound(runner.epoch, *features, self._label(runner, *features))

    def _features(self, runner, recalibrate: bool = False) -> tuple[TrackletFeatures, TrackletFeatures]:
        """Extract the visible and the infrared features; with ``recalibrate``, first adapt the necks to them."""
        model = unwrap_model(runner.model)
        if recalibrate:
            features = recalibrated_features(model, self.dataloader)
        else:
            features = extract_features(model, self.dataloader, model.embed)
        broken = sum(int((~half.isfinite().all(dim=1)).sum()) for half in (features.static, features.dynamic))
        if broken:
            raise TrainingError(
                f'epoch {runner.epoch + 1}: {broken} of {2 * len(features)} features are NaN or infinite: the weights '
                'are unusable; resume from an earlier checkpoint by writing its name into last_checkpoint, with '
                'optim_wrapper.clip_grad=dict(max_norm=5.0), or start again with a lower learning rate'
            )
        rgb, ir = (TrackletFeatures(features.static[rows], features.dynamic[rows]) for rows in self.rows.values())
        return rgb, ir

    def _label(self, runner, rgb: TrackletFeatures, ir: TrackletFeatures) -> PseudoLabels:
        start = time.perf_counter()
        labeler, context = self._labeler(runner.epoch), None
        if labeler.needs_context:
            centers = self._centers(runner)
            known = (centers.features, centers.groups) if centers else ()
            context = LabelingContext(runner.epoch, self._cameras, *known)

        def forecast_and_label() -> PseudoLabels:
            with labeling_within_memory(labeler, rgb, ir, self.neighbor_search, runner.logger):
                return labeler(rgb, ir, context)

        with progress_bar() as bar, search_with(self.neighbor_search):
            bar.add_task('cluster', total=None)
            labels = with_shared_searches(forecast_and_label)
        runner.logger.info(f'clustering: {time.perf_counter() - start:.1f} s')
        return labels

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        """Add what the next epoch may need to the checkpoint: cluster centers, and labels to keep."""
        if self.saves_labels and self.labels is not None:
            checkpoint[_LABELS_KEY] = label_state.labels_state(self.labels)
        if any(labeler.needs_centers for labeler in self.labelers) and (centers := self._centers(runner)):
            checkpoint[_CENTERS_KEY] = centers.state()

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        """Restore what :meth:`before_save_checkpoint` added; raise CheckpointError if it is missing."""
        if (state := checkpoint.get(_LABELS_KEY)) is not None:
            self.labels = label_state.labels_from_state(state)
        if (state := checkpoint.get(_CENTERS_KEY)) is not None:
            device = next(runner.model.parameters()).device
            self._resumed_centers = label_state.Centers.from_state(state, device)
        elif self._labeler(meta_of(checkpoint).get('epoch', 0)).needs_centers and self.on_failure != 'skip':
            raise CheckpointError('the cluster centers that the next epoch reads are missing')

    def _labeler(self, epoch: int) -> Labeler:
        return self.labelers[turn_at(epoch, self.begin_epochs, self.turns)]

    def _centers(self, runner) -> label_state.Centers | None:
        """Return the centers held by the memories, or those of the resumed checkpoint if they are not built yet."""
        groups = None if self.labels is None else self.labels.groups
        return label_state.held_centers(unwrap_model(runner.model).memories, groups) or self._resumed_centers

    def _log(self, runner, labels: PseudoLabels, features: tuple[TrackletFeatures, TrackletFeatures]) -> None:
        runner.logger.info(f'epoch {runner.epoch + 1} pseudo labels: {labels.summary()}')
        values = label_statistics(labels)
        for modality, halves in zip(Modality, features, strict=True):
            values[f'{modality.value}_mean_cosine'] = (mean_cosine(halves.static) + mean_cosine(halves.dynamic)) / 2
        if self._pids is not None:
            diagnostics = label_diagnostics(labels, *(self._pids[rows] for rows in self.rows.values()))
            shown = ', '.join(f'{name} {value:.3f}' for name, value in diagnostics.items())
            runner.logger.info(f'against the ground truth (diagnostics only): {shown}')
            values |= diagnostics
        scalars = {f'labels/{name}': value for name, value in values.items()}
        runner.visualizer.add_scalars(scalars, step=runner.epoch + 1)


def find_cluster_hook(runner: Runner) -> ClusterHook | None:
    """Return the hook that clusters a runner's training set; None if it has none."""
    return next((hook for hook in runner.hooks if isinstance(hook, ClusterHook)), None)


def _hand_over(sampler: Any, labels: PseudoLabels) -> None:
    joint = () if labels.joint is None else (labels.joint,)
    sampler.set_labels(labels.rgb, labels.ir, *joint)


def _cycle(stage: Mapping) -> list[Mapping]:
    """Return the labeler configs of a stage: those of its ``cycle``, or the stage itself."""
    if 'cycle' not in stage:
        return [stage]
    cycle = stage['cycle']
    valid = isinstance(cycle, list | tuple) and cycle and not any('begin_epoch' in labeler for labeler in cycle)
    if not valid or len(stage) > 1:
        raise ConfigError(
            'ClusterHook: write labelers that take turns as dict(begin_epoch=..., cycle=[...]), with at least one '
            f'labeler, none of which has a begin_epoch; got {dict(stage)}'
        )
    return list(cycle)
