"""Tracklets per second and memory of an adaptation config's training step and extraction, on random pixels.

Example: python tools/benchmarks/training.py configs/dsc/dsc_bupt2hitsz.py --amp
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from machine import describe_machine, in_fresh_process, print_table
from mmengine.config import DictAction


def main() -> None:
    """Measure in a fresh process and print one table."""
    args = parse_args()
    result = in_fresh_process(measure, args.config, args.cfg_options, args.batches, args.amp)
    rows = [
        [name, f'{result[key]:.1f}', f'{result["batch"]}']
        for name, key in (('training (visible views counted once)', 'training'), ('extraction', 'extraction'))
    ]
    print_table(
        f'{args.config.name}, medians of {args.batches} batches, {"bfloat16" if args.amp else "float32"}',
        ['step', 'tracklets/s', 'batch'],
        rows,
    )
    print(f'Peak memory: {result["peak_gb"]:.2f} GB of the process, {result["gpu_gb"]:.2f} GB on the GPU.')


def parse_args() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        'config', type=Path, help='config of an adaptation, for example configs/synthetic/demo_dsc.py'
    )
    parser.add_argument('--batches', type=int, default=5, help='batches of which the median is shown')
    parser.add_argument('--amp', action='store_true', help='bfloat16 autocast')
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, default={}, metavar='KEY=VALUE', help='overrides'
    )
    return parser.parse_args()


def measure(config_path: Path, options: dict, batches: int, amp: bool) -> dict:
    """Median rates of one machine's device; weights and pixels are random, the memories hold 2 x 5,000 tracklets."""
    from mmengine.registry import init_default_scope

    from dscreid.apis import load_config
    from dscreid.registry import MODELS

    init_default_scope('dscreid')
    config = load_config(config_path, options)
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    model = MODELS.build(config.model).to(device)
    _fill_memories(model, device)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-6)
    batch = _random_batch(config)

    def train() -> None:
        with torch.autocast(device, torch.bfloat16, enabled=amp):
            losses = model(**model.data_preprocessor(batch, training=True), mode='loss')
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
        model.update_memories()

    @torch.no_grad()
    def extract() -> None:
        with torch.autocast(device, torch.bfloat16, enabled=amp):
            model.embed(model.data_preprocessor(batch, training=False)['inputs'])

    size = len(batch['inputs'])
    rates = {}
    for name, step in (('training', train), ('extraction', extract)):
        model.train(name == 'training')
        rates[name] = size / _median_step(step, batches, device)
    gpu = torch.cuda.max_memory_allocated() / 1e9 if device == 'cuda' else 0.0
    return rates | {'batch': size, 'gpu_gb': gpu, 'machine': describe_machine()}


def _median_step(step, batches: int, device: str) -> float:
    """Median seconds of a step after one warm-up; the GPU's queue is waited for."""
    from machine import median_seconds

    def finished() -> None:
        step()
        if device == 'cuda':
            torch.cuda.synchronize()

    finished()
    return median_seconds(finished, batches)


def _fill_memories(model, device: str, tracklets: int = 5000, cluster_size: int = 10) -> None:
    from dscreid.pseudo_labels import PseudoLabels
    from dscreid.structures import TrackletFeatures

    generator = torch.Generator().manual_seed(0)
    size = (tracklets, model.backbone.embed_dim)
    halves = [torch.randn(size, generator=generator).to(device) for _ in range(4)]
    labels = np.arange(tracklets) // cluster_size
    model.reset_memories(
        TrackletFeatures(*halves[:2]),
        TrackletFeatures(*halves[2:]),
        PseudoLabels(rgb=labels, ir=labels, shared=True),
        np.arange(tracklets),
        np.arange(tracklets, 2 * tracklets),
    )


def _random_batch(config) -> dict:
    """A batch of the config's sampler: infrared tracklets first, then visible ones."""
    from dscreid.structures import ReIDDataSample

    sampler = config.train_dataloader.sampler
    counts = {'ir': sampler.infrared[0] * sampler.infrared[1], 'rgb': sampler.visible[0] * sampler.visible[1]}
    first_row = {'rgb': 0, 'ir': 5000}
    frames = config.model.backbone.num_frames
    size = tuple(config.model.backbone.tower.image_size)
    generator = torch.Generator().manual_seed(0)
    inputs, samples = [], []
    for modality, count in counts.items():
        for row in range(count):
            inputs.append(torch.randint(256, (frames, 3, *size), generator=generator, dtype=torch.uint8))
            facts = {'index': first_row[modality] + row, 'modality': modality, 'camera': 0, 'seed': row}
            samples.append(ReIDDataSample(metainfo=facts))
    return {'inputs': inputs, 'data_samples': samples}


if __name__ == '__main__':
    main()
