"""Evaluate a checkpoint by an official protocol."""

import json
import os
from pathlib import Path

from mmengine import Config
from mmengine.runner import Runner

from dscreid.apis.config import fit_to_machine
from dscreid.apis.inference import init_model


def evaluate(
    config: Config,
    checkpoint: str | Path,
    work_dir: str | Path,
    *,
    protocol: str | None = None,
    flip: bool = False,
    out: str | Path | None = None,
    dump_features: str | Path | None = None,
    launcher: str = 'none',
) -> dict[str, float]:
    """Run a config's test set through a checkpoint.

    Args:
        config: A config with ``model``, ``test_dataloader`` and ``test_evaluator``; left as it is.
        checkpoint: See ``init_model``.
        work_dir: Where the log goes.
        protocol: Protocol in place of the config's.
        flip: Whether to average features with those of the mirrored tracklets.
        out: JSON file for the metrics.
        dump_features: ``.safetensors`` file for the features of all test tracklets.
        launcher: As MMEngine's Runner.

    Returns:
        Metrics in [0, 1] by name, for example ``rgb2ir/mAP``.

    Raises:
        DscreidError: Data, config or checkpoint cannot be used; the message names the remedy.
    """
    config = config.copy()
    fit_to_machine(config)
    if protocol is not None:
        config.test_evaluator.protocol = protocol
    if dump_features is not None:
        config.test_evaluator.dump = str(dump_features)
    if flip:
        config.model.flip_test = True
    model = init_model(config, checkpoint)
    runner = Runner(
        model=model,
        work_dir=str(work_dir),
        test_dataloader=config.test_dataloader,
        test_evaluator=config.test_evaluator,
        test_cfg=config.get('test_cfg', dict(type='TestLoop')),
        default_hooks=_evaluation_hooks(config),
        launcher=launcher,
        env_cfg=config.get('env_cfg', {}),
        log_processor=config.get('log_processor'),
        log_level=config.get('log_level', 'INFO'),
        randomness=config.get('randomness', {}),
        default_scope='dscreid',
        experiment_name=f'test_{Path(work_dir).name}_{os.getpid()}_{_next_number()}',
    )
    metrics = {name: float(value) for name, value in runner.test().items()}
    if out is not None:
        write_json(out, metrics)
    return metrics


def write_json(path: str | Path, content: dict) -> None:
    """Write a JSON file as a whole: a reader sees the old content or the new one."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + '.partial')
    temporary.write_text(json.dumps(content, indent=2) + '\n')
    os.replace(temporary, path)


def _evaluation_hooks(config: Config) -> dict:
    """The config's default hooks that have something to do without training."""
    names = ('runtime_info', 'timer', 'logger', 'evaluation_progress')
    hooks = {name: hook for name, hook in config.get('default_hooks', {}).items() if name in names}
    return hooks | {'checkpoint': None, 'param_scheduler': None}


_runs = 0


def _next_number() -> int:
    """Numbers for the runs of one process: MMEngine keeps loggers by the experiment's name."""
    global _runs
    _runs += 1
    return _runs
