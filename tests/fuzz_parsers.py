"""Try every parser of the project on many nearly right and wrong files, and print what became of them.

Each must give an object or one of the project's errors that names the file, look at nothing outside its folder, and end
within seconds. The default test run tries some hundred cases each; this tool as many as are asked for. It needs the
packages of requirements/tests.txt.
"""

import argparse
import sys
import time
import warnings

from parser_fuzzing.catalogue import PARSERS
from parser_fuzzing.harness import Parser, Tally, fuzz
from rich.console import Console
from rich.table import Table

from dscreid.apis.command_line import run_command
from dscreid.errors import ConfigError
from dscreid.utils.progress import track


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog='exit code: 0, 1 where a parser broke its promise\n'
        'example: python tests/fuzz_parsers.py --examples 10000',
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('--examples', type=int, default=1000, metavar='N', help='cases of each parser (default: 1000)')
    parser.add_argument(
        '--parsers', nargs='+', default=[], metavar='WORD', help='only parsers whose name holds one of these'
    )
    parser.add_argument('--random', action='store_true', help='other cases at every start')
    parser.add_argument('--no-shrink', action='store_true', help='show a failing case as it was found')
    return parser.parse_args(argv)


def chosen_parsers(words: list[str]) -> list[Parser]:
    """Parsers whose name holds one of the words; all without words.

    Raises:
        ConfigError: There is none.
    """
    found = [p for p in PARSERS if not words or any(word.lower() in p.name.lower() for word in words)]
    if not found:
        raise ConfigError(f'no parser is called {" or ".join(words)}; known: {", ".join(p.name for p in PARSERS)}')
    return found


def main(argv: list[str] | None = None) -> int:
    """Print the table; return 1 where a parser failed."""
    arguments = parse_arguments(argv)
    warnings.simplefilter('ignore')  # what readers say of odd files
    rows, failures = [], []
    for parser in track(chosen_parsers(arguments.parsers), 'fuzz'):
        start = time.perf_counter()
        try:
            tally = fuzz(parser, arguments.examples, not arguments.random, not arguments.no_shrink)
        except (Exception, AssertionError) as error:
            failures.append((parser.name, error))
            rows.append((parser.name, '-', '-', '-', '-', '-', 'broken'))
        else:
            rows.append(_row(parser, tally, time.perf_counter() - start))
    _print(rows, failures)
    return int(bool(failures))


def _row(parser: Parser, tally: Tally, seconds: float) -> tuple[str, ...]:
    refused = ', '.join(f'{count:,} {name}' for name, count in sorted(tally.refused.items())) or '-'
    times = (f'{tally.slowest:.2f} s', f'{seconds:.0f} s')
    return (parser.name, f'{tally.total:,}', f'{tally.parsed:,}', refused, *times, 'kept')


def _print(rows: list[tuple[str, ...]], failures: list[tuple[str, BaseException]]) -> None:
    console = Console(width=140) if not Console().is_terminal else Console()
    table = Table(title='Parsers', title_justify='left')
    for number, name in enumerate(('parser', 'cases', 'parsed', 'refused', 'slowest', 'in all', 'promise')):
        table.add_column(name, justify='right' if number in (1, 2, 4, 5) else 'left')
    for row in rows:
        table.add_row(*row)
    console.print(table)
    for name, error in failures:
        notes = '\n'.join(getattr(error, '__notes__', []))
        console.print(f'{name}: {type(error).__name__}: {error}\n{notes}', markup=False, highlight=False)


if __name__ == '__main__':
    run_command(lambda: sys.exit(main()))
