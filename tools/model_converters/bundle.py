"""Make a model bundle: one folder with weights, preprocessing and feature definition, for use without its config.

OUT receives model.safetensors and bundle.json. It contains no code, so it can be passed on safely. Use it in Python:

    from dscreid.deployment import TrackletInferencer
    features = TrackletInferencer('OUT')(['folder/of/a/tracklet', 'folder/of/another'])
"""

import argparse
from pathlib import Path

from dscreid.apis.command_line import add_config_options, make_parser, run_command


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    example = (
        'example: dscreid bundle dsc/dsc_bupt2hitsz work_dirs/dsc_bupt2hitsz/epoch_50.pth bundles/hitsz \\\n'
        '    --license "non-commercial research (HITSZ-VCM)" --training-data "BUPTCampus; HITSZ-VCM without labels"'
    )
    parser = make_parser(__doc__, example)
    parser.add_argument('config', help='config of the model: a file, or a shipped one such as dsc/dsc_bupt2hitsz')
    parser.add_argument('checkpoint', type=Path, help='weights of either stage')
    parser.add_argument('out', metavar='OUT', type=Path, help='new or empty folder')
    parser.add_argument('--license', required=True, metavar='TEXT', help='terms under which the weights may be used')
    parser.add_argument('--training-data', required=True, metavar='TEXT', help='data that the weights were trained on')
    parser.add_argument('--name', metavar='TEXT', help='name of the model (default: that of the config)')
    parser.add_argument(
        '--flip', action=argparse.BooleanOptionalAction, default=None,
        help="average features with those of mirrored frames, in twice the time (default: the config's choice)",
    )  # fmt: skip
    add_config_options(parser)
    return parser.parse_args(arguments)


def run(args: argparse.Namespace) -> None:
    """Make the bundle and print what identifies it."""
    from dscreid.apis import load_config
    from dscreid.deployment import make_bundle

    config = load_config(args.config, args.cfg_options)
    notes = dict(license=args.license, training_data=args.training_data, flip=args.flip, name=args.name)
    bundle = make_bundle(config, args.checkpoint, args.out, **notes)
    print(f'{args.out}: {bundle.name}, features of {bundle.feature["size"]} values, fingerprint {bundle.fingerprint}')


def main(arguments: list[str] | None = None) -> None:
    """Run the tool."""
    args = parse_args(arguments)
    run_command(lambda: run(args))


if __name__ == '__main__':
    main()
