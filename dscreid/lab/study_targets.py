"""Labeled targets that a study compares, from the command line of its tool."""

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from dscreid import lab
from dscreid.errors import ConfigError
from dscreid.utils.files import check_outputs

if TYPE_CHECKING:  # importing torch would delay --help
    from dscreid.lab.density_study import LabeledFeatures
    from dscreid.structures import Modality

Targets: TypeAlias = 'dict[str, dict[Modality, LabeledFeatures]]'


def read_targets(parser: ArgumentParser, argv: Sequence[str] | None) -> tuple[Targets, Namespace]:
    """Parse the command line of a study, and extract the features of its targets with a source model.

    ``parser`` is that of the study's own options; those that all studies have are added.

    Returns:
        Features of each target by its name, and all options.

    Raises:
        ConfigError: If two targets have the same name.
    """
    parser.add_argument(
        'targets',
        nargs='+',
        metavar='[NAME=]FOLDER',
        help='root folders of targets; NAME is its name in the output (default: the name of the folder)',
    )
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
    places: dict[str, Path] = {}
    for entry in arguments.targets:
        name, named, folder = entry.rpartition('=')
        name = name if named else Path(folder).resolve().name
        if name in places:
            raise ConfigError(f'two targets are named {name}; rename one with NAME=FOLDER')
        places[name] = Path(folder)
    targets = {
        name: lab.density_study.read_target(place, arguments.config, arguments.checkpoint)
        for name, place in places.items()
    }
    return targets, arguments
