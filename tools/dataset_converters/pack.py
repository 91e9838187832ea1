"""Pack a dataset's frames, resized once, into shards that the same configs read with data_root=OUT.

The official index files are copied to OUT, so that labels and protocol do not change; only the frames come from the
shards. If the command was killed, run it again: it keeps what is finished and intact and writes the rest.

Examples:
    dscreid pack hitsz data/hitsz_vcm data/hitsz_packed --jobs 8
    dscreid pack _base_/datasets/bupt_campus data/bupt_campus data/bupt_packed
    dscreid pack hitsz data/hitsz_vcm data/hitsz_packed --verify
    dscreid train dsc/dsc_bupt2hitsz --cfg-options data_root=data/hitsz_packed
"""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from dscreid import apis, datasets
from dscreid.apis.command_line import at_least, make_parser, run_command
from dscreid.datasets.storage import ENCODINGS, MANIFEST, FrameFormat
from dscreid.datasets.storage.manifest import Manifest, read_manifest
from dscreid.errors import ConfigError


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = make_parser(__doc__)
    parser.add_argument(
        'layout', metavar='LAYOUT|CONFIG',
        help='hitsz, bupt, or a config: dataset and frame size are those of its test_dataloader',
    )  # fmt: skip
    parser.add_argument('root', metavar='ROOT', type=Path, help="the dataset in its owners' layout")
    parser.add_argument('out', metavar='OUT', type=Path, help='folder to write, or to continue')
    parser.add_argument('--jobs', type=at_least(1), default=1, metavar='N', help='processes (default: 1)')
    parser.add_argument(
        '--verify', action='store_true',
        help='write nothing: check all files in OUT by their checksums, and name missing and damaged ones',
    )  # fmt: skip
    made = parser.add_argument_group('format of OUT (default: that of the unfinished OUT, then that of the config)')
    made.add_argument('--size', type=int, nargs=2, metavar=('HEIGHT', 'WIDTH'), help='of a frame (default: 288 144)')
    made.add_argument(
        '--format', choices=ENCODINGS,
        help='jpeg: small, other pixels; raw: the pixels that the loader would make, 3 bytes each (default: jpeg)',
    )  # fmt: skip
    made.add_argument('--quality', type=int, metavar='Q', help='of the JPEGs, 1 to 100 (default: 95)')
    made.add_argument('--area-when-shrinking', action='store_true', default=None, help='as the option of LoadFrames')
    made.add_argument('--splits', nargs='+', metavar='SPLIT', help='splits to pack (default: all)')
    made.add_argument('--fake-ir', action='store_true', default=None, help='generated infrared frames too (bupt only)')
    made.add_argument('--frames-per-shard', type=int, metavar='N', help='default: 8192 (jpeg), 1024 (raw)')
    return parser.parse_args(arguments)


def run(args: argparse.Namespace) -> None:
    """Pack or verify, and print what OUT contains."""
    if args.verify:
        manifest = datasets.packing.verify(args.out)
        print(f'{args.out}: all {len(manifest.shards)} shards and the index files are intact')
        return
    recorded = read_manifest(args.out) if (args.out / MANIFEST).is_file() else None
    plan = datasets.packing.plan_packing(source=args.root, **settings_of(args, recorded))
    manifest = datasets.packing.pack(plan, args.out, args.jobs)
    size = sum(record.bytes for record in manifest.shards)
    print(
        f'{args.out}: {manifest.num_frames:,} frames ({manifest.frame_format}) in {len(manifest.shards)} shards, '
        f'{size / 1e6:,.1f} MB'
    )
    print(f'To use it: --cfg-options data_root={args.out}')


def settings_of(args: argparse.Namespace, recorded: Manifest | None) -> dict[str, Any]:
    """Return arguments of ``plan_packing`` from the command line, then those OUT was started with, then the config."""
    names_config = args.layout.endswith('.py') or '/' in args.layout
    layout, from_config = read_config(args.layout) if names_config else (args.layout, {})
    frame_format = recorded.frame_format if recorded else replace(FrameFormat(), **from_config)
    given = {
        'size': tuple(args.size) if args.size else None,
        'encoding': args.format,
        'quality': args.quality,
        'area_when_shrinking': args.area_when_shrinking,
    }
    changes = {name: value for name, value in given.items() if value is not None}
    if (args.format or frame_format.encoding) == 'raw':
        changes['quality'] = None
    settings = {
        'layout': layout,
        'frame_format': replace(frame_format, **changes),
        'splits': args.splits,
        'fake_ir': args.fake_ir,
        'frames_per_shard': args.frames_per_shard,
    }
    for name in ('splits', 'fake_ir', 'frames_per_shard') if recorded else ():
        if settings[name] is None:
            settings[name] = getattr(recorded, name)
    return settings | {'fake_ir': bool(settings['fake_ir'])}


def read_config(path: str) -> tuple[str, dict[str, Any]]:
    """Return the layout of a config's test set, and the part of ``FrameFormat`` that its ``LoadFrames`` determines."""
    dataset = apis.load_config(path).get('test_dataloader', {}).get('dataset', {})
    load = [step for step in dataset.get('pipeline', ()) if step['type'] == 'LoadFrames']
    if 'type' not in dataset or not load:
        raise ConfigError(
            f'{path}: test_dataloader has no dataset with LoadFrames in its pipeline; give the layout '
            '(hitsz or bupt) instead'
        )
    values = {name: load[0][name] for name in ('size', 'area_when_shrinking') if name in load[0]}
    if 'size' in values:
        values['size'] = tuple(values['size'])
    return datasets.packing.dataset_class(dataset['type']).NAME, values


def main(arguments: list[str] | None = None) -> None:
    """Run the tool."""
    args = parse_args(arguments)
    run_command(lambda: run(args), on_interrupt='finished shards are kept; give the same command again')


if __name__ == '__main__':
    main()
