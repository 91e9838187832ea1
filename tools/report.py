"""Write report.html: results, training curves, retrieval lists and distances of finished runs in one file."""

import argparse
import sys
from collections.abc import Sequence

from mmengine.config import Config

from dscreid.apis.command_line import add_config_options
from dscreid.errors import ConfigError, DscreidError
from dscreid.visualization import (
    ReportRun,
    RetrievalGallery,
    Scalars,
    TrackletPictures,
    build_test_dataset,
    check_features_belong,
    collect_environment,
    distance_density,
    format_results_table,
    load_run,
    protocol_of,
    read_scalars,
    retrieval_examples,
    write_report,
)

EXAMPLE = """example:
  python tools/report.py --run "CD=cd.json,cd.safetensors" --run "DSC=dsc.json,dsc.safetensors" \\
      --scalars "Adaptation=work_dirs/dsc_bupt2hitsz/RUN/vis_data/scalars.json" \\
      --config configs/dsc/dsc_bupt2hitsz.py --note "HITSZ-VCM, test split" --out report.html"""

TITLE = 'Cross-modal retrieval before and after adaptation'


def parse_args(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--run',
        action='append',
        required=True,
        metavar='NAME=METRICS.json[,FEATURES.safetensors]',
        help='a row of the table, from tools/test.py --out and --dump-features; repeat it, the run to '
        'compare with first',
    )
    parser.add_argument(
        '--bound', action='append', default=[], metavar='NAME', help='this run used true target labels'
    )
    parser.add_argument(
        '--scalars',
        action='append',
        default=[],
        metavar='[NAME=]FILE',
        help="a training's vis_data/scalars.json; repeat it for several stages, or "
        'with one NAME for a resumed run',
    )
    parser.add_argument(
        '--identities', type=int, help='true number of training identities, drawn beside the clusters'
    )
    parser.add_argument(
        '--config', help='config of the test dataset, for the pictures of the retrieval lists'
    )
    add_config_options(parser)
    parser.add_argument('--protocol', help="evaluation protocol of the lists (default: the config's)")
    parser.add_argument('--queries', type=int, default=4, help='queries shown per direction (default: 4)')
    parser.add_argument('--ranks', type=int, default=6, help='ranks shown per query (default: 6)')
    parser.add_argument('--frames', type=int, default=1, help='frames shown per tracklet (default: 1)')
    parser.add_argument('--seed', type=int, default=0, help='seed of the choice of queries (default: 0)')
    parser.add_argument(
        '--paper',
        choices=('bupt_campus', 'hitsz_vcm'),
        help="print the paper's figures on this real dataset in the table",
    )
    parser.add_argument('--title', default=TITLE, help='heading of the page')
    parser.add_argument(
        '--note',
        action='append',
        default=[],
        help='a paragraph: the first one says which data and which command',
    )
    parser.add_argument('--out', default='report.html', help='file to write (default: report.html)')
    args = parser.parse_args(arguments)
    for name in ('queries', 'ranks', 'frames'):
        if getattr(args, name) < 1:
            parser.error(f'--{name} must be at least 1, got {getattr(args, name)}')
    if args.seed < 0:
        parser.error(f'--seed must not be negative, got {args.seed}')
    return args


def parse_runs(entries: Sequence[str], bounds: Sequence[str]) -> list[ReportRun]:
    """Load every ``NAME=METRICS.json[,FEATURES.safetensors]``."""
    runs = []
    for entry in entries:
        name, separator, files = entry.partition('=')
        if not (name and separator and files):
            raise ConfigError(
                f'--run {entry!r} is not NAME=METRICS.json[,FEATURES.safetensors]; add the name.'
            )
        metrics, _, features = files.partition(',')
        runs.append(load_run(name, metrics, features or None, upper_bound=name in bounds))
    unknown = sorted(set(bounds) - {run.name for run in runs})
    if unknown:
        raise ConfigError(f'--bound {unknown[0]!r} names none of the runs; use the NAME given with --run.')
    return runs


def parse_scalars(entries: Sequence[str], identities: int | None) -> dict[str, Scalars]:
    """Load every ``[NAME=]FILE``; files of one name are read one after the other."""
    stages: dict[str, list[str]] = {}
    for entry in entries:
        name, separator, path = entry.partition('=')
        stages.setdefault(name if separator else 'Training', []).append(path if separator else entry)
    return {name: read_scalars(*paths, identities=identities) for name, paths in stages.items()}


def load_config(path: str, options: dict | None) -> Config:
    """Read a config file and apply the overrides."""
    try:
        config = Config.fromfile(path)
        config.merge_from_dict(options or {})
    except (OSError, SyntaxError, KeyError, TypeError, ValueError) as error:
        raise ConfigError(
            f'{path} cannot be used as a config ({error}); name a file below configs/.'
        ) from error
    return config


def build_gallery(args: argparse.Namespace, runs: Sequence[ReportRun]) -> RetrievalGallery | None:
    """Retrieval lists with their pictures; None without a config or without features."""
    competitors = [run for run in runs if run.features is not None and not run.upper_bound]
    if args.config is None or not competitors:
        return None
    config = load_config(args.config, args.cfg_options)
    protocol = args.protocol or protocol_of(config)
    if protocol is None:
        raise ConfigError(f'{args.config} names no protocol in test_evaluator; give one with --protocol.')
    dataset = build_test_dataset(config)
    for run in competitors:
        check_features_belong(dataset, run)
    examples = retrieval_examples(competitors, protocol, count=args.queries, topk=args.ranks, seed=args.seed)
    return RetrievalGallery(examples, TrackletPictures(dataset, args.frames))


def main(arguments: Sequence[str] | None = None) -> int:
    """Build the report; 0 on success, 2 with one sentence when something a user can mend is wrong."""
    args = parse_args(arguments)
    try:
        runs = parse_runs(args.run, args.bound)
        densities = [distance_density(run.name, run.features) for run in runs if run.features is not None]
        write_report(
            args.out,
            title=args.title,
            runs=runs,
            curves=parse_scalars(args.scalars, args.identities),
            retrieval=build_gallery(args, runs),
            densities=[density for density in densities if density is not None],
            environment=collect_environment(),
            notes=args.note,
            target=args.paper,
        )
    except DscreidError as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    print(format_results_table(runs, target=args.paper))
    print(f'\nwrote {args.out}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
