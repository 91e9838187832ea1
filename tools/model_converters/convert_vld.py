"""Convert a released VLD checkpoint; the same as dscreid convert-weights --layout vld."""

import argparse

from dscreid.apis.command_line import make_parser, run_command
from dscreid.apis.weights_conversion import add_conversion_arguments, convert_file


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = make_parser(
        __doc__,
        'Visual tower and spatio-temporal prompting are kept; classifiers, text encoder and text prompts are dropped.\n'
        'Pickled code is never run. The file does not contain the start layer of the prompts: set the one of the\n'
        'training (9 in the released settings) in the config.\n'
        'example: dscreid convert-vld vld_bupt.pth source.pth',
    )
    add_conversion_arguments(parser)
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    """Run the tool."""
    print(convert_file(parse_args(arguments), 'vld'))


if __name__ == '__main__':
    run_command(main)
