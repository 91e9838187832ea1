"""Describe labeled targets before adaptation: what clustering and neighbors of a source model find in them.

Extracts the features of each target's training split with a source model, as in the first labeling of an adaptation,
and prints a Markdown table: adjusted Rand index of the clusters of each modality, share of tracklets whose nearest
neighbor shows the same person, within a modality and across, mAP, and the correlation of the static and the dynamic
half's errors.
"""

from pathlib import Path

from dscreid import lab
from dscreid.apis.command_line import make_parser, run_command, write_and_print
from dscreid.errors import ConfigError
from dscreid.utils.files import check_outputs

EXAMPLE = """example:
  dscreid target-study worlds/rule worlds/few --checkpoint work_dirs/stp_demo/epoch_4.pth --out targets.md"""


def main(argv: list[str] | None = None) -> None:
    """Print the table."""
    parser = make_parser(__doc__, EXAMPLE)
    parser.add_argument('targets', nargs='+', metavar='TARGET', help='root folders of targets, each as [NAME=]FOLDER')
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
    places = {}
    for entry in arguments.targets:
        name, named, folder = entry.rpartition('=')
        name = name if named else Path(folder).resolve().name
        if name in places:
            raise ConfigError(f'two targets are named {name}; rename one with NAME=FOLDER')
        places[name] = Path(folder)
    statistics = {
        name: lab.target_study.target_statistics(
            lab.density_study.read_target(place, arguments.config, arguments.checkpoint)
        )
        for name, place in places.items()
    }
    write_and_print(lab.target_study.statistics_markdown(statistics), arguments.out)


if __name__ == '__main__':
    run_command(main)
