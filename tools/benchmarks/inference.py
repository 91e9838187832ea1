"""Time per tracklet of a bundle's model: in PyTorch, exported, and through TrackletInferencer.

The weights are random and the pictures are noise, which changes no time. All ways run in one process, in turn, on the
same tracklets; the table shows medians.

Examples:
    python tools/benchmarks/inference.py
    python tools/benchmarks/inference.py dsc/dsc_bupt2hitsz --tracklets 8 --batch-size 4
"""

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from machine import median_seconds
from results import Table, add_out_argument, publish

from dscreid.apis import init_model, load_config
from dscreid.deployment import TrackletInferencer, build_model, export_bundle, make_bundle
from dscreid.deployment.frames import FrameLoader


def main() -> None:
    """Measure all ways and publish one table."""
    args = parse_args()
    with tempfile.TemporaryDirectory() as folder:
        ways = prepare(args, Path(folder))
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(args.repeats):
            for name, run in ways.items():
                seconds[name].append(median_seconds(run, 1))
    medians = {name: float(np.median(times)) / args.tracklets for name, times in seconds.items()}
    bare = medians['PyTorch, frames in memory']
    rows = [[name, f'{1e3 * time:.1f}', f'{time / bare:.2f}'] for name, time in medians.items()]
    title = f'{args.config}: {args.tracklets} tracklets, batches of {args.batch_size}'
    note = f'Medians of {args.repeats} rounds. Ratio: to PyTorch with frames in memory.'
    publish(args.out, [Table(title, ['way', 'ms per tracklet', 'ratio'], rows)], [note], {'seconds': seconds})


def prepare(args: argparse.Namespace, folder: Path) -> dict[str, Callable[[], Any]]:
    """Make the bundle, its exports and the tracklets, and return each way as a function."""
    config = load_config(args.config)
    torch.save({'state_dict': init_model(config).state_dict()}, folder / 'random.pth')
    notes = dict(license='random weights', training_data='none')
    bundle = make_bundle(config, folder / 'random.pth', folder / 'bundle', **notes)
    frames, height, width = FrameLoader(bundle).shape
    noise = np.random.default_rng(0)
    shape = (args.tracklets, frames, height, width, 3)
    arrays = noise.integers(0, 256, shape, dtype=np.uint8)
    paths = []
    for number, tracklet in enumerate(arrays):
        paths.append(folder / str(number))
        paths[-1].mkdir()
        for place, picture in enumerate(tracklet):
            cv2.imwrite(str(paths[-1] / f'{place}.jpg'), cv2.GaussianBlur(picture, (0, 0), 2))
    batches = torch.from_numpy(arrays).permute(0, 1, 4, 2, 3).contiguous().split(args.batch_size)
    model = build_model(bundle)

    def pytorch() -> None:
        with torch.inference_mode():
            for batch in batches:
                model.rank_features(model.data_preprocessor({'inputs': batch})['inputs'])

    ways: dict[str, Callable[[], Any]] = {'PyTorch, frames in memory': pytorch}
    settings = dict(batch_size=args.batch_size)
    plain = TrackletInferencer(bundle, **settings)
    ways['TrackletInferencer, frames in memory'] = lambda: plain(list(arrays), progress=False)
    ways['TrackletInferencer, JPEG files'] = lambda: plain(paths, progress=False)
    for suffix in ('onnx', 'pt2'):
        export_bundle(bundle, folder / f'model.{suffix}')
        exported = TrackletInferencer(folder / f'model.{suffix}', **settings)
        ways[f'exported to .{suffix}, frames in memory'] = lambda run=exported: [run.embed(batch) for batch in batches]
    for run in ways.values():
        run()  # warm up
    return ways


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', nargs='?', default='dsc/dsc_demo', help='config of a model (default: %(default)s)')
    parser.add_argument('--tracklets', type=int, default=64, help='number of tracklets (default: %(default)s)')
    parser.add_argument('--batch-size', type=int, default=16, help='tracklets per batch (default: %(default)s)')
    parser.add_argument('--repeats', type=int, default=9, help='number of rounds (default: %(default)s)')
    add_out_argument(parser, 'inference')
    return parser.parse_args()


if __name__ == '__main__':
    main()
