"""Find the person of a tracklet, a picture or a video in a gallery.

Examples:
    dscreid search data/mine/gate_rgb/gate_00001 --gallery galleries/mine --bundle bundles/mine --modality ir
    dscreid search photo.jpg --gallery galleries/mine --bundle bundles/mine --threshold similarity=0.8 --html found.html
    dscreid search clip.mp4 --box 412,80,96,240 --frames 120-180 --gallery galleries/mine --bundle bundles/mine

A query that is itself a tracklet of the gallery is left out of its answers. "No match" is a possible answer.
"""

import argparse
from pathlib import Path

from dscreid.apis.command_line import add_inference_options, at_least, make_parser, run_command
from dscreid.deployment.gallery_filters import add_filters, add_gallery, argument, filters_of, parse_threshold
from dscreid.deployment.query_part import parse_frames, parse_pixel_box


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = make_parser(__doc__)
    parser.add_argument(
        'queries', nargs='+', metavar='QUERY', type=Path, help='folder of a tracklet, a picture, or a video'
    )
    parser.add_argument(
        '--box', type=argument(parse_pixel_box), metavar='LEFT,TOP,WIDTH,HEIGHT',
        help='place of the person in pixels, the same in every frame (default: the whole picture)',
    )  # fmt: skip
    parser.add_argument(
        '--frames', type=argument(parse_frames), metavar='FROM-TO',
        help='only these frames of a video or a folder, counted from 0, or FROM- up to the end (default: all)',
    )  # fmt: skip
    add_gallery(parser)
    parser.add_argument(
        '--bundle', required=True, metavar='B', help="the gallery's model: a bundle, or a file of dscreid export"
    )
    add_filters(parser)
    parser.add_argument(
        '--top', type=at_least(1), default=20, metavar='N', help='maximum number of answers (default: 20)'
    )
    parser.add_argument(
        '--threshold', type=argument(parse_threshold), metavar='T',
        help='show only answers above this similarity, such as similarity=0.8, or above the threshold of this '
        'false-match rate, such as 1e-3, for calibrated bundles (default: all answers)',
    )  # fmt: skip
    parser.add_argument('--html', type=Path, metavar='FILE', help='write a page with pictures to this file')
    parser.add_argument(
        '--probes', type=at_least(1), metavar='N',
        help='search N parts of the index that dscreid gallery compact --index made (default: exact search)',
    )  # fmt: skip
    parser.add_argument(
        '--query-modality',
        choices=('rgb', 'ir'),
        help='modality of the queries (default: that in the gallery, or in the folder name CAMERA_rgb or CAMERA_ir)',
    )
    add_inference_options(parser)
    return parser.parse_args(arguments)


def run(args: argparse.Namespace) -> None:
    """Search, print the table and write the page."""
    from dscreid.deployment import TrackletInferencer, open_gallery
    from dscreid.deployment.search import (
        SearchSettings,
        answers_page,
        answers_text,
        search,
    )
    from dscreid.errors import ConfigError
    from dscreid.structures import Modality
    from dscreid.utils.files import check_outputs
    from dscreid.visualization.page import write_text_atomically

    check_outputs([args.html], args.queries)
    if len(args.queries) > 1 and (args.box or args.frames):
        raise ConfigError('--box and --frames apply to one query; search for the others with another command')
    filters = filters_of(args)
    inferencer = TrackletInferencer(args.bundle, args.device, args.batch_size, args.workers)
    gallery = open_gallery(args.gallery, inferencer.bundle)
    modality = None if args.query_modality is None else Modality(args.query_modality)
    settings = SearchSettings(filters, args.top, args.threshold, args.probes, modality, args.box, args.frames)
    answers = search(gallery, inferencer, args.queries, settings)
    print(answers_text(answers, settings, inferencer.bundle), end='')
    if args.html is not None:
        write_text_atomically(args.html, answers_page(answers, settings, gallery, inferencer.bundle))
        print(f'\nwritten: {args.html}')


def main(arguments: list[str] | None = None) -> None:
    """Run the tool."""
    args = parse_args(arguments)
    run_command(lambda: run(args))


if __name__ == '__main__':
    main()
