"""Hook that gives a source model the necks' statistics of the target before it is tested."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner

from dscreid.engine.extraction import BATCH_SIZE, recalibrated_features
from dscreid.engine.source_weights import unwrap_model
from dscreid.registry import HOOKS


@HOOKS.register_module()
class NeckStatisticsHook(Hook):
    """Before a test, set the statistics of the necks to those of unlabeled tracklets (AdaBN; Li et al., 2017).

    ``ClusterHook`` does the same before its first epoch. A source model with this hook shows what that alone gains,
    without any training. The checkpoint does not change.

    Args:
        dataset: Config of the dataset of the tracklets, such as the target's training split. Labels are not read.
        pipeline: Transforms that load a tracklet, without augmentation.
        batch_size: Tracklets per batch and process.
        num_workers: Worker processes of the loader.
    """

    common_settings = MappingProxyType({'pipeline': 'eval_pipeline'})

    def __init__(
        self,
        dataset: Mapping[str, Any],
        pipeline: Sequence[Mapping],
        batch_size: int = BATCH_SIZE,
        num_workers: int = 0,
    ) -> None:
        self.loader = dict(
            batch_size=batch_size,
            num_workers=num_workers,
            sampler=dict(type='SequentialSampler'),
            dataset={**dataset, 'pipeline': list(pipeline)},
        )

    def before_test(self, runner: Runner) -> None:
        """Extract the tracklets and set the statistics; raise a DatasetError for fewer than two tracklets."""
        recalibrated_features(unwrap_model(runner.model), runner.build_dataloader(self.loader))
