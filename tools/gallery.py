"""Keep tracklets and their features in a gallery: add, remove, list and prune them.

A gallery is a folder that holds the features of one model, with name, camera, modality, time, folder and a thumbnail of
each tracklet. Search it with dscreid search. Needs the extra "gallery": pip install "dscreid[gallery]".

If one machine is too small, a gallery can also be on a Milvus server, http://HOST:19530/NAME; the environment variable
MILVUS_TOKEN holds USER:PASSWORD or an API key. This needs the extra "milvus" instead.

Examples:
    dscreid gallery add data/mine --gallery galleries/mine --bundle bundles/mine
    dscreid gallery query --gallery galleries/mine --camera gate --modality ir --from 2026-03-01
    dscreid gallery remove gate_rgb/gate_00001 --gallery galleries/mine
    dscreid gallery prune --older-than 30d --gallery galleries/mine
    dscreid gallery compact --index --gallery galleries/mine
    MILVUS_TOKEN=... dscreid gallery stats --gallery http://milvus.example:19530/mine
"""

import argparse
from pathlib import Path

from dscreid.apis.command_line import add_inference_options, at_least, make_parser, run_command
from dscreid.deployment.gallery_filters import add_filters, add_gallery, argument, filters_of, parse_age

_INTERRUPTED = {
    'add': 'what was added is kept; run the same command again to add the rest',
    'remove': 'run the same command again, then dscreid gallery compact, which erases what was removed',
    'prune': 'run the same command again, then dscreid gallery compact, which erases what was removed',
    'compact': 'the gallery is unchanged; run the same command again',
}


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = make_parser(__doc__)
    commands = parser.add_subparsers(dest='command', required=True, metavar='COMMAND')
    _add_parser(commands)
    for name, text in (
        ('remove', 'remove tracklets by name or filter, and erase them and their marks from the disk'),
        ('query', 'list tracklets'),
        ('stats', 'count tracklets, and describe the model'),
        ('compact', 'rewrite the gallery without what was replaced or removed; make an index'),
        ('prune', 'remove tracklets by age, and erase them and their marks from the disk'),
    ):
        command = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + '.')
        add_gallery(command)
        if name in ('remove', 'compact', 'prune'):
            command.add_argument(
                '--marks', type=Path, metavar='FILE', help="marks of dscreid serve, .jsonl (default: the gallery's)"
            )
        if name == 'remove':
            command.add_argument('tracklets', nargs='*', metavar='TRACKLET', help='names of tracklets')
        if name in ('remove', 'query'):
            add_filters(command)
        if name == 'query':
            command.add_argument(
                '--limit', type=at_least(1), default=50, metavar='N', help='maximum number of lines (default: 50)'
            )
        if name == 'compact':
            command.add_argument(
                '--index', action=argparse.BooleanOptionalAction,
                help='make an index for dscreid search --probes, or remove it (default: as before)',
            )  # fmt: skip
        if name == 'prune':
            command.add_argument(
                '--older-than', required=True, type=argument(parse_age), metavar='AGE',
                help='such as 30d, 12h or 4w, from the end of a tracklet, or from when it was added if it has no time',
            )  # fmt: skip
    return parser.parse_args(arguments)


def _add_parser(commands: 'argparse._SubParsersAction[argparse.ArgumentParser]') -> None:
    text = 'add the tracklets of a folder that the gallery lacks; make the gallery if there is none'
    parser = commands.add_parser('add', help=text, description=text[0].upper() + text[1:] + '.')
    parser.add_argument('folder', metavar='FOLDER', type=Path, help='tracklets (see dscreid tracks)')
    add_gallery(parser)
    parser.add_argument(
        '--bundle', required=True, metavar='B', help='the model: folder of a bundle, or a file of dscreid export'
    )
    parser.add_argument('--no-thumbnails', action='store_true', help='store no pictures')
    parser.add_argument('--replace', action='store_true', help='replace tracklets that are already in the gallery')
    parser.add_argument(
        '--on-bad-frame', choices=('error', 'skip_tracklet'), default='error',
        help='stop at an unreadable picture, or leave out its tracklet (default: error)',
    )  # fmt: skip
    add_inference_options(parser)


def add(args: argparse.Namespace) -> None:
    """Add a folder."""
    from dscreid.deployment import TrackletInferencer, add_folder, open_folder, open_gallery

    inferencer = TrackletInferencer(args.bundle, args.device, args.batch_size, args.workers)
    dataset = open_folder(args.folder, args.on_bad_frame)
    gallery = open_gallery(args.gallery, inferencer.bundle, create=True)
    result = add_folder(gallery, dataset, inferencer, not args.no_thumbnails, args.replace)
    print(f'{args.gallery}: {result.added:,} tracklets added, {result.known:,} were there, {len(gallery):,} in all')


def change(args: argparse.Namespace) -> None:
    """Remove, prune or compact; also erase the marks of tracklets that are gone."""
    from dscreid.deployment import open_gallery
    from dscreid.deployment.marks import erase_missing, marks_file

    gallery = open_gallery(args.gallery)
    if args.command == 'compact':
        gallery.compact(args.index)
        print(f'{args.gallery}: {_size_text(gallery.statistics().num_bytes)}')
    elif args.command == 'prune':
        removed = gallery.prune(args.older_than)
    else:
        missing = set(args.tracklets) - gallery.folders(args.tracklets).keys()
        removed = gallery.remove(args.tracklets, filters_of(args))
        if missing:
            print(f'not in the gallery: {", ".join(sorted(missing))}')
    if args.command != 'compact':
        done = 'removed and erased' if gallery.storage.erases_at_once else 'removed, which the server erases later'
        print(f'{args.gallery}: {removed:,} tracklets {done}, {len(gallery):,} left')
    marks = args.marks or marks_file(args.gallery)
    if erased := erase_missing(marks, gallery):
        print(f'{marks}: {erased:,} marks of removed tracklets erased')


def show(args: argparse.Namespace) -> None:
    """List tracklets or counts."""
    from dscreid.deployment import open_gallery
    from dscreid.deployment.search import text_table, time_text

    gallery = open_gallery(args.gallery)
    if args.command == 'query':
        entries = gallery.query(filters_of(args))
        rows = [
            [one.tracklet, f'{one.camera} {one.modality.value}', time_text(one.start_time, one.end_time), one.folder]
            for one in entries[: args.limit]
        ]
        print(text_table(['tracklet', 'camera', 'time', 'folder'], rows))
        print(f'{len(rows):,} of {len(entries):,} tracklets')
        return
    found, about = gallery.statistics(), gallery.about
    indexed = 'no index' if found.indexed is None else f'{found.indexed:,} in the index'
    print(f'{args.gallery}: {found.count:,} tracklets, {_size_text(found.num_bytes)}, {indexed}')
    print(f'model: {about["model"]}, {about["fingerprint"]}, features of {about["size"]} numbers')
    print(f'license: {about["license"]}; training data: {about["training_data"]}')
    print(f'times: {time_text(*found.times) if found.times else "unknown"}')
    counts = [[camera, modality, f'{count:,}'] for (camera, modality), count in found.cameras.items()]
    print(text_table(['camera', 'modality', 'tracklets'], counts))


def _size_text(num_bytes: int | None) -> str:
    return 'size unknown' if num_bytes is None else f'{num_bytes / 1e6:,.1f} MB'


def main(arguments: list[str] | None = None) -> None:
    """Run the tool."""
    args = parse_args(arguments)
    run = {'add': add, 'query': show, 'stats': show}.get(args.command, change)
    run_command(lambda: run(args), **({'on_interrupt': text} if (text := _INTERRUPTED.get(args.command)) else {}))


if __name__ == '__main__':
    main()
