"""Run a config's whole experiment: source stage where it names one, training, evaluation."""

import argparse
from pathlib import Path

from dscreid.apis.command_line import add_config_arguments, print_result, run_command
from dscreid.apis.dry_run import plan_experiment
from dscreid.apis.train import RunOptions, run_experiment


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog='example: python tools/train.py configs/dsc/dsc_bupt2hitsz.py --amp',
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('config', type=Path, help='config file, for example configs/dsc/dsc_bupt2hitsz.py')
    parser.add_argument(
        '--work-dir',
        type=Path,
        help="folder for logs, checkpoints and metrics.json (default: work_dirs/<config's name>); the source stage's "
        'lies beside it',
    )
    parser.add_argument(
        '--source-checkpoint',
        type=Path,
        help='source weights to adapt: a checkpoint of this project, or one made by '
        'tools/model_converters/convert_vld.py (default: the one in the config, else the finished source run, else '
        'the source stage is trained first)',
    )
    parser.add_argument(
        '--resume', action='store_true', help='continue from the last checkpoint in the work directory'
    )
    parser.add_argument(
        '--partial-source',
        action='store_true',
        help='take what fits of source weights of another architecture; the log lists the rest (default: refuse them)',
    )
    parser.add_argument(
        '--dry-run',
        action='store_true',
        help='build everything, send two tracklets through it, print what would be done, and stop',
    )
    parser.add_argument(
        '--amp', action='store_true', help='bfloat16 mixed precision (GPU only; float32 elsewhere)'
    )
    parser.add_argument('--seed', type=int, help="seed in place of the config's (the paper's is 1)")
    add_config_arguments(parser)
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Train and print the checkpoint and its metrics."""
    arguments = parse_arguments(argv)
    options = RunOptions(
        work_dir=arguments.work_dir,
        resume=arguments.resume,
        amp=arguments.amp,
        seed=arguments.seed,
        launcher=arguments.launcher,
        source_checkpoint=arguments.source_checkpoint,
        partial_source=arguments.partial_source,
        config_options=arguments.cfg_options,
    )
    if arguments.dry_run:
        print_result(plan_experiment(arguments.config, options), options.launcher)
        return
    print_result(str(run_experiment(arguments.config, options)), options.launcher)


if __name__ == '__main__':
    run_command(main, on_interrupt='run it again with --resume to continue from the last checkpoint')
