"""Memory of a config's training step on each device, with and without recomputing the backbone's blocks (with_cp).

Computed from shapes: weights, gradients, Adam's moments, and what the backbone keeps for the backward pass.
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
    parser.add_argument('--amp', action='store_true', help='in bfloat16 mixed precision instead of float32')
    args = parser.parse_args()
    rows = memory_rows(args.config, args.devices, args.amp)
    columns = ['backbone', 'devices', 'weights', 'gradients', 'moments', 'activations', 'GB per device']
    print_table('Memory of a training step, GB', columns, rows)


def memory_rows(path: Path, devices: list[int], amp: bool = False) -> list[list[str]]:
    """Make a table row for each number of devices, without and with recomputed blocks."""
    from mmengine.registry import init_default_scope

    from dscreid.apis import load_config
    from dscreid.engine.step_memory import step_memory

    init_default_scope('dscreid')
    config = load_config(path)
    if amp:
        config.optim_wrapper.update(type='AmpOptimWrapper', dtype='bfloat16')
    rows = []
    for with_cp in (False, True):
        for count in devices:
            memory = step_memory(config, count, with_cp=with_cp)
            rows.append([f'with_cp={with_cp}', str(count), *(f'{part / 1e9:.2f}' for part in (*memory, memory.total))])
    return rows


if __name__ == '__main__':
    main()
