"""Calibrate a model bundle: similarity thresholds for false-match rates, from your own tracklets.

FOLDER is a TrackletFolder, for example the output of dscreid tracks; without it, the tracklets and features of the
gallery are used. Pairs of different people are taken from the column person of the folder's table; without persons,
from tracklets that one camera saw at the same time, and across modalities from all tracklets of different cameras. The
latter contain a few pairs of one person, so these thresholds are conservative. Pairs that were marked as right on the
page of dscreid serve are left out, which makes these thresholds less conservative.

Examples:
    dscreid calibrate bundles/mine data/mine --rates 1e-2 1e-3
    dscreid calibrate bundles/mine --gallery galleries/mine

The thresholds are written to the bundle, where dscreid link finds them. Calibrate before dscreid export, so that
exported files contain them.
"""

import argparse
from pathlib import Path
from typing import Any

from dscreid.apis.command_line import add_inference_options, make_parser, run_command
from dscreid.deployment.gallery_filters import add_gallery


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = make_parser(__doc__)
    parser.add_argument('bundle', metavar='BUNDLE', type=Path, help='folder of the bundle (dscreid bundle)')
    parser.add_argument(
        'folder', metavar='FOLDER', type=Path, nargs='?',
        help="tracklets of the cameras, with or without persons (default: the gallery's)",
    )  # fmt: skip
    add_gallery(parser, required=False)
    parser.add_argument(
        '--marks', type=Path, metavar='FILE', help="marks of dscreid serve, .jsonl (default: the gallery's)"
    )
    parser.add_argument(
        '--rates', nargs='+', type=float, default=[1e-2, 1e-3], metavar='R',
        help='false-match rates, above 0 and at most 0.5 (default: 0.01 0.001)',
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
        left_out = f', without {one.num_left_out:,} pairs of one person' if one.num_left_out else ''
        lines.append(f'{values}  {true_matches:>12}  {METHODS[one.method]}{left_out}')
    lines += [f'no threshold for {reason}' for reason in calibration.refused]
    for one in calibration.thresholds:
        if one.num_false_matches > one.num_known and one.method == 'other_cameras':
            lines.append(
                f'{one.pair}, {one.rate:g}: of {one.num_false_matches:,} pairs above the threshold, {one.num_known:,} '
                'are known to be different people; if some of the others show one person, the threshold is too high'
            )
    lines.append(
        'The intervals are exact for independent pairs; with several tracklets per person they are too narrow.'
    )
    return '\n'.join(lines)


def run(args: argparse.Namespace) -> None:
    """Compute or read the features, calibrate, and write the thresholds to the bundle."""
    from dscreid.deployment import calibrate, presence_of, read_bundle
    from dscreid.deployment.bundle import calibrated
    from dscreid.deployment.calibration import check_rates
    from dscreid.deployment.known_pairs import known_pairs

    check_rates(args.rates, args.confidence)
    bundle = read_bundle(args.bundle)
    marks = read_valid_marks(args)
    rows, features = tracklets_of_folder(args, bundle) if args.folder else tracklets_of_gallery(args, bundle)
    presence = presence_of(rows, args.folder)
    known = known_pairs(rows, presence, marks)
    calibration = calibrate(features, rows, presence, args.rates, args.confidence, known)
    calibrated(bundle, calibration.as_json())
    print(table(calibration))
    if marks:
        print('\n'.join([known.describe(), *known.contradictions]))
    print(f'{args.bundle}: {len(calibration.thresholds)} thresholds written, from {len(rows):,} tracklets')


def read_valid_marks(args: argparse.Namespace) -> list[Any]:
    """Read the valid marks, made with any model."""
    from dscreid.deployment.marks import labeled_pairs, marks_file
    from dscreid.errors import ConfigError

    if args.folder is None and args.gallery is None:
        raise ConfigError('name the FOLDER of the tracklets, or a gallery with --gallery')
    if args.marks is not None and not args.marks.is_file():
        raise ConfigError(f'{args.marks}: does not exist; dscreid serve writes marks next to the gallery')
    if args.marks is None and args.gallery is None:
        return []
    return labeled_pairs(args.marks or marks_file(args.gallery))


def tracklets_of_folder(args: argparse.Namespace, bundle: Any) -> tuple[list[Any], Any]:
    """Compute the features of a folder's tracklets."""
    from dscreid.datasets import TrackletFolder
    from dscreid.deployment import TrackletInferencer

    tracklets = TrackletFolder(args.folder, args.split)
    return tracklets.rows, TrackletInferencer(bundle, args.device, args.batch_size, args.workers)(tracklets)


def tracklets_of_gallery(args: argparse.Namespace, bundle: Any) -> tuple[list[Any], Any]:
    """Read the features of a gallery's tracklets."""
    from dscreid.deployment import open_gallery
    from dscreid.deployment.gallery_folder import rows_of

    entries, features = open_gallery(args.gallery, bundle).features()
    return rows_of(entries), features


def main(arguments: list[str] | None = None) -> None:
    """Run the tool."""
    args = parse_args(arguments)
    run_command(lambda: run(args))


if __name__ == '__main__':
    main()
