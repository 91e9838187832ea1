"""What packed JPEGs of 288x144 would gain from lower qualities and libjpeg-turbo's faster, less exact decoding.

Renders and packs a world as data.py does, loads the same tracklets of 6 frames in each way, and compares the pixels
with those that were packed. Uses one process and one thread, and measures processor time.

Example: python tools/benchmarks/lossy_jpeg.py
"""

import argparse
import statistics
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import data
import numpy as np
import simplejpeg
import torch
from machine import interleaved_cpu_seconds, markdown_table, print_table, write_results

FAST = {'fastdct': True, 'fastupsample': True}


def main() -> None:
    """Measure each quality, decoded exactly and fast, print one table, and write it if requested."""
    args = parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    with tempfile.TemporaryDirectory() as folder:
        results = measure(Path(folder), args)
    columns = ['way', 'us/frame', 'times the plain way', 'bytes of a frame', 'PSNR dB', 'lowest PSNR dB']
    rows = [row_of(name, values) for name, values in results.items()]
    title = f'Loading packed frames of {data.str_size(data.SIZE)}, medians of {args.repeats}'
    print_table(title, columns, rows)
    if args.output:
        write_results(args.output, 'lossy_jpeg', results, {title: markdown_table(columns, rows)})


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--qualities', type=int, nargs='+', default=[95, 90, 80, 50], help='JPEG qualities')
    parser.add_argument('--people', type=int, default=4, help='training identities, 192 frames each')
    parser.add_argument('--repeats', type=int, default=7, help='rounds of which the median is shown')
    parser.add_argument('--output', type=Path, metavar='DIR', help='write lossy_jpeg.json and lossy_jpeg.md')
    return parser.parse_args()


def measure(folder: Path, args: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Measure speed, size and error of each way."""
    from dscreid.datasets.packing import pack, plan_packing
    from dscreid.datasets.storage import FrameFormat

    roots = data.prepare_world(folder, data.SIZE, args.people)
    plain, num_frames = data.loading_ways(roots)
    functions = {name: plain[name] for name in (data.REFERENCE, 'packed raw')}
    results: dict[str, dict[str, float]] = {name: {} for name in functions}
    for quality in args.qualities:
        root = folder / f'quality_{quality}'
        pack(plan_packing('hitsz', roots['files'], FrameFormat(data.SIZE, quality=quality)), root)
        for kind, options in (('exact', {}), ('fast', FAST)):
            name, decode = f'quality {quality}, {kind}', partial(decode_with, options)
            functions[name] = loader(root, decode)
            results[name] = {'bytes': data.bytes_per_frame(root), **errors(root, roots['raw'], decode)}
    seconds = interleaved_cpu_seconds(functions, args.repeats)
    for name, values in seconds.items():
        factors = [plain / value for plain, value in zip(seconds[data.REFERENCE], values, strict=True)]
        results[name] |= {'seconds': statistics.median(values) / num_frames, 'factor': statistics.median(factors)}
    return results


def decode_with(options: dict[str, bool], content: memoryview, at_least: Any = None) -> np.ndarray:
    """Decode a packed JPEG at full size, to pixels as returned by ``dscreid.datasets.decoding``."""
    space = 'gray' if simplejpeg.decode_jpeg_header(content)[2] == 'Gray' else 'rgb'
    image = simplejpeg.decode_jpeg(content, space, **options)
    return image[..., 0] if space == 'gray' else image


def loader(root: Path, decode: Callable) -> Callable[[], None]:
    """Return a function that loads every training tracklet once."""
    from dscreid.datasets import HITSZVCM
    from dscreid.datasets.transforms import LoadFrames, PackTracklet, SampleFrames

    load = LoadFrames(data.SIZE)
    load._decode = decode
    pipeline = [SampleFrames(num_frames=6, rule='segment_random'), load, PackTracklet()]
    dataset = HITSZVCM(root, 'train', expected_statistics=None, pipeline=pipeline)

    def everything() -> None:
        for index in range(len(dataset)):
            _ = dataset[index]

    return everything


def errors(root: Path, raw_root: Path, decode: Callable) -> dict[str, float]:
    """Compute the PSNR in dB over all training frames, and of the worst one."""
    from dscreid.datasets import HITSZVCM
    from dscreid.datasets.decoding import decode_frame

    packed, raw = (HITSZVCM(path, 'train', expected_statistics=None) for path in (root, raw_root))
    squares = []
    for frame in (frame for tracklet in packed.tracklets for frame in tracklet.frames):
        pixels = decode_frame(packed.storage, frame, decode).astype(np.float64)
        pixels = pixels[..., None] if pixels.ndim == 2 else pixels
        squares.append(np.square(pixels - decode_frame(raw.storage, frame, decode)).mean())
    return {
        'psnr': float(10 * np.log10(255**2 / np.mean(squares))),
        'lowest_psnr': float(10 * np.log10(255**2 / np.max(squares))),
    }


def row_of(name: str, values: dict[str, float]) -> list[str]:
    """Make one table row."""
    known = 'psnr' in values
    return [
        name,
        f'{1e6 * values["seconds"]:.0f}',
        f'{values["factor"]:.1f}',
        f'{values["bytes"]:,.0f}' if known else '-',
        *(f'{values[key]:.1f}' if known else '-' for key in ('psnr', 'lowest_psnr')),
    ]


if __name__ == '__main__':
    main()
