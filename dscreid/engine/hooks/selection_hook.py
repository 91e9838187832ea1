"""Compute label-free criteria of each epoch's weights, and keep the best checkpoint by one of them."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from dscreid.distributed import wait_for_all
from dscreid.engine import selection_record
from dscreid.engine.hooks.cluster_hook import ClusterHook, ClusteringRound, find_cluster_hook
from dscreid.engine.schedule import begins_anew
from dscreid.errors import ConfigError, LabelingError
from dscreid.pseudo_labels import (
    ClusterLabeler,
    Criterion,
    JudgedRound,
    Labeler,
    PseudoLabels,
    label_free_criteria,
)
from dscreid.pseudo_labels.criteria import LABEL_FREE_CRITERIA
from dscreid.registry import CRITERIA, HOOKS


@HOOKS.register_module()
class SelectionHook(Hook):
    """Log label-free criteria of each epoch, and keep the best checkpoint by one of them.

    The criteria logged for step 3 describe ``epoch_3.pth``: they use the features and labels of ``ClusterHook`` at the
    start of the next epoch. With a ``criterion``, the final weights are evaluated after training. The best checkpoint
    so far is saved as ``best_<criterion>_epoch_<N>.pth`` (weights only). All values are recorded in ``criteria.json``
    in the work directory, which a resumed run continues.

    If labelers alternate or a later one takes over, criteria based on the labels jump. Use ``begin`` to exclude the
    earlier epochs from the choice.

    Args:
        criterion: Name of a registered criterion, optionally with suffix ``_rgb`` or ``_ir`` for one modality, or its
            config ``dict(type=...)``. If None, this package's criteria are logged and no checkpoint is chosen.
        begin: Minimum number of epochs trained before a checkpoint can be chosen, at least 1.
    """

    # after ClusterHook (BELOW_NORMAL) has labeled the epoch
    priority = 'LOW'

    def __init__(self, criterion: str | Mapping[str, Any] | None = None, begin: int = 1) -> None:
        if begin < 1:
            raise ConfigError(f'SelectionHook: begin must be at least 1, got {begin}')
        #: The criteria that are logged, by name; the name of the value that chooses, and its direction.
        self.criteria: dict[str, Criterion] = {name: CRITERIA.build(dict(type=name)) for name in LABEL_FREE_CRITERIA}
        self.criterion, self.rule = selection_record.criterion_name(criterion), 'greater'
        if criterion is not None:
            name, built = _built(criterion)
            self.criteria[name], self.rule = built, built.rule
        self.begin = begin
        #: Clusters static and dynamic features separately: the first ClusterLabeler within those of ClusterHook.
        self.clustering: ClusterLabeler | None = None
        self.record = selection_record.SelectionRecord()
        self.previous: PseudoLabels | None = None
        self._clusterer: ClusterHook  #: found before training

    def before_train(self, runner: Runner) -> None:
        """Find the ``ClusterHook``, and continue or remove the record in the work directory."""
        if (clusterer := find_cluster_hook(runner)) is None:
            raise ConfigError(
                'SelectionHook: default_hooks has no ClusterHook, whose labels it judges; remove one or add the other'
            )
        self._clusterer, self.previous = clusterer, clusterer.labels
        clusterer.saves_labels = True  # for the first stability of a resumed run
        parts = (part for labeler in clusterer.labelers for part in _chain(labeler))
        self.clustering = next((part for part in parts if isinstance(part, ClusterLabeler)), None)
        if is_main_process():
            self._take_up_record(runner)

    def before_train_epoch(self, runner: Runner) -> None:
        """Evaluate the weights at the start of the epoch, unless their labels were unusable."""
        if self._clusterer.last is not None:
            self._judge(runner, self._clusterer.last)
            wait_for_all()

    def after_train(self, runner: Runner) -> None:
        """Evaluate the final weights, and log which checkpoint was chosen."""
        if self.criterion is None:
            return
        try:
            self._judge(runner, self._clusterer.make_round(runner))
        except LabelingError as error:
            runner.logger.warning(f'the final weights cannot be judged: {error}')
        if is_main_process():
            runner.logger.info(f'chosen by {self.criterion}: {_describe(self.record.kept)}')

    def _judge(self, runner: Runner, labelled: ClusteringRound) -> None:
        if not is_main_process():
            return
        judged = JudgedRound(labelled.rgb, labelled.ir, labelled.labels, self.previous, self.clustering)
        values = label_free_criteria(judged, self.criteria)
        self.previous = labelled.labels
        shown = ', '.join(f'{name} {values[name]:.3f}' for name in self.criteria if name in values)
        runner.logger.info(f'label-free criteria after {runner.epoch} epochs: {shown}')
        scalars = {f'criteria/{name}': value for name, value in values.items()}
        runner.visualizer.add_scalars(scalars, step=runner.epoch)
        before, chosen = self.record.kept, self._chosen(runner, values)
        self.record = replace(self.record.with_epoch(runner.epoch, values), kept=chosen or before)
        self.record.write(runner.work_dir)
        if chosen and before and before.checkpoint != chosen.checkpoint:  # last: the record never names a missing file
            Path(runner.work_dir, Path(before.checkpoint).name).unlink(missing_ok=True)

    def _chosen(self, runner: Runner, values: Mapping[str, float]) -> selection_record.KeptCheckpoint | None:
        epoch = runner.epoch
        if self.criterion is None or epoch < self.begin:
            return None
        value = values.get(self.criterion, math.nan)
        if not selection_record.is_chosen(epoch, value, self.record.kept, self.rule):
            return None
        name, meta = selection_record.checkpoint_name(self.criterion, epoch), dict(epoch=epoch, iter=runner.iter)
        runner.save_checkpoint(runner.work_dir, name, save_optimizer=False, save_param_scheduler=False, meta=meta)
        chosen = selection_record.KeptCheckpoint(self.criterion, self.rule, epoch, value, name)
        runner.logger.info(f'chosen so far: {_describe(chosen)}')
        return chosen

    def _take_up_record(self, runner: Runner) -> None:
        """Continue the record of a resumed run; for a new run, remove the record of an earlier one."""
        if begins_anew(runner):
            Path(runner.work_dir, selection_record.RECORD_FILE).unlink(missing_ok=True)
            return
        self.record = selection_record.read_record(runner.work_dir) or selection_record.SelectionRecord()
        if self.previous is None:
            runner.logger.warning(
                'the checkpoint has no labels of the previous epoch, so the first stability is missing'
            )
        kept = self.record.kept
        if kept is not None and not Path(runner.work_dir, kept.checkpoint).is_file():
            self.record = replace(self.record, kept=None)
            runner.logger.warning(
                f'{kept.checkpoint} is missing: only weights from epoch {runner.epoch} on can be chosen'
            )


def _chain(labeler: Labeler | None) -> Iterator[Labeler]:
    while labeler is not None:
        yield labeler
        labeler = labeler.clustering


def _built(criterion: str | Mapping[str, Any]) -> tuple[str, Criterion]:
    """Build the criterion that a config names, and return it with its registered name."""
    config = dict(criterion) if isinstance(criterion, Mapping) else dict(type=criterion)
    name = str(config['type'])
    if name not in CRITERIA and isinstance(criterion, str):
        name = name.removesuffix('_rgb').removesuffix('_ir')
    if name not in CRITERIA:
        raise ConfigError(
            f"SelectionHook: there is no criterion '{name}'; known are {', '.join(CRITERIA.module_dict)}, also with "
            '_rgb or _ir for one modality'
        )
    built = CRITERIA.build({**config, 'type': name})
    if not isinstance(built, Criterion) or built.rule not in selection_record.RULES:
        raise ConfigError(
            f'SelectionHook: {name} is not a criterion; derive the class from dscreid.pseudo_labels.Criterion, with '
            f"rule = '{selection_record.RULES[0]}' or '{selection_record.RULES[1]}'"
        )
    return name, built


def _describe(kept: selection_record.KeptCheckpoint | None) -> str:
    if kept is None:
        return 'no checkpoint, because its value was undefined in all epochs; the last one counts'
    return f'{kept.checkpoint}, {kept.criterion} {kept.value:.4f} after {kept.epoch} epochs'
