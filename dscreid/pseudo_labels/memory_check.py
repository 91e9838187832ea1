"""Check that a forecast fits into the available memory, with remedies if it does not."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

from dscreid.errors import ResourceError
from dscreid.pseudo_labels.forecast import ClusteringProblem, Forecast
from dscreid.utils.quantities import duration_text, size_text

_SMALLER = (
    'give the labeler a smaller k1 (a number in the place of auto) or a smaller eps, the max_distance up to which '
    'pairs are stored'
)
_SEARCH = "let ClusterHook search on the processor with neighbor_search=dict(method='ivf')"


def check_fits(
    forecast: Forecast,
    problems: Sequence[ClusteringProblem],
    host_free: int | None,
    device_free: int | None = None,
) -> str | None:
    """Raise or warn if clustering does not fit into memory.

    Only arrays that certainly exist at the same time raise an error. The expected peak, which may be too
    high, only leads to a warning.

    Args:
        forecast: Forecast of a round.
        problems: The sets of the round.
        host_free: Available bytes of main memory, including swap. None if unknown.
        device_free: Available bytes of GPU memory. None without a GPU.

    Returns:
        A warning if the expected peak exceeds the available memory, otherwise None.

    Raises:
        ResourceError: If the lower bound exceeds the available memory. The message gives N, the required and
            the available memory, and remedies.
    """
    warnings = []
    for kind, least, expected, free in (
        ('main memory', forecast.least_host_bytes, forecast.host_bytes, host_free),
        ('GPU memory', forecast.least_device_bytes, forecast.device_bytes, device_free),
    ):
        if free is None or max(least, expected) <= free:
            continue
        need = f'at least {size_text(least)}' if least > free else f'about {size_text(expected)}'
        message = (
            f'clustering {describe(problems)} needs {need} of {kind}, and {size_text(free)} can be had; '
            f'{remedies(kind)}'
        )
        if least > free:
            raise ResourceError(message)
        warnings.append(message)
    return '; '.join(warnings) or None


@contextmanager
def memory_errors(problems: Sequence[ClusteringProblem] | None, host_free: int | None) -> Iterator[None]:
    """Convert out-of-memory errors during clustering into an error with sizes and remedies.

    Args:
        problems: The sets to cluster. None if unknown.
        host_free: Bytes available before. None if unknown.

    Raises:
        ResourceError: If main memory or GPU memory is exhausted.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        on_gpu = isinstance(error, torch.OutOfMemoryError)
        if not on_gpu and not isinstance(error, MemoryError) and "can't allocate memory" not in str(error):
            raise
        kind = 'GPU memory' if on_gpu else 'main memory'
        had = '' if on_gpu or host_free is None else f' ({size_text(host_free)} could be had)'
        what = describe(problems) if problems else 'the tracklets'
        raise ResourceError(f'clustering {what} ran out of {kind}{had}; {remedies(kind)}') from error


def describe(problems: Sequence[ClusteringProblem]) -> str:
    """Format the sizes of a round: ``N x D = 1,000 x 1,536 and 500 x 1,536, k1 = 30``."""
    sizes = ' and '.join(f'{p.num:,} x {p.dimension:,}' for p in problems)
    k1 = ' and '.join(dict.fromkeys('auto' if p.k1 is None else str(p.k1) for p in problems))
    return f'N x D = {sizes}, k1 = {k1},'


def remedies(kind: str) -> str:
    """List what helps if ``'main memory'`` or ``'GPU memory'`` is too small."""
    first = f'{_SEARCH}, ' if kind == 'GPU memory' else ''
    return f'{first}{_SMALLER}, end other processes, or use a machine with more'


def forecast_text(forecast: Forecast) -> str:
    """Format a forecast in one line."""
    parts = [f'about {duration_text(forecast.seconds)}', f'{size_text(forecast.host_bytes)} of main memory']
    if forecast.device_bytes:
        parts.append(f'{size_text(forecast.device_bytes)} of GPU memory')
    return f'{", ".join(parts)} beside the features'
