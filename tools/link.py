"""Link tracklets of the same person over cameras and modalities: global identities.

Writes a CSV file with tracklet, camera, modality and identity. Two tracklets that one camera saw at the same time never
get one identity; for this, the table of FOLDER needs times, or dscreid tracks must have written FOLDER. Persons of the
table are not used.
"""

import argparse
from pathlib import Path
from typing import Any

from dscreid.apis.command_line import add_inference_options, make_parser, run_command
from dscreid.deployment.gallery_filters import argument, parse_threshold


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = make_parser(__doc__, 'example: dscreid link data/mine --bundle bundles/mine --out identities.csv')
    parser.add_argument('folder', metavar='FOLDER', type=Path, help='tracklets, for example of dscreid tracks')
    parser.add_argument('--bundle', type=Path, required=True, help='folder of the bundle (dscreid bundle)')
    parser.add_argument('--out', type=Path, required=True, metavar='FILE', help='.csv file to write')
    parser.add_argument(
        '--threshold', type=argument(parse_threshold), default=('rate', 1e-3), metavar='T',
        help='tracklets are one person if their average similarity exceeds that of this false-match rate, for bundles '
        'of dscreid calibrate, or this similarity, as similarity=0.6 (default: 1e-3)',
    )  # fmt: skip
    parser.add_argument(
        '--tracks-out', type=Path, metavar='DIR',
        help='also write the boxes of each video there, as MOTChallenge results with identities as ids; for folders of '
        'dscreid tracks',
    )  # fmt: skip
    parser.add_argument(
        '--split', choices=('train', 'test', 'train+test'), default='train+test',
        help='which tracklets, if FOLDER is divided (default: all)',
    )  # fmt: skip
    add_inference_options(parser)
    return parser.parse_args(arguments)


def summary(rows: list[Any], identities: list[int], num_unknown: int) -> str:
    """Count identities, and those of several cameras and of both modalities."""
    cameras: dict[int, set[str]] = {}
    modalities: dict[int, set[str]] = {}
    for row, identity in zip(rows, identities, strict=True):
        cameras.setdefault(identity, set()).add(row.camera)
        modalities.setdefault(identity, set()).add(row.modality.value)
    several = sum(len(names) > 1 for names in cameras.values())
    both = sum(len(names) > 1 for names in modalities.values())
    text = (
        f'{len(rows):,} tracklets of {len(cameras):,} identities: {several:,} on several cameras, {both:,} in both '
        'modalities'
    )
    if num_unknown:
        text += f'\n{num_unknown:,} tracklets have no time; nothing keeps those of one camera and moment apart'
    return text


def run(args: argparse.Namespace) -> None:
    """Compute the features, link, and write the identities."""
    from dscreid.datasets import TrackletFolder
    from dscreid.deployment import TrackletInferencer, link_tracklets, presence_of, read_bundle
    from dscreid.deployment.linking import converted_videos, thresholds_of, write_identities, write_tracks
    from dscreid.utils.files import check_outputs
    from dscreid.utils.natural_order import natural_key

    check_outputs([args.out], [args.folder / 'tracklets.csv'])
    if args.tracks_out is not None:
        converted_videos(args.folder)
    bundle = read_bundle(args.bundle)
    tracklets = TrackletFolder(args.folder, args.split, labelled=False)
    order = sorted(range(len(tracklets)), key=lambda number: natural_key(tracklets.rows[number].tracklet))
    rows = [tracklets.rows[number] for number in order]
    modalities = [row.modality for row in rows]
    thresholds = thresholds_of(bundle, modalities, args.threshold)
    presence = presence_of(rows, args.folder)
    features = TrackletInferencer(bundle, args.device, args.batch_size, args.workers)(tracklets)
    identities = link_tracklets(features[order], modalities, presence.together(), thresholds).tolist()
    write_identities(args.out, rows, identities)
    print(summary(rows, identities, int((~presence.known).sum())))
    if args.tracks_out is not None:
        names = [row.tracklet for row in rows]
        paths = write_tracks(args.folder, dict(zip(names, identities, strict=True)), args.tracks_out)
        print(f'{args.tracks_out}: boxes of {len(paths):,} videos')
    print(f'{args.out}: written')


def main(arguments: list[str] | None = None) -> None:
    """Run the tool."""
    args = parse_args(arguments)
    run_command(lambda: run(args))


if __name__ == '__main__':
    main()
