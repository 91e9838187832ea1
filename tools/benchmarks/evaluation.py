"""Time, growth and memory of retrieval evaluation, compared with references that sort the gallery for each query.

The same command runs two references of references/ranking.py: a plain one, which sorts and measures query by
query, and one as fast as the field's scripts, which sorts the whole matrix and computes precision in a list
comprehension.

Example: python tools/benchmarks/evaluation.py --sizes 1000 2000 5000
"""

import argparse
from collections.abc import Callable
from typing import Any

import torch
from machine import CLOCKS, add_clock_argument, chosen_clock, in_fresh_process, median_seconds
from references import ranking
from results import Table, add_out_argument, fitted_exponent, publish

RANKS = (1, 5, 10, 20)


def main() -> None:
    """Measure each step in its own process, and publish one table."""
    args = parse_args()
    sizes = sorted(set(args.sizes))
    measured = {}
    for name in [WHOLE, *(name for name in STEPS if name != WHOLE and name.startswith(tuple(args.steps)))]:
        is_reference = STEPS[name][1]
        chosen = [size for size in sizes if size <= args.references_up_to or not is_reference]
        if chosen:
            measured[name] = in_fresh_process(measure, name, chosen, args.dim, args.repeats, args.device, args.clock)
    _check_same_figures(measured)
    publish(
        args.out,
        [
            Table(
                f'Evaluation, N queries x N gallery tracklets, D = {args.dim}, {args.device}, '
                f'medians of {args.repeats}',
                ['step', *(f'{size:,} s' for size in sizes), 'growth', 'ratio', 'peak GB'],
                [_row(result, measured[WHOLE], name, sizes) for name, result in measured.items()],
            )
        ],
        [
            f'growth: fitted exponent of N. ratio: time / that of {WHOLE}, at N = {sizes[-1]:,}.',
            f'Times by {CLOCKS[args.clock].name}. Persons have ten tracklets on either side; same person and '
            'camera are left out.',
            'peak GB: of a process that does this step alone, libraries and features included.',
        ],
        vars(args) | {'out': str(args.out), 'measured': measured},
    )


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        '--sizes', type=int, nargs='+', default=[1000, 2000, 5000], help='queries and gallery tracklets'
    )
    parser.add_argument('--dim', type=int, default=1536, help='feature dimension')
    parser.add_argument('--repeats', type=int, default=3, help='runs of which the median is shown')
    parser.add_argument(
        '--steps',
        nargs='+',
        default=[''],
        metavar='BEGINNING',
        help=f'steps beside rank_metrics, by how their names begin (default: all): {"; ".join(STEPS)}',
    )
    parser.add_argument('--device', default='cpu', help='where the features are, cpu or cuda')
    add_clock_argument(parser)
    parser.add_argument(
        '--references-up-to', type=int, default=5000, help='largest size for the references, 0 for none'
    )
    add_out_argument(parser, 'evaluation')
    args = parser.parse_args()
    chosen_clock(parser, args.clock)  # refuses what cannot be measured
    return args


def measure(name: str, sizes: list[int], dim: int, repeats: int, device: str, clock: str) -> dict[str, dict[int, Any]]:
    """Measure the median seconds of a step by size, and return the metrics that it computes, if any."""
    make, is_reference = STEPS[name]
    device = 'cpu' if is_reference else device
    make(_world(50, dim, device))()  # loads or compiles the kernels
    seconds, figures = {}, {}
    for size in sizes:
        step = make(_world(size, dim, device))
        found = []

        def run(step=step, found=found) -> None:
            found.append(step())
            if torch.device(device).type == 'cuda':
                torch.cuda.synchronize()

        seconds[size] = median_seconds(run, repeats, CLOCKS[clock].read)
        if isinstance(found[-1], dict) and 'valid_queries' in found[-1]:
            figures[size] = {key: float(value) for key, value in found[-1].items()}
    return {'seconds': seconds, 'figures': figures}


Step = Callable[[], Any]


def _product(sides: list[torch.Tensor]) -> Step:
    return lambda: sides[0] @ sides[3].T


def _counting(sides: list[torch.Tensor]) -> Step:
    from dscreid.evaluation import rank_queries

    scores = _Given(sides[0] @ sides[3].T)
    return lambda: rank_queries(scores, *sides[1:3], *sides[4:], drop_same_camera=True)


def _metrics(sides: list[torch.Tensor]) -> Step:
    from dscreid.evaluation import rank_metrics

    return lambda: rank_metrics(*sides, ranks=RANKS, drop_same_camera=True)


def _reference(function: str, sides: list[torch.Tensor]) -> Step:
    arrays = [part.numpy() for part in sides]
    return lambda: getattr(ranking, function)(*arrays, RANKS, True)


def _plain_reference(sides: list[torch.Tensor]) -> Step:
    return _reference('evaluate', sides)


def _field_reference(sides: list[torch.Tensor]) -> Step:
    return _reference('evaluate_with_lists', sides)


def _lists(sides: list[torch.Tensor]) -> Step:
    from dscreid.evaluation import rank_lists

    return lambda: rank_lists(*sides, drop_same_camera=True)


def _expansion(sides: list[torch.Tensor]) -> Step:
    from dscreid.evaluation import QueryExpansion, expand_queries

    return lambda: expand_queries(sides[0], sides[3], QueryExpansion())


def _reranking(sides: list[torch.Tensor]) -> Step:
    from dscreid.evaluation import Reranked, Reranking, rank_queries

    def run() -> None:
        scores = Reranked(sides[0], sides[3], Reranking())
        rank_queries(scores, *sides[1:3], *sides[4:], drop_same_camera=True)

    return run


def _bootstrap(sides: list[torch.Tensor]) -> Step:
    from dscreid.evaluation import InnerProduct, bootstrap_intervals, rank_queries

    ranks = rank_queries(InnerProduct(sides[0], sides[3]), *sides[1:3], *sides[4:])
    pids = sides[1].cpu().numpy()
    return lambda: bootstrap_intervals({'rgb2ir': ranks}, {'rgb2ir': pids})


WHOLE = 'rank_metrics: product and counting'
#: Name of each step → function that makes it from the arguments of ``rank_metrics``, and whether it is a
#: reference.
STEPS: dict[str, tuple[Callable[[list[torch.Tensor]], Step], bool]] = {
    'matrix product': (_product, False),
    'counting': (_counting, False),
    WHOLE: (_metrics, False),
    'plain reference: sorts query by query': (_plain_reference, True),
    "field's loop: sorts all, lists": (_field_reference, True),
    'rank_lists, first 6': (_lists, False),
    'query expansion, top 5': (_expansion, False),
    're-ranking, k1 20, k2 6, ranking included': (_reranking, False),
    'bootstrap, 1,000 draws, one direction': (_bootstrap, False),
}


class _Given:
    """Precomputed scores; every block is a copy, because ranking writes into it."""

    def __init__(self, scores: torch.Tensor) -> None:
        self.scores, self.shape, self.device = scores, tuple(scores.shape), scores.device

    def __getitem__(self, rows: slice) -> torch.Tensor:
        """Return a copy of some rows."""
        return self.scores[rows].clone()


def _world(size: int, dim: int, device: str) -> list[torch.Tensor]:
    """Make arguments of ``rank_metrics``: noisy features of persons with ten tracklets on either side."""
    generator = torch.Generator().manual_seed(0)
    pids, cameras = torch.arange(size) // 10, torch.arange(size) % 6
    centres = torch.randn(size // 10 + 1, dim, generator=generator)
    sides = []
    for _ in range(2):
        noise = torch.randn(size, dim, generator=generator)
        sides += [centres[pids] + 4 * noise, pids, cameras]
    return [part.to(device) for part in sides]


def _check_same_figures(measured: dict[str, dict]) -> None:
    """Refuse to compare the speed of different results; small differences allow for rounding of near ties."""
    ours = measured[WHOLE]['figures']
    for name, result in measured.items():
        for size, figures in result['figures'].items():
            wrong = [key for key, value in figures.items() if abs(value - ours[size][key]) > 1e-4]
            if wrong:
                raise RuntimeError(f'{name} finds {figures}, {WHOLE} {ours[size]} at N = {size}')


def _row(result: dict, whole: dict, name: str, sizes: list[int]) -> list[str]:
    """Make the table row of one step; cells are empty if it was not measured."""
    seconds, last = result['seconds'], sizes[-1]
    growth = f'{fitted_exponent(list(seconds), list(seconds.values())):.2f}' if len(seconds) > 1 else ''
    ratio = f'{seconds[last] / whole["seconds"][last]:.2f}' if last in seconds else ''
    times = [f'{seconds[size]:.3f}' if size in seconds else '' for size in sizes]
    return [name, *times, growth, ratio, f'{result["peak_gb"]:.2f}']


if __name__ == '__main__':
    main()
