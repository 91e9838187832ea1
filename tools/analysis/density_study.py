"""Study how close clustering settings chosen without labels come to the best fixed ones, on targets with labels.

Extracts the features of each target's training split with a source model, as in the first labeling of an adaptation,
and prints a Markdown table: the best settings of a grid (chosen with the labels), the usual settings of the field
(k1=30, k2=6, eps=0.6, min_samples=4) and those derived from the density of the features (k1='auto' ...). To create
worlds of other densities:

  dscreid synthesize --layout hitsz --preset demo --tracklets 6 --out worlds/d6
"""

from pathlib import Path

from dscreid import lab
from dscreid.apis.command_line import make_parser, run_command, write_and_print
from dscreid.errors import ConfigError
from dscreid.utils.files import check_outputs

EXAMPLE = """example:
  dscreid density-study worlds/d3 worlds/d12 --checkpoint work_dirs/stp_demo/epoch_4.pth --out density.md"""


def main(argv: list[str] | None = None) -> None:
    """Print the table."""
    parser = make_parser(__doc__, EXAMPLE)
    parser.add_argument('targets', nargs='+', type=Path, metavar='TARGET', help='root folders of targets')
    parser.add_argument('--checkpoint', type=Path, required=True, help='checkpoint of the source stage')
    parser.add_argument(
        '--config',
        type=Path,
        default=Path('dsc/dsc_demo'),
        help='config of an adaptation to such targets (default: %(default)s)',
    )
    parser.add_argument('--out', type=Path, help='also write the table to this Markdown file')
    arguments = parser.parse_args(argv)
    check_outputs([arguments.out])
    targets = {}
    for place in arguments.targets:
        name = place.resolve().name
        if name in targets:
            raise ConfigError(f'two targets are named {name}; rename one of the folders')
        targets[name] = lab.density_study.read_target(place, arguments.config, arguments.checkpoint)
    write_and_print(lab.density_study.study_markdown(targets), arguments.out)


if __name__ == '__main__':
    run_command(main)
