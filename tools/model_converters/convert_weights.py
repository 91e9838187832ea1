"""Convert published weights of AGW, ADCA, PGM, GUR, CLIP-ReID, SDCL or VLD into a checkpoint of this project."""

import argparse

from dscreid.apis.command_line import make_parser, run_command
from dscreid.apis.weights_conversion import add_conversion_arguments, convert_file


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = make_parser(
        __doc__,
        'Use the output as --source-checkpoint of dscreid train or as the checkpoint of dscreid test, with a config\n'
        'that has the encoder that this command prints. The layout is recognized by the names of the weights:\n\n'
        '  agw        two-stream ResNet-50 (or 18, 34) of AGW, CAJ, ADCA, PGM, GUR, N-ULC, RPNR, with or without\n'
        '             non-local blocks\n'
        '  clip-reid  vision transformer ViT-B/16 of CLIP-ReID with its projection; supervised/clip_reid_* evaluates\n'
        '             it as published, with --image-size 256 128\n'
        '  sdcl       vision transformer of SDCL; its shallow and deep features are the static and dynamic halves\n'
        '  vld        visual tower and spatio-temporal prompting of VLD\n\n'
        'Classifiers, text encoders and weights that never run are dropped, and listed. A weight that is missing,\n'
        'unknown or of another shape is an error. Pickled code is never run.\n\n'
        'example: dscreid convert-weights adca_sysu/model_best.pth.tar source.pth\n'
        '         dscreid train resnet50/adca_resnet50_bupt2hitsz --source-checkpoint source.pth',
    )
    add_conversion_arguments(parser)
    parser.add_argument('--layout', metavar='NAME', help='one of those above (default: recognized)')
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    """Run the tool."""
    args = parse_args(arguments)
    print(convert_file(args, args.layout))


if __name__ == '__main__':
    run_command(main)
