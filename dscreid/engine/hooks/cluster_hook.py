"""New pseudo labels, memories and batches before each epoch (DSLU and its simpler relatives)."""

import time
from collections.abc import Callable, Sequence

import numpy as np
from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from dscreid.datasets import TrackletDataset
from dscreid.engine.extraction import extract_features
from dscreid.engine.schedule import check_stages, stage_at
from dscreid.engine.source_weights import unwrap_model
from dscreid.errors import ConfigError, DatasetError, DscreidError
from dscreid.pseudo_labels import PseudoLabels, label_diagnostics, label_statistics
from dscreid.registry import HOOKS, LABELERS
from dscreid.structures import Modality, TrackletFeatures
from dscreid.utils.build_errors import config_errors
from dscreid.utils.progress import progress_bar


@HOOKS.register_module()
class ClusterHook(Hook):
    """Extract features, label them, rebuild the memories and hand the labels to the batch sampler.

    Args:
        dataloader: Config of a loader over the *same* unlabelled training split, with the evaluation pipeline
            and ``SequentialSampler``.
        labelers: Labeler configs, each with its zero-based ``begin_epoch``; the last one that has begun labels
            an epoch. One config without ``begin_epoch`` labels all epochs.
        recalibrate_necks: Re-estimate the necks' statistics on the target's raw features before the first
            epoch (needed for converted checkpoints, which bring no necks).
        diagnostics: Compare the labels with the ground truth where the dataset has one, for the log alone.
    """

    # after the sampler has learnt the epoch's number (DistSamplerSeedHook: NORMAL)
    priority = 'BELOW_NORMAL'

    def __init__(
        self,
        dataloader: dict,
        labelers: Sequence[dict],
        recalibrate_necks: bool = True,
        diagnostics: bool = True,
    ) -> None:
        labelers = [dict(labeler) for labeler in labelers]
        self.begin_epochs = [labeler.pop('begin_epoch', 0) for labeler in labelers]
        check_stages(self.begin_epochs)
        self.labelers = [LABELERS.build(labeler) for labeler in labelers]
        self.dataloader_config = dataloader
        self.recalibrate_necks = recalibrate_necks
        self.diagnostics = diagnostics
        self.dataloader = None
        self._pids = None

    def before_train(self, runner) -> None:
        """Build the extraction loader and check that it, the training loader and the model belong together."""
        train_loader = runner.train_loop.dataloader
        if not hasattr(train_loader.sampler, 'set_labels'):
            raise ConfigError(
                f'ClusterHook: {type(train_loader.sampler).__name__} takes no pseudo labels; '
                "train_dataloader needs sampler=dict(type='PseudoLabelSampler', ...)"
            )
        if not hasattr(unwrap_model(runner.model), 'reset_memories'):
            raise ConfigError(
                f'ClusterHook: {type(unwrap_model(runner.model)).__name__} has no memories; '
                'use AdaptiveReID as the model'
            )
        with config_errors('ClusterHook.dataloader'):
            self.dataloader = Runner.build_dataloader(self.dataloader_config, seed=runner.seed)
        _check_same_tracklets(self.dataloader.dataset, train_loader.dataset)
        if self.diagnostics:
            self._read_ground_truth(runner)

    def before_train_epoch(self, runner) -> None:
        """One round of extraction, labelling and rebuilding."""
        model = unwrap_model(runner.model)
        model.set_epoch(runner.epoch)
        dataset = self.dataloader.dataset
        indices = {modality: dataset.indices(modality) for modality in Modality}

        if self.recalibrate_necks and runner.epoch == 0:
            raw = extract_features(
                model,
                self.dataloader,
                lambda inputs: TrackletFeatures(*model.extract_feat(inputs)),
                'calibrate',
            )
            model.recalibrate_necks(raw.static, raw.dynamic)
        features = extract_features(model, self.dataloader, model.embed)
        rgb, ir = (_rows(features, indices[modality]) for modality in Modality)

        start = time.perf_counter()
        labeler = stage_at(runner.epoch, self.begin_epochs, self.labelers)
        with progress_bar() as bar:
            bar.add_task('cluster', total=None)
            labels = _on_main_process(labeler, rgb, ir)
        runner.logger.info(f'clustering: {time.perf_counter() - start:.1f} s')

        model.reset_memories(rgb, ir, labels, indices[Modality.RGB], indices[Modality.IR])
        self._log(runner, labels, indices)
        runner.train_loop.dataloader.sampler.set_labels(labels.rgb, labels.ir)

    def _read_ground_truth(self, runner) -> None:
        try:
            self._pids = self.dataloader.dataset.read_ground_truth().pids
        except DatasetError as error:
            runner.logger.info(f'pseudo labels are not compared with a ground truth: {error}')

    def _log(self, runner, labels: PseudoLabels, indices: dict[Modality, np.ndarray]) -> None:
        runner.logger.info(f'epoch {runner.epoch + 1} pseudo labels: {labels.summary()}')
        values = label_statistics(labels)
        if self._pids is not None:
            diagnostics = label_diagnostics(
                labels, self._pids[indices[Modality.RGB]], self._pids[indices[Modality.IR]]
            )
            runner.logger.info(
                'against the ground truth (diagnostics only): '
                + ', '.join(f'{name} {value:.3f}' for name, value in diagnostics.items())
            )
            values |= diagnostics
        runner.visualizer.add_scalars(
            {f'labels/{name}': value for name, value in values.items()}, step=runner.epoch + 1
        )


def _check_same_tracklets(extracted: TrackletDataset, trained: TrackletDataset) -> None:
    if extracted.fingerprint() != trained.fingerprint():
        raise ConfigError(
            'ClusterHook: its dataloader lists other tracklets than train_dataloader (index '
            f'{extracted.fingerprint()} against {trained.fingerprint()}); give both the same dataset'
        )


def _rows(features: TrackletFeatures, indices: np.ndarray) -> TrackletFeatures:
    return TrackletFeatures(static=features.static[indices], dynamic=features.dynamic[indices])


def _on_main_process(labeler: Callable, rgb: TrackletFeatures, ir: TrackletFeatures) -> PseudoLabels:
    """Label on the first rank and send the result, or its error, to the others."""
    result: list = [None]
    if is_main_process():
        try:
            result = [labeler(rgb, ir)]
        except DscreidError as error:
            result = [error]
    broadcast_object_list(result)
    if isinstance(result[0], DscreidError):
        raise result[0]
    return result[0]
