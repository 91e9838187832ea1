"""A config's training step and extraction compared with plain eager code and with the device's own peak.

Weights and pixels are random; the memories contain 2 x 5,000 tracklets. The reference runs the same batch through
complete blocks of open_clip with PyTorch's attention module. With --amp, it uses float16 with a loss scaler, as older
code does. The peak is that of one large matrix product in the same number format. PyTorch counts the operations while a
step runs.

With --sync-debug, PyTorch also lists every place where a training step waits for the GPU.

Example: python tools/benchmarks/train_step.py configs/dsc/dsc_bupt2hitsz.py --amp --compile --sync-debug
"""

import argparse
import copy
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from machine import in_fresh_process
from results import Table, add_out_argument, publish

_FIRST_INFRARED = 5000


def main() -> None:
    """Measure in a new process and publish one table."""
    args = parse_args()
    result = in_fresh_process(
        measure, args.config, args.cfg_options, args.batches, args.amp, args.compile, args.sync_debug
    )
    peak = result['peak_tflops']
    publish(
        args.out,
        [
            Table(
                f'{args.config.name}, batch of {result["batch"]} tracklets, medians of {args.batches}',
                ['step', 'tracklets/s', 'against the reference', 'TFLOP/s', 'of the peak', 'GPU GB beyond weights'],
                [
                    _row(step, name, result)
                    for step in ('training', 'extraction')
                    for name in ('reference', 'this code')
                ],
            )
        ],
        [
            f'Peak: {peak:.3g} TFLOP/s in {"bfloat16" if args.amp else "float32"}, measured. Steps of both take turns.',
            'Visible tracklets of a training batch are encoded in each of their views and counted once.',
            *_waits_in_words(result['waits']),
        ],
        result,
    )


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', type=Path, help='config of an adaptation, for example configs/dsc/dsc_demo.py')
    parser.add_argument('--batches', type=int, default=5, help='batches of which the median is shown')
    parser.add_argument('--amp', action='store_true', help='bfloat16 autocast (reference: float16)')
    parser.add_argument('--compile', action='store_true', help='with compile_blocks of the backbone')
    parser.add_argument(
        '--sync-debug', action='store_true', help='name the places where a training step waits for the GPU'
    )
    add_out_argument(parser, 'train_step')
    from dscreid.apis.command_line import add_config_options

    add_config_options(parser)
    args = parser.parse_args()
    if args.sync_debug and not torch.cuda.is_available():
        parser.error('--sync-debug needs a GPU, and PyTorch finds none: leave it out, or run on a machine with one')
    return args


def measure(
    config_path: Path, options: dict, batches: int, amp: bool, compiled: bool, sync_debug: bool = False
) -> dict:
    """Measure rates and operations of both ways and both steps on this machine's device, and find waits for it."""
    from mmengine.registry import init_default_scope

    from dscreid.apis import load_config
    from dscreid.lab.acceptance import timing

    init_default_scope('dscreid')
    config = load_config(config_path, options)
    batch = _random_batch(config)
    result = {'batch': len(batch['inputs']), 'peak_tflops': _peak(amp), 'waits': None}
    models = {'reference': _model(config, eager=True), 'this code': _model(config, compiled=compiled)}
    for step in ('training', 'extraction'):
        ways = {}
        for name, model in models.items():
            model.train(step == 'training')
            eager = name == 'reference'
            autocast = torch.autocast(_device(), torch.float16 if eager else torch.bfloat16, enabled=amp)
            ways[name] = _steps(model, batch, autocast, scaled=eager and amp)[step]
        result[step] = _measured(ways, batches, len(batch['inputs']))
        if sync_debug and step == 'training':
            result['waits'] = timing.waits_of(ways['this code'], _device())
    return result


def _measured(ways: dict[str, Callable[[], None]], batches: int, size: int) -> dict[str, dict[str, float]]:
    """Measure rate, operations per second and memory of each way; the ways take turns, so that noise affects both."""
    from dscreid.lab.acceptance import timing

    operations, memory = {}, {}
    for name, step in ways.items():
        step()
        memory[name] = _memory_of(step)
        operations[name] = timing.operations_of(step)
    times = {name: [] for name in ways}
    for _ in range(batches):
        for name, step in ways.items():
            times[name].append(_seconds(step))
    medians = {name: statistics.median(values) for name, values in times.items()}
    return {
        name: {
            'rate': size / seconds,
            'tflops': operations[name] / seconds / 1e12,
            'speedup': medians['reference'] / seconds,
            'gpu_gb': memory[name],
        }
        for name, seconds in medians.items()
    }


def _peak(amp: bool, size: int = 4096, repeats: int = 7) -> float:
    """Measure the TFLOP/s of one large matrix product, the best of several repeats."""
    dtype = torch.bfloat16 if amp else torch.float32
    a, b = (torch.randn(size, size, device=_device(), dtype=dtype) for _ in range(2))
    return 2 * size**3 / min(_seconds(lambda: a @ b) for _ in range(repeats)) / 1e12


def _model(config, eager: bool = False, compiled: bool = False):
    """Build the config's model with random weights and filled memories."""
    from dscreid.registry import MODELS

    settings = copy.deepcopy(config.model)
    if compiled:
        settings.backbone.compile_blocks = True
    torch.manual_seed(0)
    model = MODELS.build(settings)
    if eager:
        model.backbone.__class__ = _reference_class()
    model.to(_device())
    _fill_memories(model, _device())
    return model


def _steps(model, batch: dict, autocast, scaled: bool) -> dict[str, Callable[[], None]]:
    """Return the two steps to time."""
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-6, fused=not scaled and _device() == 'cuda')
    scaler = torch.amp.GradScaler(_device(), enabled=scaled)

    def training() -> None:
        with autocast:
            losses = model(**model.data_preprocessor(batch, training=True), mode='loss')
        optimizer.zero_grad()
        scaler.scale(sum(losses.values())).backward()
        scaler.step(optimizer)
        scaler.update()
        model.update_memories()

    @torch.no_grad()
    def extraction() -> None:
        with autocast:
            model.embed(model.data_preprocessor(batch, training=False)['inputs'])

    return {'training': training, 'extraction': extraction}


def _reference_class() -> type:
    from references.prompting import EagerPrompting

    return EagerPrompting


def _memory_of(step: Callable[[], None]) -> float:
    """Measure the GB of GPU memory that a step uses beyond what is allocated before it; 0 without a GPU."""
    if _device() == 'cpu':
        return 0.0
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    step()
    return (torch.cuda.max_memory_allocated() - before) / 1e9


def _seconds(step: Callable[[], object]) -> float:
    """Measure the wall time of a step, including pending GPU work."""
    start = time.perf_counter()
    step()
    if _device() == 'cuda':
        torch.cuda.synchronize()
    return time.perf_counter() - start


def _device() -> str:
    return 'cuda' if torch.cuda.is_available() else 'cpu'


def _waits_in_words(waits: list[str] | None) -> list[str]:
    """Make a note on what --sync-debug found; empty without it."""
    if waits is None:
        return []
    places = ', '.join(dict.fromkeys(waits)) or 'nowhere'
    return [f'A training step waits for the GPU {len(waits)} times: {places}.']


def _row(step: str, name: str, result: dict) -> list[str]:
    """Make one table row."""
    values = result[step][name]
    return [
        f'{step}, {name}',
        f'{values["rate"]:.1f}',
        f'{values["speedup"]:.2f}',
        f'{values["tflops"]:.3g}',
        f'{100 * values["tflops"] / result["peak_tflops"]:.0f} %',
        f'{values["gpu_gb"]:.2f}' if torch.cuda.is_available() else '-',
    ]


def _fill_memories(model, device: str, cluster_size: int = 10) -> None:
    from dscreid.pseudo_labels import PseudoLabels
    from dscreid.structures import TrackletFeatures

    generator = torch.Generator().manual_seed(0)
    size = (_FIRST_INFRARED, model.backbone.embed_dim)
    halves = [torch.randn(size, generator=generator).to(device) for _ in range(4)]
    labels = np.arange(_FIRST_INFRARED) // cluster_size
    model.reset_memories(
        TrackletFeatures(*halves[:2]),
        TrackletFeatures(*halves[2:]),
        PseudoLabels(rgb=labels, ir=labels, shared=True),
        np.arange(_FIRST_INFRARED),
        np.arange(_FIRST_INFRARED, 2 * _FIRST_INFRARED),
    )


def _random_batch(config) -> dict:
    """Make a batch as the config's sampler would: infrared tracklets first, then visible ones."""
    from dscreid.engine.step_memory import batch_counts
    from dscreid.lab.acceptance.trial import artificial_batch
    from dscreid.structures import Modality

    first_row = {Modality.RGB: 0, Modality.IR: _FIRST_INFRARED}
    counts = batch_counts(config.train_dataloader.sampler)
    return artificial_batch(config, [(m, first_row[m] + row) for m, count in counts.items() for row in range(count)])


if __name__ == '__main__':
    main()
