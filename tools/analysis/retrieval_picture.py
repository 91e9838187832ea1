"""Draw a visible query and its first infrared answers before and after adaptation in one picture."""

import argparse
from collections.abc import Sequence
from typing import Any

from dscreid.apis.command_line import (
    add_config_options,
    add_out_picture,
    add_work_dir,
    at_least,
    make_parser,
    run_command,
)
from dscreid.errors import ConfigError
from dscreid.utils.files import check_outputs

EXAMPLES = """examples:
  dscreid retrieval-picture CD=work_dirs/demo/cd DSC=work_dirs/demo/dsc --out retrieval.png
  dscreid retrieval-picture Before=work_dirs/cd After=work_dirs/dsc --out retrieval.svg --note "HITSZ-VCM, test split"

The query is chosen from those that the second run answers better, so the picture shows what changes, not how often.
The command prints for how many queries the answers get better and worse. Configs are Python code: only name work
directories that you trust."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw the picture."""
    parser = make_parser(__doc__, EXAMPLES)
    add_work_dir(parser, 'before', 'the run before adaptation')
    add_work_dir(parser, 'after', 'the run after adaptation')
    add_out_picture(parser)
    parser.add_argument('--config', help="config of the test set (default: the work directory's)")
    add_config_options(parser, of='--config')
    parser.add_argument('--ranks', type=at_least(1), default=5, help='answers shown (default: 5)')
    parser.add_argument('--frames', type=at_least(1), default=1, help='frames shown per tracklet (default: 1)')
    parser.add_argument('--seed', type=at_least(0), default=0, help='seed of the chosen query (default: 0)')
    args = parser.parse_args(arguments)
    from dscreid import visualization  # imports torch, which --help does not need
    from dscreid.apis.report import examples_of

    visualization.check_picture_name(args.out)
    check_outputs([args.out])
    work_dirs = visualization.find_work_dirs([args.before, args.after])
    runs = [visualization.ReportRun(one.name, {}, one.load_features()) for one in work_dirs]
    everyone = max(len(run.features) for run in runs if run.features is not None)
    examples, dataset = examples_of(config_of(args, work_dirs), runs, count=everyone, topk=args.ranks, seed=args.seed)
    chosen = visualization.instructive_query([one for one in examples if one.direction == 'rgb2ir'], args.seed)
    pictures = visualization.TrackletPictures(dataset, args.frames)
    visualization.save_figure(visualization.draw_retrieval(chosen.example, pictures, note=args.note), args.out)
    print(
        f'query: tracklet {chosen.example.index} of person {chosen.example.pid}, chosen among those answered better\n'
        f'of {chosen.total} queries, one per person, {chosen.better} have more right answers after and '
        f'{chosen.worse} fewer\nwrote {args.out}'
    )


def config_of(args: argparse.Namespace, work_dirs: Sequence[Any]) -> Any:
    """Load the named config, or the one of a run, which was checked when it started."""
    if args.config is not None:
        from dscreid.apis import load_config

        return load_config(args.config, args.cfg_options)
    if args.cfg_options:
        raise ConfigError('--cfg-options changes the config named by --config; name one.')
    config = next(filter(None, (work_dir.load_config() for work_dir in work_dirs)), None)
    if config is None:
        raise ConfigError(f'{work_dirs[0].folder} has no config of its test set; name one with --config.')
    return config


if __name__ == '__main__':
    run_command(main)
