"""Cut videos and the output of a tracker into tracklets of persons: the data set of your own cameras.

SOURCES is a CSV file with a line for each video; relative paths start at its folder:

    video,tracks,camera,modality,start_time
    gate.mp4,gate.txt,gate,rgb,2026-03-01T08:30:00
    yard_thermal.mp4,yard_thermal.txt,yard,ir,2026-03-01T08:30:00

video: file, or folder of frames · tracks: output of the tracker · camera: a name · modality: rgb or ir · optional:
start_time (time of the first frame), fps (needed for folders), format and first_frame (override --format and
--first-frame).

OUT receives CAMERA_MODALITY/TRACKLET/FRAME.jpg, tracklets.csv, and contact_sheet.jpg to look at. Use it with
TrackletFolder. After an interruption, give the same command again; videos can be added to SOURCES later.

Examples:
    dscreid tracks sources.csv data/mine --jobs 2
    dscreid tracks sources.csv data/mine --format columns --columns frame=t id=person left=x top=y width=w height=h
"""

import argparse
from collections import Counter
from dataclasses import fields, replace
from pathlib import Path

from dscreid.apis.command_line import at_least, make_parser, run_command
from dscreid.errors import ConfigError
from dscreid.tracks.contact_sheet import write_contact_sheet
from dscreid.tracks.convert import ConversionSettings, ConvertedVideo, convert
from dscreid.tracks.filters import FilterSettings
from dscreid.tracks.formats import FORMATS
from dscreid.tracks.sources import read_sources

SHEET = 'contact_sheet.jpg'


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = make_parser(__doc__, 'formats:\n' + '\n'.join(f'  {name:15} {text}' for name, text in FORMATS.items()))
    parser.add_argument('sources', metavar='SOURCES', type=Path, help='CSV file with a line for each video')
    parser.add_argument('out', metavar='OUT', type=Path, help='folder to write, or to continue')
    parser.add_argument('--jobs', type=at_least(1), default=1, metavar='N', help='processes (default: 1)')
    tracks = parser.add_argument_group('tracks')
    tracks.add_argument('--format', choices=FORMATS, help='format of the tracks (default: detected)')
    tracks.add_argument(
        '--first-frame', type=int, choices=(0, 1),
        help='number that the tracker gave the first frame (default: as the format says, or detected)',
    )  # fmt: skip
    tracks.add_argument(
        '--columns', nargs='+', default=[], metavar='NAME=COLUMN',
        help='columns of a CSV file, by header or number from 1: frame, id, left, top, width and height or right and '
        'bottom, confidence',
    )  # fmt: skip
    add_filters(parser)
    parser.add_argument('--quality', type=int, default=95, metavar='Q', help='JPEG quality, 1 to 100 (default: 95)')
    return parser.parse_args(arguments)


def add_filters(parser: argparse.ArgumentParser) -> None:
    """Add an option for each rule."""
    group = parser.add_argument_group('which boxes become crops')
    default = FilterSettings()
    for name, help_text in {
        'min_confidence': 'least confidence, 0 to 1; boxes without one pass',
        'min_height': 'least height in pixels, inside the picture',
        'min_width': 'least width in pixels, inside the picture',
        'min_visible': 'least share of the box inside the picture, above 0 to 1',
        'max_gap': 'longest gap within a tracklet in seconds; longer ones split it',
        'rate': 'crops per second to keep, 0 for all',
        'margin': 'margin around boxes, as a share of their width and height',
    }.items():
        option, value = '--' + name.replace('_', '-'), getattr(default, name)
        group.add_argument(option, type=float, default=value, metavar='X', help=f'{help_text} (default: {value:g})')
    group.add_argument(
        '--min-crops', type=at_least(1), default=default.min_crops, metavar='N',
        help=f'least number of crops of a tracklet (default: {default.min_crops})',
    )  # fmt: skip


def settings_of(args: argparse.Namespace) -> ConversionSettings:
    """Collect the settings of all videos."""
    pairs = [pair.partition('=') for pair in args.columns]
    if bad := [name + mark for name, mark, column in pairs if not (name and mark and column)]:
        raise ConfigError(f'--columns: {bad[0]!r} is not NAME=COLUMN, for example frame=t')
    values = {field.name: getattr(args, field.name) for field in fields(FilterSettings)}
    filters = FilterSettings(**values | {'rate': args.rate or None})
    return ConversionSettings(filters, args.quality, tuple((name, column) for name, _, column in pairs))


def summary(videos: list[ConvertedVideo]) -> str:
    """Summarize the whole data set."""
    rows = [row for video in videos for row in video.rows()]
    counts = Counter(row.modality.value for row in rows)
    cameras = len({row.camera for row in rows})
    crops = sum(video.num_crops for video in videos)
    return (
        f'{crops:,} crops in {len(rows):,} tracklets ({counts["rgb"]:,} rgb, {counts["ir"]:,} ir) of {cameras} cameras'
    )


def run(args: argparse.Namespace) -> None:
    """Convert, and print what became of each video."""
    given = {name: value for name in ('format', 'first_frame') if (value := getattr(args, name)) is not None}
    sources = [
        replace(source, **{name: value for name, value in given.items() if getattr(source, name) is None})
        for source in read_sources(args.sources)
    ]
    videos = convert(sources, args.out, settings_of(args), args.jobs)
    write_contact_sheet(args.out / SHEET, args.out, [row for video in videos for row in video.rows()])
    for video in videos:
        print(video.describe())
    found = any(video.tracklets for video in videos)
    advice = f'look at {args.out / SHEET}' if found else 'loosen the rules that left the boxes out, in a new folder'
    print(f'{args.out}: {summary(videos)}; {advice}')


def main(arguments: list[str] | None = None) -> None:
    """Run the tool."""
    args = parse_args(arguments)
    run_command(lambda: run(args), on_interrupt='finished videos are kept; give the same command again')


if __name__ == '__main__':
    main()
