"""Build the runner of a stage and check that all its parts fit together."""

import copy
from pathlib import Path

from mmengine import Config
from mmengine.runner import Runner

from dscreid.apis.config import config_name, learned_settings
from dscreid.apis.test import check_evaluation, disable_incomplete_loops, unique_name
from dscreid.engine.run_identity import check_same_data, check_same_run, settings_text, weights_fingerprint
from dscreid.engine.runner import ReIDRunner
from dscreid.engine.schedule import check_schedules
from dscreid.engine.source_weights import check_resumable, unwrap_model
from dscreid.errors import CheckpointError, ConfigError
from dscreid.models.backbones import skip_pretrained
from dscreid.models.reid import is_supervised
from dscreid.registry import DATASETS
from dscreid.utils.build_errors import config_errors
from dscreid.utils.checkpoint import load_checkpoint


def build_runner(
    config: Config, resumed: Path | None, source_checkpoint: Path | None, partial_source: bool = False
) -> Runner:
    """Build a runner with all its parts, so that bad input is reported before the first epoch.

    ``config`` has a ``work_dir`` and is not modified. The run continues from ``resumed``, or starts from
    ``source_checkpoint``.

    Raises:
        DscreidError: If ``resumed`` is from another run, or the config, data or weights cannot be used.
    """
    settings = learned_settings(config)
    if resumed is not None:
        check_same_run(resumed, load_checkpoint(resumed), settings, source_checkpoint)
    config = copy.deepcopy(config)
    config.experiment_name = unique_name(config.work_dir)
    if is_supervised(config.model):
        _count_classes(config)
    disable_incomplete_loops(config)
    config.resume, config.load_from = resumed is not None, resumed and str(resumed)
    if source_checkpoint is not None:
        config.default_hooks.source_weights = dict(
            type='SourceWeightsHook', checkpoint=str(source_checkpoint), partial=partial_source
        )
    with config_errors(config_name(config)):
        runner = ReIDRunner.from_cfg(config)
        # before the schedules: MMEngine lets them end with a loop only if it is built
        training_data = runner.train_loop.dataloader.dataset
        runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
        if runner.param_schedulers is not None:
            runner.param_schedulers = runner.build_param_scheduler(runner.param_schedulers)
        loops = {'val_evaluator': runner.val_loop, 'test_evaluator': runner.test_loop}
    for evaluator, loop in loops.items():
        if loop is not None:
            check_evaluation(loop.dataloader.dataset, config[evaluator])
    runner.settings = settings_text(settings)
    if resumed is not None:
        content = check_resumable(unwrap_model(runner.model), resumed)
        if missing := [name for name in ('meta', 'message_hub', 'optimizer') if name not in content]:
            raise CheckpointError(
                f'{resumed}: cannot be resumed because it has no {", ".join(missing)}; start a new run from its '
                'weights with --source-checkpoint'
            )
        check_same_data(resumed, content, training_data)
        check_schedules(resumed, content, runner.param_schedulers)
    elif source_checkpoint is not None:
        runner.source = weights_fingerprint(source_checkpoint)
    if resumed is not None or source_checkpoint is not None:
        skip_pretrained(runner.model)
    return runner


def _count_classes(config: Config) -> None:
    """Let a classifier have one output per identity of the training split, unless ``num_classes`` asks for more."""
    with config_errors(f'{config_name(config)}: train_dataloader'):
        found = DATASETS.build({**config.train_dataloader.dataset, 'pipeline': []}).num_classes
    wanted = config.model.get('num_classes') or found
    if found is None or found > wanted:
        raise ConfigError(
            f'model.num_classes={wanted}, but the training split has {found} identities; set it to None, and use a '
            'labeled split'
        )
    config.model.num_classes = wanted
