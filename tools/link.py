"""Link tracklets of the same person across cameras and modalities: global identities.

Writes a CSV file with tracklet, camera, modality and identity. The tracklets are those of FOLDER, or those of a
gallery, which holds their features; --camera, --modality, --from and --to choose some of a gallery. Two tracklets that
one camera saw at the same time never get the same identity; for this, the table of FOLDER or the gallery needs times,
or dscreid tracks must have written the folder. Persons of the table are not used.

Examples:
    dscreid link data/mine --bundle bundles/mine --out identities.csv --tracks-out linked
    dscreid link --gallery galleries/mine --bundle bundles/mine --out identities.csv --from 2026-03-01 --to 2026-03-02
    dscreid link --gallery galleries/mine --bundle bundles/mine --out ids.csv --tracks data/mine --tracks-out linked
"""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from dscreid.apis.command_line import add_inference_options, make_parser, run_command
from dscreid.deployment.gallery_filters import add_filters, add_gallery, argument, filters_of, parse_threshold
from dscreid.errors import ConfigError


class Tracklets(NamedTuple):
    """What is linked: rows of the table, their features, and their names in the folder of dscreid tracks."""

    rows: list[Any]
    features: Any
    names: dict[str, str]


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = make_parser(__doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument('folder', metavar='FOLDER', nargs='?', type=Path, help='tracklets, for example of dscreid tracks')
    add_gallery(what, required=False)
    parser.add_argument('--bundle', type=Path, required=True, help='folder of the bundle (dscreid bundle)')
    parser.add_argument('--out', type=Path, required=True, metavar='FILE', help='.csv file to write')
    parser.add_argument(
        '--threshold', type=argument(parse_threshold), default=('rate', 1e-3), metavar='T',
        help='tracklets are one person if their average similarity exceeds the threshold of this false-match rate, for '
        'calibrated bundles, or this similarity, written as similarity=0.6 (default: 1e-3)',
    )  # fmt: skip
    parser.add_argument(
        '--split', choices=('train', 'test', 'train+test'),
        help='which tracklets, if FOLDER is divided (default: all)',
    )  # fmt: skip
    tracks = parser.add_argument_group('tracks with identities')
    tracks.add_argument(
        '--tracks-out', type=Path, metavar='DIR',
        help='also write the tracks of each video here, with identities as ids; for folders of dscreid tracks',
    )  # fmt: skip
    tracks.add_argument(
        '--tracks-format', choices=('original', 'mot'), default='original',
        help="format of each video's tracks, as dscreid tracks read them, or MOTChallenge results (default: original)",
    )  # fmt: skip
    tracks.add_argument(
        '--tracks', type=Path, metavar='FOLDER',
        help='with --gallery: folder of dscreid tracks that was added to the gallery; needed for --tracks-out, and to '
        'know which tracklets without times are in view at the same time',
    )  # fmt: skip
    add_filters(parser)
    add_inference_options(parser)
    return parser.parse_args(arguments)


def check_args(args: argparse.Namespace) -> None:
    """Raise ConfigError for options that do not go together."""
    if args.gallery is None and (args.tracks or args.camera or args.modality or args.start or args.end):
        raise ConfigError('--tracks, --camera, --modality, --from and --to need --gallery')
    if args.gallery is not None and args.split:
        raise ConfigError('--split needs FOLDER')
    if args.gallery is not None and args.tracks_out is not None and args.tracks is None:
        raise ConfigError('with --gallery, --tracks-out needs --tracks, the folder of dscreid tracks')


def tracklets_of_folder(args: argparse.Namespace, bundle: Any) -> Tracklets:
    """Read a folder and compute the features."""
    from dscreid.datasets import TrackletFolder
    from dscreid.deployment import TrackletInferencer

    dataset = TrackletFolder(args.folder, args.split or 'train+test', labelled=False)
    features = TrackletInferencer(bundle, args.device, args.batch_size, args.workers)(dataset)
    return Tracklets(dataset.rows, features, {row.tracklet: row.tracklet for row in dataset.rows})


def tracklets_of_gallery(args: argparse.Namespace, bundle: Any) -> Tracklets:
    """Read tracklets and features from a gallery."""
    from dscreid.deployment import open_gallery
    from dscreid.deployment.gallery_folder import rows_of
    from dscreid.deployment.identities import names_in_folder

    entries, features = open_gallery(args.gallery, bundle).features(filters_of(args))
    return Tracklets(
        rows_of(entries), features, names_in_folder(entries, args.tracks) if args.tracks is not None else {}
    )


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
        text += f'\n{num_unknown:,} tracklets have no time, so those of one camera may be linked even if they overlap'
    return text


def run(args: argparse.Namespace) -> None:
    """Link, and write the identities."""
    from dscreid.deployment import link_tracklets, presence_of, read_bundle
    from dscreid.deployment.identities import check_tracks, write_identities, write_tracks
    from dscreid.deployment.linking import thresholds_of
    from dscreid.utils.files import check_outputs
    from dscreid.utils.natural_order import natural_key

    check_args(args)
    root = args.tracks if args.gallery is not None else args.folder
    check_outputs([args.out], [root / 'tracklets.csv'] if root is not None else [])
    if args.tracks_out is not None:
        check_tracks(root, args.tracks_out, args.tracks_format)
    bundle = read_bundle(args.bundle)
    found = (tracklets_of_folder if args.gallery is None else tracklets_of_gallery)(args, bundle)
    order = sorted(range(len(found.rows)), key=lambda number: natural_key(found.rows[number].tracklet))
    rows = [found.rows[number] for number in order]
    modalities = [row.modality for row in rows]
    thresholds = thresholds_of(bundle, modalities, args.threshold)
    presence = presence_of([replace(row, tracklet=found.names.get(row.tracklet, '')) for row in rows], root)
    identities = link_tracklets(found.features[order], modalities, presence.pairs(), thresholds).tolist()
    write_identities(args.out, rows, identities)
    print(summary(rows, identities, int((~presence.known).sum())))
    if args.tracks_out is not None:
        named = {
            found.names[row.tracklet]: number
            for row, number in zip(rows, identities, strict=True)
            if row.tracklet in found.names
        }
        written = write_tracks(root, named, args.tracks_out, args.tracks_format)
        print(
            f'{args.tracks_out}: tracks of {written.videos:,} videos; {written.written:,} of {written.boxes:,} boxes '
            'have an identity, the others are left out'
        )
    print(f'{args.out}: written')


def main(arguments: list[str] | None = None) -> None:
    """Run the tool."""
    args = parse_args(arguments)
    run_command(lambda: run(args))


if __name__ == '__main__':
    main()
