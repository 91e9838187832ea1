"""Evaluate a checkpoint on a config's test set, in both directions."""

import argparse
from pathlib import Path

from dscreid.apis.command_line import add_config_arguments, format_metrics, run_command
from dscreid.apis.config import load_config
from dscreid.apis.test import evaluate
from dscreid.evaluation.protocols import PROTOCOLS


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog='example: python tools/test.py configs/dsc/dsc_bupt2hitsz.py work_dirs/dsc_bupt2hitsz/epoch_50.pth',
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('config', type=Path, help='config file whose model and test set are used')
    parser.add_argument(
        'checkpoint', type=Path, help='checkpoint of either stage, or a converted published one'
    )
    parser.add_argument('--protocol', choices=sorted(PROTOCOLS), help="protocol in place of the config's")
    parser.add_argument(
        '--flip', action='store_true', help='average features with those of the mirrored tracklets'
    )
    parser.add_argument('--out', type=Path, help='write the metrics, in [0, 1], to this JSON file')
    parser.add_argument(
        '--dump-features', type=Path, help='write all test features to this .safetensors file'
    )
    parser.add_argument(
        '--work-dir', type=Path, help="folder for the log (default: work_dirs/<config's name>)"
    )
    add_config_arguments(parser)
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Evaluate and print the metrics."""
    arguments = parse_arguments(argv)
    config = load_config(arguments.config, arguments.cfg_options)
    metrics = evaluate(
        config,
        arguments.checkpoint,
        arguments.work_dir or Path('work_dirs') / arguments.config.stem,
        protocol=arguments.protocol,
        flip=arguments.flip,
        out=arguments.out,
        dump_features=arguments.dump_features,
        launcher=arguments.launcher,
    )
    print(format_metrics(metrics))


if __name__ == '__main__':
    run_command(main)
