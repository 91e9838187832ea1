"""Memory of a config's training step on each device, with and without recomputing the backbone's blocks (with_cp).

Computed from shapes in float32: weights, gradients, Adam's moments, and what the backbone keeps for the backward pass.
Nothing is allocated, so real sizes need no GPU.

Example: python tools/benchmarks/saved_activations.py configs/dsc/dsc_bupt2hitsz.py
"""

import argparse
from pathlib import Path

from machine import print_table


def main() -> None:
    """Compute both for one to eight devices and print them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', type=Path, help='config of an adaptation whose backbone is SpatioTemporalPrompting')
    parser.add_argument('--devices', type=int, nargs='+', default=[1, 2, 4, 8], help='numbers of devices')
    args = parser.parse_args()
    rows = memory_rows(args.config, args.devices)
    columns = ['backbone', 'devices', 'weights', 'gradients', 'moments', 'activations', 'GB per device']
    print_table('Memory of a training step, GB', columns, rows)


def memory_rows(path: Path, devices: list[int]) -> list[list[str]]:
    """Make a table row for each number of devices, without and with recomputed blocks."""
    from mmengine.registry import init_default_scope

    from dscreid.apis import load_config
    from dscreid.lab.acceptance.trial import batch_views, frames_and_size
    from dscreid.lab.doctor.memory import training_memory

    init_default_scope('dscreid')
    config = load_config(path)
    num_frames, size = frames_and_size(config)
    rows = []
    for with_cp in (False, True):
        backbone = {**config.model.backbone, 'with_cp': with_cp}
        for count in devices:
            memory = training_memory(backbone, (num_frames, *size), batch_views(config), count)
            rows.append([f'with_cp={with_cp}', str(count), *(f'{part / 1e9:.2f}' for part in (*memory, memory.total))])
    return rows


if __name__ == '__main__':
    main()
