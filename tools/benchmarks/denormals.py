"""The backward pass through an attention that is more or less saturated, with and without denormal numbers.

Prompts pass through the MLP of a small encoder, and queries attend to them, as in the dynamic feature of the demo. The
larger the logits, the more weights and gradients are below the smallest normal number of float32. The two ways take
turns.

Example: OMP_NUM_THREADS=1 python tools/benchmarks/denormals.py
"""

import argparse
import contextlib
import statistics
import time

import torch
from results import Table, add_out_argument, publish
from torch import Tensor, nn

from dscreid.engine.denormals import denormals_as_zero

#: Tracklets, frames, prompts and width of the demo.
_TRACKLETS, _FRAMES, _WIDTH, _HEADS = 16, 6, 128, 4
_SPREADS = (1.0, 10.0, 30.0, 100.0, 300.0)


def main() -> None:
    """Measure and publish one table."""
    args = parse_args()
    results = {spread: measure(spread, args.repeats) for spread in _SPREADS}
    rows = [
        [
            f'{spread:g}',
            f'{values["denormal"]:.1%}',
            f'{1000 * values["kept"]:.1f}',
            f'{1000 * values["zero"]:.1f}',
            f'{values["kept"] / values["zero"]:.1f}',
        ]
        for spread, values in results.items()
    ]
    columns = ['standard deviation of logits', 'denormal gradients', 'kept, ms', 'as zero, ms', 'ratio']
    title = f'Backward pass through MLP and attention, medians of {args.repeats}'
    publish(args.out, [Table(title, columns, rows)], [], {f'{spread:g}': values for spread, values in results.items()})


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--repeats', type=int, default=15, help='passes of which the median is shown (default: 15)')
    add_out_argument(parser, 'denormals')
    return parser.parse_args()


def measure(spread: float, repeats: int) -> dict[str, float]:
    """Return the median seconds of both ways, and the share of the prompts' gradients that is denormal."""
    generator = torch.Generator().manual_seed(0)
    mlp = nn.Sequential(nn.Linear(_WIDTH, 4 * _WIDTH), nn.GELU(), nn.Linear(4 * _WIDTH, _WIDTH))
    tokens = torch.randn(_TRACKLETS, _FRAMES**2, _WIDTH, generator=generator)
    queries = torch.randn(_TRACKLETS, _HEADS, _FRAMES, _WIDTH // _HEADS, generator=generator)
    with torch.no_grad():
        scale = spread / _logits(queries, mlp(tokens)).std()
    times: dict[str, list[float]] = {'kept': [], 'zero': []}
    denormal = 0.0
    for _ in range(repeats):
        for name, way in (('kept', contextlib.nullcontext), ('zero', denormals_as_zero)):
            with way():
                prompts = mlp(tokens)
                prompts.retain_grad()
                loss = _attended(scale * queries, prompts).square().sum()
                start = time.perf_counter()
                loss.backward()
                times[name].append(time.perf_counter() - start)
            if name == 'kept':
                size = prompts.grad.abs()
                denormal = float(((size > 0) & (size < torch.finfo(size.dtype).tiny)).float().mean())
    return {'denormal': denormal, **{name: statistics.median(values) for name, values in times.items()}}


def _heads(prompts: Tensor) -> Tensor:
    return prompts.unflatten(-1, (_HEADS, -1)).transpose(1, 2)


def _logits(queries: Tensor, prompts: Tensor) -> Tensor:
    return queries @ _heads(prompts).transpose(-1, -2) / (_WIDTH // _HEADS) ** 0.5


def _attended(queries: Tensor, prompts: Tensor) -> Tensor:
    return _logits(queries, prompts).softmax(-1) @ _heads(prompts)


if __name__ == '__main__':
    main()
