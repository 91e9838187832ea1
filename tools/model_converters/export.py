"""Export a model bundle to one file that runs without this package: ONNX, or PyTorch's .pt2.

The file takes uint8 frames (N, T, 3, H, W) in RGB order, resized to the size that it names, and gives features
(N, D) to compare by inner product; N is free. Its features are compared with those of the bundle before it is written.
TrackletInferencer('OUT') reads it like the bundle, with sampling and resizing of frames.
"""

import argparse
from pathlib import Path

from dscreid.apis.command_line import make_parser, run_command


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = make_parser(
        __doc__, 'example: dscreid export bundles/hitsz hitsz.onnx --tracklets data/mine/gate_rgb/0001'
    )
    parser.add_argument('bundle', metavar='BUNDLE', type=Path, help='folder of the bundle (dscreid bundle)')
    parser.add_argument('out', metavar='OUT', type=Path, help='.onnx file (needs the extra "export") or .pt2 file')
    parser.add_argument(
        '--half', action='store_true', help='float16, for GPUs: half the size, features differ by up to 0.02'
    )
    parser.add_argument(
        '--tracklets', nargs='+', type=Path, default=[], metavar='FOLDER',
        help='folders of tracklets, to compare real frames in addition to random ones',
    )  # fmt: skip
    return parser.parse_args(arguments)


def run(args: argparse.Namespace) -> None:
    """Export and print the difference."""
    import torch

    from dscreid.deployment import export_bundle, read_bundle
    from dscreid.deployment.export import TOLERANCE
    from dscreid.deployment.frames import FrameLoader

    bundle = read_bundle(args.bundle)
    load = FrameLoader(bundle)
    examples = torch.stack([load(folder) for folder in args.tracklets]).numpy() if args.tracklets else None
    difference = export_bundle(bundle, args.out, args.half, examples)
    compared = f'random frames and {len(args.tracklets)} tracklets' if args.tracklets else 'random frames'
    print(f'{args.out}: {args.out.stat().st_size / 1e6:,.1f} MB')
    print(f'largest difference from the bundle, {compared}: {difference:.1e} (tolerance {TOLERANCE[args.half]:.0e})')


def main(arguments: list[str] | None = None) -> None:
    """Run the tool."""
    args = parse_args(arguments)
    run_command(lambda: run(args))


if __name__ == '__main__':
    main()
