"""Run the whole experiment of a config: its source stage, if it names one, then training and evaluation."""

import argparse
from pathlib import Path

from dscreid import apis
from dscreid.apis.command_line import add_config_arguments, make_parser, print_result, run_command


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = make_parser(__doc__, 'example: dscreid train dsc/dsc_bupt2hitsz --amp')
    parser.add_argument('config', type=Path, help='config: a file, or a shipped one such as dsc/dsc_bupt2hitsz')
    parser.add_argument(
        '--work-dir',
        type=Path,
        help="folder for logs, checkpoints and metrics.json (default: work_dirs/<config's name>); the folder of the "
        'source stage is next to it',
    )
    parser.add_argument(
        '--source-checkpoint',
        type=Path,
        help='source weights to adapt: a checkpoint of this project, or the output of dscreid convert-weights '
        '(default: the one in the config, otherwise that of the finished source stage, which is trained if necessary)',
    )
    used = parser.add_mutually_exclusive_group()
    used.add_argument(
        '--resume',
        action='store_true',
        help='continue from the last checkpoint in the work directory, with the same settings; a larger '
        'train_cfg.max_epochs extends the run (without --resume or --overwrite, a folder with results is refused)',
    )
    used.add_argument('--overwrite', action='store_true', help='replace the results of the run in the work directory')
    parser.add_argument(
        '--partial-source',
        action='store_true',
        help='load the source weights that fit if they are from another architecture; the log lists the others '
        '(default: stop with an error)',
    )
    parser.add_argument(
        '--dry-run',
        action='store_true',
        help='build everything, try one training step and one labeling on a few tracklets, print the plan, and stop',
    )
    parser.add_argument('--amp', action='store_true', help='bfloat16 mixed precision (GPU only; float32 elsewhere)')
    parser.add_argument('--seed', type=int, help="seed to use instead of the config's (the paper uses 1)")
    add_config_arguments(parser)
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Train and print the checkpoint and its metrics."""
    arguments = parse_arguments(argv)
    options = apis.train.RunOptions(
        work_dir=arguments.work_dir,
        resume=arguments.resume,
        overwrite=arguments.overwrite,
        amp=arguments.amp,
        seed=arguments.seed,
        launcher=arguments.launcher,
        source_checkpoint=arguments.source_checkpoint,
        partial_source=arguments.partial_source,
        config_options=arguments.cfg_options,
    )
    if arguments.dry_run:
        print_result(apis.dry_run.plan_experiment(arguments.config, options), options.launcher)
        return
    print_result(str(apis.train.run_experiment(arguments.config, options)), options.launcher)


if __name__ == '__main__':
    run_command(main, on_interrupt='run it again with --resume to continue from the last checkpoint')
