"""Frames per second and core of loading tracklets: the plain way, from image files, and from packed shards.

First, worlds of rendered people are written and packed, in a temporary folder unless --worlds names one. Every way
loads the same sampled frames in one process and one thread, measured in processor time; files are in the system's
cache. All ways except the plain one return uint8 pixels, which the model's data preprocessor normalizes on its device;
the row "normalized here" adds that step on this processor.

Example: python tools/benchmarks/data.py --output work_dirs/benchmarks
"""

import argparse
import functools
import statistics
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import torch
from machine import interleaved_cpu_seconds, markdown_table, median_seconds, print_table, write_results
from references import loading

if TYPE_CHECKING:
    from dscreid.datasets.storage import FrameStorage

SIZE = (288, 144)
REFERENCE = 'PIL + torchvision, frame by frame'
DECODERS_REFERENCE = 'PIL'


def main() -> None:
    """Measure every size of source frames, print three tables, and write them if requested."""
    args = parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.worlds or Path(temporary)
        worlds = {size: prepare_world(folder, size, args.people) for size in args.sizes}
        results = {
            'loading': {str_size(size): measure_loading(world, args) for size, world in worlds.items()},
            'decoding': {str_size(size): measure_decoding(world, args) for size, world in worlds.items()},
            'packing': {str_size(size): measure_packing(world) for size, world in worlds.items()},
        }
    report(results, args)


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        '--sizes', type=read_size, nargs='+', default=[(288, 144), (512, 256), (640, 320)], metavar='HxW',
        help='sizes of the source frames (default: 288x144 512x256 640x320)',
    )  # fmt: skip
    parser.add_argument('--people', type=int, default=4, help='training identities, 192 frames each')
    parser.add_argument('--repeats', type=int, default=9, help='rounds of which the median is shown')
    parser.add_argument('--worlds', type=Path, metavar='DIR', help='keep worlds here, and use those that are')
    parser.add_argument('--output', type=Path, metavar='DIR', help='write data.json and data.md')
    return parser.parse_args()


def read_size(text: str) -> tuple[int, int]:
    """Parse HxW as two numbers."""
    height, width = text.split('x')
    return int(height), int(width)


def str_size(size: tuple[int, int]) -> str:
    """Format two numbers as HxW."""
    return f'{size[0]}x{size[1]}'


def prepare_world(folder: Path, size: tuple[int, int], people: int) -> dict[str, Path]:
    """Render a world of preset full with frames of this size, and pack it; existing folders are reused.

    Returns:
        Roots of ``'files'``, ``'jpeg'`` and ``'raw'``.
    """
    from dscreid.datasets.packing import pack, plan_packing
    from dscreid.datasets.storage import FrameFormat
    from dscreid.lab.synthetic import make_spec, render_world
    from dscreid.lab.synthetic.target_folder import is_complete

    roots = {name: folder / f'{name}_{str_size(size)}' for name in ('files', 'jpeg', 'raw')}
    spec = make_spec(
        'full', 'hitsz', train_ids=people, test_ids=1, tracklets=4, test_tracklets=2, height=size[0], width=size[1]
    )
    if not is_complete(roots['files'], spec):
        render_world(roots['files'], spec, overwrite=roots['files'].exists())
    for frame_format in (FrameFormat(SIZE), FrameFormat(SIZE, encoding='raw', quality=None)):
        pack(plan_packing('hitsz', roots['files'], frame_format), roots[frame_format.encoding])
    return roots


def measure_loading(roots: Mapping[str, Path], args: argparse.Namespace) -> dict[str, Any]:
    """Measure processor seconds per frame of each way from a sampled tracklet to a tensor, round by round."""
    functions, num_frames = loading_ways(roots)
    seconds = interleaved_cpu_seconds(functions, args.repeats)
    return {'seconds_per_frame': {name: [value / num_frames for value in values] for name, values in seconds.items()}}


def loading_ways(roots: Mapping[str, Path]) -> tuple[dict[str, Callable[[], Any]], int]:
    """Return functions that load every training tracklet once, and the number of frames that each loads."""
    from dscreid.datasets import HITSZVCM
    from dscreid.datasets.decoding import available_decoders
    from dscreid.models.data_preprocessor import TrackletDataPreprocessor

    sample = {'type': 'SampleFrames', 'num_frames': 6, 'rule': 'segment_random'}

    def dataset(kind: str, **load: Any) -> HITSZVCM:
        pipeline = [sample, {'type': 'LoadFrames', 'size': SIZE, **load}, {'type': 'PackTracklet'}]
        return HITSZVCM(roots[kind], 'train', expected_statistics=None, pipeline=pipeline)

    def everything(data: HITSZVCM, then: Callable[[dict], Any] = lambda item: item) -> None:
        for index in range(len(data)):
            then(data[index])

    transform = loading.make_transform(SIZE)
    paths_only = HITSZVCM(
        roots['files'], 'train', expected_statistics=None, pipeline=[sample, lambda results: results['frame_paths']]
    )
    preprocess = TrackletDataPreprocessor()
    ways = {
        REFERENCE: functools.partial(
            everything, paths_only, lambda paths: loading.load_tracklet(roots['files'], paths, transform)
        )
    }
    for backend in available_decoders():
        ways[f'files, {backend}'] = functools.partial(everything, dataset('files', backend=backend))
    ways['files, auto, reduce=True'] = functools.partial(everything, dataset('files', reduce=True))
    ways['files, auto, normalized here'] = functools.partial(
        everything, dataset('files'), lambda item: preprocess({'inputs': [item['inputs']]})
    )
    for backend in available_decoders():
        ways[f'packed JPEG, {backend}'] = functools.partial(everything, dataset('jpeg', backend=backend))
    ways['packed raw'] = functools.partial(everything, dataset('raw'))
    return ways, 6 * len(paths_only)


def measure_decoding(roots: Mapping[str, Path], args: argparse.Namespace) -> dict[str, Any]:
    """Measure processor seconds per frame of decoding from memory; with a GPU, also nvJPEG by wall time."""
    contents = [path.read_bytes() for path in sorted(roots['files'].rglob('*.jpg'))[::4]]
    functions = {
        name: functools.partial(lambda decode: [decode(content) for content in contents], decode)
        for name, decode in decoders().items()
    }
    seconds = interleaved_cpu_seconds(functions, args.repeats)
    if torch.cuda.is_available():
        decode_all = nvjpeg(contents)
        decode_all()
        name = "torchvision, nvJPEG, batches of 144 (the device's wall time)"
        seconds[name] = [median_seconds(decode_all, 1) for _ in range(args.repeats)]
    return {
        'seconds_per_frame': {name: [value / len(contents) for value in values] for name, values in seconds.items()}
    }


def measure_packing(roots: Mapping[str, Path]) -> dict[str, float]:
    """Measure the mean bytes per frame of each storage, and the PSNR of JPEG packing in dB over all frames."""
    import numpy as np

    from dscreid.datasets.decoding import decode_frame, decode_with_cv2
    from dscreid.datasets.storage import open_frames
    from dscreid.datasets.transforms import fit_frame

    def pixels(storage: 'FrameStorage', frame: str) -> np.ndarray:
        out = np.empty((*SIZE, 3), np.uint8)
        fit_frame(decode_frame(storage, frame, decode_with_cv2), out)
        return out.astype(np.float64)

    jpeg, raw = open_frames(roots['jpeg']), open_frames(roots['raw'])
    frames = [str(path.relative_to(roots['files'])) for path in sorted(roots['files'].rglob('*.jpg'))]
    errors = np.array([np.square(pixels(jpeg, frame) - pixels(raw, frame)).mean() for frame in frames])
    return {
        'frames': len(frames),
        **{name: bytes_per_frame(root) for name, root in roots.items()},
        'psnr': float(10 * np.log10(255**2 / errors.mean())),
        'lowest_psnr': float(10 * np.log10(255**2 / errors.max())),
    }


def decoders() -> dict[str, Callable[[bytes], Any]]:
    """Return functions that decode the bytes of a JPEG to RGB pixels."""
    import io

    import numpy as np
    from PIL import Image
    from torchvision.io import ImageReadMode, decode_jpeg

    from dscreid.datasets.decoding import available_decoders

    def pil(content: bytes) -> Any:
        return np.asarray(Image.open(io.BytesIO(content)).convert('RGB'))

    def torchvision(content: bytes) -> Any:
        # a writable copy, because torch warns about read-only buffers
        return decode_jpeg(torch.frombuffer(bytearray(content), dtype=torch.uint8), mode=ImageReadMode.RGB)

    return {DECODERS_REFERENCE: pil, **available_decoders(), 'torchvision': torchvision}


def nvjpeg(contents: list[bytes]) -> Callable[[], None]:
    """Return a function that decodes all contents on the GPU, in batches of 24 tracklets of 6 frames."""
    from torchvision.io import ImageReadMode, decode_jpeg

    encoded = [torch.frombuffer(bytearray(content), dtype=torch.uint8) for content in contents]

    def decode_all() -> None:
        for start in range(0, len(encoded), 144):
            decode_jpeg(encoded[start : start + 144], mode=ImageReadMode.RGB, device='cuda')
        torch.cuda.synchronize()

    return decode_all


def report(results: Mapping[str, Any], args: argparse.Namespace) -> None:
    """Print the tables, and write them if requested."""
    columns = ['way', 'source', 'us/frame', 'frames/s per core', 'times the plain way']
    titles = {
        'loading': f'From the index to a tracklet of 6 frames of {str_size(SIZE)}, medians of {args.repeats}',
        'decoding': f'Decoding alone, medians of {args.repeats}',
    }
    tables = {}
    for part, title in titles.items():
        rows = [row for size, result in results[part].items() for row in rows_of(size, result['seconds_per_frame'])]
        print_table(title, columns, rows)
        tables[title] = markdown_table(columns, rows)
    title = f'Bytes of a frame, and pixels of JPEG packing against raw, {str_size(SIZE)}'
    columns = ['source', 'frames', 'file', 'packed JPEG', 'packed raw', 'PSNR dB', 'lowest PSNR dB']
    rows = [
        [
            size,
            *(f'{values[name]:,.0f}' for name in ('frames', 'files', 'jpeg', 'raw')),
            f'{values["psnr"]:.1f}',
            f'{values["lowest_psnr"]:.1f}',
        ]
        for size, values in results['packing'].items()
    ]
    print_table(title, columns, rows)
    tables[title] = markdown_table(columns, rows)
    if args.output:
        write_results(args.output, 'data', results, tables)


def rows_of(size: str, seconds: Mapping[str, list[float]]) -> list[list[str]]:
    """Make one table row per way; the factor is the median over rounds of the factors within a round."""
    reference = seconds[REFERENCE if REFERENCE in seconds else DECODERS_REFERENCE]
    rows = []
    for name, values in seconds.items():
        median = statistics.median(values)
        factor = statistics.median(plain / value for plain, value in zip(reference, values, strict=True))
        rows.append([name, size, f'{1e6 * median:.0f}', f'{1 / median:,.0f}', f'{factor:.1f}'])
    return rows


def bytes_per_frame(root: Path) -> float:
    """Return the mean size of a frame on disk."""
    shards = list((root / 'shards').glob('*.safetensors'))
    if shards:
        from dscreid.datasets.storage.manifest import read_manifest

        return sum(path.stat().st_size for path in shards) / read_manifest(root).num_frames
    sizes = [path.stat().st_size for path in root.rglob('*.jpg')]
    return sum(sizes) / len(sizes)


if __name__ == '__main__':
    main()
