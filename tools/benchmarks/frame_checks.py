"""Frames per second of the doctor's header check and of decoding, for all images in a folder.

Example: python tools/synthesize.py --layout hitsz --preset demo --out worlds/demo
         python tools/benchmarks/frame_checks.py worlds/demo
"""

import argparse
import time
from functools import partial
from pathlib import Path

from machine import print_table

from dscreid.datasets.bad_frames import fault_of, scan_frames
from dscreid.datasets.storage import FolderFrames
from dscreid.lab.dataset_checks.frame_header import read_header


def main() -> None:
    """Measure each check with each number of threads and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('folder', type=Path, help='folder with .jpg or .png files')
    parser.add_argument('--jobs', type=int, nargs='+', default=[1, 2], help='numbers of threads')
    args = parser.parse_args()
    frames = sorted(str(p.relative_to(args.folder)) for p in args.folder.rglob('*') if p.suffix in ('.jpg', '.png'))
    if not frames:
        parser.error(f'{args.folder} holds no .jpg or .png file')
    checks = {
        'header': lambda frame: read_header(str(args.folder / frame)),
        'decode': partial(fault_of, FolderFrames(args.folder)),
    }
    rows = [
        [name, str(jobs), f'{_rate(check, frames, jobs):,.0f}'] for name, check in checks.items() for jobs in args.jobs
    ]
    print_table(f'{len(frames):,} frames below {args.folder}', ['check', 'threads', 'frames/s'], rows)


def _rate(check, frames: list[str], jobs: int) -> float:
    start = time.perf_counter()
    for _ in scan_frames(check, frames, jobs, 'check'):
        pass
    return len(frames) / (time.perf_counter() - start)


if __name__ == '__main__':
    main()
