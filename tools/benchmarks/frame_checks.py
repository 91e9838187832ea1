"""Frames per second of the doctor's check of all images in a folder.

Example: python tools/synthesize.py --layout hitsz --preset demo --out worlds/demo
         python tools/benchmarks/frame_checks.py worlds/demo
"""

import argparse
from pathlib import Path

from machine import print_table

from dscreid.datasets.storage import FolderFrames
from dscreid.lab.dataset_checks.frames import scan_files


def main() -> None:
    """Measure the check with each number of threads and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('folder', type=Path, help='folder with .jpg or .png files')
    parser.add_argument('--jobs', type=int, nargs='+', default=[1, 2], help='numbers of threads')
    args = parser.parse_args()
    frames = sorted(str(p.relative_to(args.folder)) for p in args.folder.rglob('*') if p.suffix in ('.jpg', '.png'))
    if not frames:
        parser.error(f'{args.folder} holds no .jpg or .png file')
    rows = [[str(jobs), f'{_rate(args.folder, frames, jobs):,.0f}'] for jobs in args.jobs]
    print_table(f'{len(frames):,} frames below {args.folder}', ['threads', 'frames/s'], rows)


def _rate(folder: Path, frames: list[str], jobs: int) -> float:
    return len(frames) / scan_files(FolderFrames(folder), frames, jobs).seconds


if __name__ == '__main__':
    main()
