"""Calibrate a model bundle: similarity thresholds for false-match rates, from your own tracklets.

FOLDER is a TrackletFolder, for example of dscreid tracks. Pairs of different people are taken from the column person of
its table; without persons, from tracklets that one camera saw at the same time, and across modalities from all
tracklets of different cameras. The latter contain a few pairs of one person, so these thresholds are conservative.

The thresholds are written to the bundle, where dscreid link finds them. Calibrate before dscreid export, so that
exported files contain them.
"""

import argparse
from pathlib import Path
from typing import Any

from dscreid.apis.command_line import add_inference_options, make_parser, run_command


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = make_parser(__doc__, 'example: dscreid calibrate bundles/mine data/mine --rates 1e-2 1e-3')
    parser.add_argument('bundle', metavar='BUNDLE', type=Path, help='folder of the bundle (dscreid bundle)')
    parser.add_argument('folder', metavar='FOLDER', type=Path, help='tracklets of the cameras, with or without persons')
    parser.add_argument(
        '--rates', nargs='+', type=float, default=[1e-2, 1e-3], metavar='R',
        help='false-match rates, above 0 to 0.5 (default: 0.01 0.001)',
    )  # fmt: skip
    parser.add_argument(
        '--confidence', type=float, default=0.95, metavar='C', help='level of the intervals (default: 0.95)'
    )
    parser.add_argument(
        '--split', choices=('train', 'test', 'train+test'), default='test',
        help='which tracklets, if FOLDER is divided (default: test, because a model has adapted to train)',
    )  # fmt: skip
    add_inference_options(parser)
    return parser.parse_args(arguments)


def table(calibration: Any) -> str:
    """Format the thresholds."""
    from dscreid.deployment.calibration_pairs import METHODS

    level = f'{100 * calibration.confidence:g}%'
    lines = [f'pair     false matches  threshold  {level + " interval":18}      pairs  true matches  different people']
    for one in calibration.thresholds:
        interval = f'{one.low:.4f} to {one.high:.4f}'
        true_matches = '-' if one.true_match_rate is None else f'{100 * one.true_match_rate:.1f}%'
        values = f'{one.pair:8} {one.rate:13g}  {one.threshold:9.4f}  {interval:18} {one.num_pairs:10,}'
        lines.append(f'{values}  {true_matches:>12}  {METHODS[one.method]}')
    lines += [f'no threshold for {reason}' for reason in calibration.refused]
    lines.append(
        'The intervals are exact for independent pairs; with several tracklets per person they are too narrow.'
    )
    return '\n'.join(lines)


def run(args: argparse.Namespace) -> None:
    """Compute the features, calibrate, and write the thresholds to the bundle."""
    from dscreid.datasets import TrackletFolder
    from dscreid.deployment import TrackletInferencer, calibrate, presence_of, read_bundle
    from dscreid.deployment.bundle import calibrated
    from dscreid.deployment.calibration import check_rates

    check_rates(args.rates, args.confidence)
    bundle = read_bundle(args.bundle)
    tracklets = TrackletFolder(args.folder, args.split)
    presence = presence_of(tracklets.rows, args.folder)
    features = TrackletInferencer(bundle, args.device, args.batch_size, args.workers)(tracklets)
    calibration = calibrate(features, tracklets.rows, presence, args.rates, args.confidence)
    calibrated(bundle, calibration.as_json())
    print(table(calibration))
    print(f'{args.bundle}: {len(calibration.thresholds)} thresholds written, from {len(tracklets):,} tracklets')


def main(arguments: list[str] | None = None) -> None:
    """Run the tool."""
    args = parse_args(arguments)
    run_command(lambda: run(args))


if __name__ == '__main__':
    main()
