"""Draw a visible query and its first infrared answers before and after adaptation in one picture."""

import argparse
from collections.abc import Sequence
from typing import Any

import numpy as np

from dscreid.apis.command_line import (
    add_config_options,
    add_out_picture,
    add_work_dir,
    at_least,
    make_parser,
    run_command,
)
from dscreid.errors import ConfigError, DscreidError
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
    examples = [one for one in examples if one.direction == 'rgb2ir']
    gains = [right_answers(one, 1) - right_answers(one, 0) for one in examples]
    chosen = choose_improved(examples, gains, args.seed)
    pictures = visualization.TrackletPictures(dataset, args.frames)
    visualization.save_figure(visualization.draw_retrieval(chosen, pictures, note=args.note), args.out)
    better, worse = (sum(sign * gain > 0 for gain in gains) for sign in (1, -1))
    print(
        f'query: tracklet {chosen.index} of person {chosen.pid}, chosen among those answered better\n'
        f'of {len(examples)} queries, one per person, {better} have more right answers after and {worse} fewer\n'
        f'wrote {args.out}'
    )


def right_answers(example: Any, run: int) -> int:
    """Count the right answers that a run, by its number, gives to a query."""
    return sum(hit.correct for hit in example.lists[run][1])


def choose_improved(examples: Sequence[Any], gains: Sequence[int], seed: int) -> Any:
    """Draw one of the queries with more right answers, the first of them right, in the second run than in the first."""
    pairs = zip(examples, gains, strict=True)
    candidates = [example for example, gain in pairs if gain > 0 and example.lists[1][1][0].correct]
    if not candidates:
        raise DscreidError(
            f'the second run answers none of the {len(examples)} queries better, with a right answer at rank 1; name '
            'the run before adaptation first, or show more ranks.'
        )
    return candidates[np.random.default_rng(seed).integers(len(candidates))]


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
