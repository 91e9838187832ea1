"""Measure how fast the synthetic world is rendered, including JPEG encoding and writing.

Example: python tools/benchmarks/rendering.py --processes 2
"""

import argparse
import tempfile
from pathlib import Path

from machine import print_table

from dscreid.lab.synthetic import WorldSpec, render_world

SIZES = ((64, 32), (128, 64), (288, 144))
WORLDS = (('bupt', 'bupt', 12), ('hitsz', 'hitsz', 12), ('bupt', 'varied', 2))  # layout, domain, frames


def main(argv: list[str] | None = None) -> None:
    """Measure every domain at every size and print one table."""
    args = parse_args(argv)
    rows = []
    for size in SIZES:
        for layout, domain, length in WORLDS:
            frames, speed, weight = measure(layout, domain, length, size, args.processes, args.frames)
            speeds = [f'{speed:,.0f}', f'{speed / args.processes:,.0f}']
            rows.append([domain, f'{size[0]} x {size[1]}', f'{frames:,}', *speeds, f'{weight:,.0f}'])
    columns = ['domain', 'frame', 'frames', 'frames/s', 'frames/s per process', 'bytes per frame']
    print_table(f'Rendering with {args.processes} process(es)', columns, rows)
    print('Domain varied draws a camera and a background for each tracklet of 2 frames.')


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument('--processes', type=int, default=1, help='number of processes (default: 1)')
    parser.add_argument('--frames', type=int, default=3000, help='frames per measurement, about (default: 3000)')
    args = parser.parse_args(argv)
    if args.processes < 1 or args.frames < 1:
        parser.error('--processes and --frames must be at least 1')
    return args


def measure(
    layout: str, domain: str, length: int, size: tuple[int, int], processes: int, budget: int
) -> tuple[int, float, float]:
    """Render about ``budget`` frames into a temporary folder.

    Args:
        layout: Layout of the world.
        domain: Its domain.
        length: Frames per tracklet.
        size: Height and width of a frame.
        processes: Number of processes.
        budget: Approximate number of frames to render.

    Returns:
        tuple[int, float, float]: Frames, frames per second of wall time, mean bytes of a JPEG file.
    """
    people = max(2 * processes, budget // (24 * length))
    spec = WorldSpec(
        layout, domain, train_ids=people, test_ids=1, tracklets=12, test_tracklets=2,
        min_frames=length, max_frames=length, height=size[0], width=size[1],
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        summary = render_world(Path(folder) / 'world', spec, processes, progress=False)
        weights = [path.stat().st_size for path in Path(folder).rglob('*.jpg')]
    return summary.frames, summary.frames / summary.seconds, sum(weights) / len(weights)


if __name__ == '__main__':
    main()
