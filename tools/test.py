"""Evaluate a checkpoint on a config's test set, in both directions, or extract features of a target without ids."""

import argparse
from pathlib import Path

from dscreid import apis
from dscreid.apis.command_line import add_config_arguments, make_parser, print_result, run_command
from dscreid.errors import ConfigError


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = make_parser(__doc__, 'example: dscreid test dsc/dsc_bupt2hitsz work_dirs/dsc_bupt2hitsz/epoch_50.pth')
    parser.add_argument('config', type=Path, help='config file whose model and test set are used')
    parser.add_argument('checkpoint', type=Path, help='checkpoint of either stage, or a converted published one')
    parser.add_argument(
        '--protocol',
        metavar='NAME',
        help="hitsz_vcm, bupt_campus, sysu_mm01_all_single, ..., or your own (default: the config's)",
    )
    parser.add_argument('--flip', action='store_true', help='average features with those of the mirrored tracklets')
    _add_ranking_options(parser)
    _add_output_files(parser)
    parser.add_argument('--work-dir', type=Path, help="folder for the log (default: work_dirs/<config's name>)")
    add_config_arguments(parser)
    arguments = parser.parse_args(argv)
    if arguments.rerank and not all(value.is_integer() for value in arguments.rerank[:2]):
        parser.error('argument --rerank: K1 and K2 must be integers')
    if arguments.query_expansion_alpha is not None and arguments.query_expansion is None:
        parser.error('argument --query-expansion-alpha: needs --query-expansion')
    return arguments


def _add_ranking_options(parser: argparse.ArgumentParser) -> None:
    """Add options that change how the gallery is ranked, and intervals of the results."""
    parser.add_argument(
        '--rerank',
        type=float,
        nargs=3,
        metavar=('K1', 'K2', 'LAMBDA'),
        help='k-reciprocal re-ranking (Zhong et al. 2017); the paper uses 20 6 0.3',
    )
    parser.add_argument(
        '--query-expansion', type=int, metavar='K', help='average each query with its K nearest gallery tracklets'
    )
    parser.add_argument(
        '--query-expansion-alpha',
        type=float,
        metavar='A',
        help='weight them by their cosine similarity to the power of A (default: 0, equal weights)',
    )
    parser.add_argument(
        '--confidence',
        type=float,
        metavar='LEVEL',
        help='bootstrap confidence intervals over identities, for example 0.95',
    )


def _add_output_files(parser: argparse.ArgumentParser) -> None:
    """Add the files that can be written."""
    parser.add_argument(
        '--per-query',
        type=Path,
        metavar='FILE',
        help='write AP, first hit, camera, modality and length of each query to this .csv file, if '
        'anything is measured',
    )
    parser.add_argument(
        '--out', type=Path, help='write the metrics in [0, 1] to this JSON file, or the reason why there are none'
    )
    parser.add_argument(
        '--dump-features',
        type=Path,
        metavar='FILE',
        help='write the features of all test tracklets, or of the training tracklets of a target without a test set, '
        'to this .safetensors file',
    )


def rerank_option(arguments: argparse.Namespace) -> dict | None:
    """Return the arguments of ``Reranking``, or None to use the config's setting."""
    if arguments.rerank is None:
        return None
    k1, k2, lambda_value = arguments.rerank
    return dict(k1=int(k1), k2=int(k2), lambda_value=lambda_value)


def expansion_option(arguments: argparse.Namespace) -> dict | None:
    """Return the arguments of ``QueryExpansion``, or None to use the config's setting."""
    if arguments.query_expansion is None:
        return None
    return dict(topk=arguments.query_expansion, alpha=arguments.query_expansion_alpha or 0.0)


def main(argv: list[str] | None = None) -> None:
    """Evaluate and print the metrics."""
    arguments = parse_arguments(argv)
    config = apis.config.load_config(arguments.config, arguments.cfg_options)
    result = apis.test.evaluate(
        config,
        arguments.checkpoint,
        arguments.work_dir or Path('work_dirs') / arguments.config.stem,
        protocol=arguments.protocol,
        flip=arguments.flip,
        out=arguments.out,
        dump_features=arguments.dump_features,
        rerank=rerank_option(arguments),
        query_expansion=expansion_option(arguments),
        per_query=arguments.per_query,
        confidence=arguments.confidence,
        launcher=arguments.launcher,
    )
    if arguments.dump_features is not None and result.features is None:
        raise ConfigError(
            f'{arguments.config}: there are no tracklets to extract features from; set a test_dataloader, or use a '
            'config with a ClusterHook'
        )
    print_result(str(result), arguments.launcher)


if __name__ == '__main__':
    run_command(main)
