"""Rebuild the paper's tables and figures: run what is missing, and show what is there."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from dscreid.apis.command_line import at_least, make_parser, run_command
from dscreid.lab import reproduction
from dscreid.lab.reproduction import PRESETS, find_experiment, find_preset
from dscreid.lab.reproduction.experiments import ALL
from dscreid.lab.reproduction.presets import Place
from dscreid.lab.synthetic import DIRECTIONS

EXAMPLES = """examples:
  dscreid reproduce list
  dscreid reproduce run table3 --data synthetic-demo --seeds 1 2 3 --direction both
  dscreid reproduce run all --data synthetic-rule --seeds 3 4 5 --direction bupt2hitsz
  dscreid reproduce run table1 --data real --amp --slurm gpu gres=gpu:1 time=24:00:00
  dscreid reproduce show table3 --data synthetic-demo --direction both

Each run has a folder in OUT/DATA/DIRECTION/seedK with its run_card.json. Tables are written to OUT/DATA/tables.
The same command continues a run that was killed. Results of another code revision, config or data are refused:
--rerun-stale repeats them, --accept-revision accepts those that differ only in the code."""


def parse_arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = make_parser(__doc__, EXAMPLES)
    commands = parser.add_subparsers(required=True, metavar='COMMAND')
    _add_list(commands)
    _add_run(commands)
    _add_show(commands)
    _add_collect(commands)
    return parser.parse_args(argv)


def list_command(arguments: argparse.Namespace) -> None:
    """Print the tables and figures with their rows."""
    print(reproduction.list_experiments(Place(Path(), find_preset(arguments.data))))


def run(arguments: argparse.Namespace) -> None:
    """Run the missing parts of a table or figure. Exit with code 1 if a run fails."""
    options = reproduction.ReproductionOptions(
        experiment=arguments.experiment,
        place=_place(arguments),
        seeds=tuple(dict.fromkeys(arguments.seeds)),
        directions=_directions(arguments),
        rows=arguments.rows or (),
        jobs=arguments.jobs,
        slurm=reproduction.driver.parse_slurm_options(arguments.slurm) if arguments.slurm else None,
        accept_revision=arguments.accept_revision,
        rerun_stale=arguments.rerun_stale,
    )
    statuses = reproduction.reproduce(options)
    if failed := [f'{name}: {status}' for name, status in statuses.items() if status.lost]:
        print('\n'.join(failed), file=sys.stderr)
        sys.exit(1)


def show_command(arguments: argparse.Namespace) -> None:
    """Print and write a table or figure."""
    recorded = reproduction.read_results(arguments.results) if arguments.results else {}
    text, files = reproduction.show_experiment(
        arguments.experiment,
        replace(_place(arguments), recorded=recorded),
        directions=_directions(arguments),
        seeds=tuple(dict.fromkeys(arguments.seeds)) if arguments.seeds else None,
        rows=arguments.rows or (),
    )
    print(text)
    print('\nwrote ' + ', '.join(str(path) for path in files))


def collect_command(arguments: argparse.Namespace) -> None:
    """Write the results of all finished runs to a file, and the page of them."""
    file, place = arguments.results or reproduction.results.FOLDER / f'{arguments.data}.json', _place(arguments)
    count = reproduction.collect_results(place, file)
    page = reproduction.write_result_page(replace(place, recorded=reproduction.read_results(file)), file)
    print(f'wrote {file} ({count} runs) and {page}')


def _add_list(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser('list', help='list the tables and figures with their rows')
    _add_data(parser)
    parser.set_defaults(run=list_command)


def _add_run(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        'run',
        help='run the missing parts of a table or figure',
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_selection(parser, f'; {ALL} for all of these')
    parser.add_argument('--seeds', type=at_least(0), nargs='+', default=[1], metavar='K', help='default: 1')
    parser.add_argument(
        '--jobs',
        type=at_least(1),
        metavar='N',
        help='parallel runs (default: 1; for all, one per GPU or, without a GPU, per core)',
    )
    parser.add_argument(
        '--slurm',
        nargs='+',
        metavar=('PARTITION', 'KEY=VALUE'),
        help='submit each run to this Slurm partition, with these options of sbatch, instead of running it here',
    )
    parser.add_argument('--amp', action='store_true', help='bfloat16 mixed precision (on a GPU)')
    parser.add_argument(
        '--accept-revision',
        action='store_true',
        help='accept and continue runs of another code revision; tables that mix revisions say so',
    )
    parser.add_argument(
        '--rerun-stale', action='store_true', help='remove and repeat runs of another revision, config or data'
    )
    parser.set_defaults(run=run)


def _add_show(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser('show', help='print and write a table or figure of finished runs')
    _add_selection(parser)
    parser.add_argument('--seeds', type=at_least(0), nargs='+', metavar='K', help='default: all that exist')
    parser.add_argument('--results', type=Path, metavar='FILE', help='also use the runs of a file of collect')
    parser.set_defaults(run=show_command, amp=False)


def _add_collect(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        'collect', help='write the results of all finished runs to a file and a page, to keep or share'
    )
    _add_data(parser)
    _add_out(parser)
    parser.add_argument(
        '--results', type=Path, metavar='FILE', help='file to write, or to add to (default: docs/results/DATA.json)'
    )
    parser.set_defaults(run=collect_command, amp=False)


def _add_data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--data', default='synthetic-demo', metavar='DATA', help=f'{", ".join(PRESETS)} (default: synthetic-demo)'
    )


def _add_selection(parser: argparse.ArgumentParser, more: str = '') -> None:
    parser.add_argument('experiment', metavar='TABLE', help=f'table1 to table6, figure3 to figure5{more}; see list')
    _add_data(parser)
    parser.add_argument(
        '--direction', choices=(*DIRECTIONS, 'both'), help="adaptation direction (default: the paper's)"
    )
    parser.add_argument('--rows', nargs='+', metavar='ROW', help='names or methods of some rows (default: all)')
    _add_out(parser)


def _add_out(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--out', type=Path, default=Path('work_dirs/reproduce'), help='default: work_dirs/reproduce')


def _place(arguments: argparse.Namespace) -> Place:
    return Place(arguments.out.resolve(), find_preset(arguments.data), amp=arguments.amp)


def _directions(arguments: argparse.Namespace) -> tuple[str, ...]:
    if arguments.direction is None:
        if arguments.experiment.lower() == ALL:
            return ()  # those of each table
        return find_experiment(arguments.experiment).directions
    return DIRECTIONS if arguments.direction == 'both' else (arguments.direction,)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the chosen command."""
    arguments = parse_arguments(argv)
    arguments.run(arguments)


if __name__ == '__main__':
    run_command(main, on_interrupt='run the same command again to continue')
