"""A stage's runner, all parts of it built and compared with each other."""

import copy
from pathlib import Path

from mmengine import Config
from mmengine.runner import Runner

from dscreid.apis.config import config_name
from dscreid.apis.test import unique_name
from dscreid.engine.runner import ReIDRunner
from dscreid.engine.source_weights import check_resumable, unwrap_model
from dscreid.engine.training_data import check_batch_size, check_num_classes, share_batches
from dscreid.models.backbones import skip_pretrained
from dscreid.registry import DATASETS
from dscreid.utils.build_errors import config_errors
from dscreid.utils.safe_globals import allow_mmengine_globals


def build_runner(
    config: Config, resumed: Path | None, source_checkpoint: Path | None, partial_source: bool = False
) -> Runner:
    """A runner whose parts are all built and fit together, so that bad input ends before the first epoch.

    Args:
        config: A stage's config with its ``work_dir``; left as it is.
        resumed: Checkpoint to continue from.
        source_checkpoint: Weights to start from.
        partial_source: See ``RunOptions``.

    Raises:
        DscreidError: Config, data or weights cannot be used.
    """
    config = copy.deepcopy(config)
    config.experiment_name = unique_name(config.work_dir)
    if config.model.type == 'SourceReID' and config.model.get('num_classes') is None:
        config.model.num_classes = DATASETS.build(config.train_dataloader.dataset).num_classes
    share_batches(config)
    config.resume, config.load_from = resumed is not None, resumed and str(resumed)
    if source_checkpoint is not None:
        config.default_hooks.source_weights = dict(
            type='SourceWeightsHook', checkpoint=str(source_checkpoint), partial=partial_source
        )
    allow_mmengine_globals()
    with config_errors(config_name(config)):
        runner = ReIDRunner.from_cfg(config)
        loader = runner.train_loop.dataloader
        runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
        if runner.param_schedulers is not None:
            runner.param_schedulers = runner.build_param_scheduler(runner.param_schedulers)
        _ = runner.val_loop or runner.test_loop
    check_batch_size(loader)
    if config.model.type == 'SourceReID':
        check_num_classes(loader, config.model.num_classes)
    if resumed is not None:
        check_resumable(unwrap_model(runner.model), resumed, runner.seed)
    if resumed is not None or source_checkpoint is not None:
        skip_pretrained(runner.model)
    return runner
