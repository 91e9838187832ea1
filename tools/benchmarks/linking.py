"""Time and memory of linking tracklets to identities.

Each person has ten tracklets, whose features are a random direction plus noise of the same length. The tracklets are in
twenty cameras, half of them infrared, and last 20 seconds, at random times of one day. The threshold is that of a
false-match rate, or the similarity --threshold.

Examples:
    python tools/benchmarks/linking.py
    python tools/benchmarks/linking.py --sizes 50000 100000 --size 1536
"""

import argparse
import time
from typing import Any

import numpy as np
import numpy.typing as npt
from machine import in_fresh_process, peak_bytes_of
from results import Table, add_out_argument, publish

from dscreid.deployment.linking import link_tracklets
from dscreid.deployment.presence import Presence
from dscreid.structures import Modality

GROUP, CAMERAS, DAY, SECONDS = 10, 20, 86_400.0, 20.0
#: Tracklets whose similarities give the threshold.
SAMPLE = 2_000


def main() -> None:
    """Measure each number of tracklets in a new process and publish the table."""
    args = parse_args()
    data = [in_fresh_process(measure, count, args.size, args.rate, args.threshold) for count in args.sizes]
    cells = [
        [
            f'{one["count"]:,}',
            f'{one["threshold"]:.3f}',
            f'{one["seconds"]:,.1f}',
            '' if one['bytes'] is None else f'{one["bytes"] / 1e9:,.2f}',
            f'{one["persons"]:,}',
            f'{one["identities"]:,}',
            f'{one["right"]:.4f}',
        ]
        for one in data
    ]
    columns = ['tracklets', 'threshold', 'processor s', 'GB', 'persons', 'identities', 'Rand index']
    title = f'linking, features of {args.size} numbers'
    notes = ['GB: memory beyond the features. Rand index: adjusted, of identities and persons.']
    publish(args.out, [Table(title, columns, cells)], notes, {'linking': data})


def measure(count: int, size: int, rate: float, similarity: float | None) -> dict[str, Any]:
    """Link so many tracklets once."""
    from sklearn.metrics import adjusted_rand_score

    rng = np.random.default_rng(0)
    persons = rng.permutation(np.arange(count) // GROUP)
    features = normalized(unit(rng, -(-count // GROUP), size)[persons] + unit(rng, count, size))
    view, start = rng.integers(0, CAMERAS, count), rng.uniform(0, DAY, count)
    presence = Presence(view, start, start + SECONDS)
    modalities = [list(Modality)[number % 2] for number in view]
    threshold = threshold_of(features, persons, rate) if similarity is None else similarity
    thresholds = dict.fromkeys(('rgb-rgb', 'ir-ir', 'rgb-ir'), threshold)
    found, seconds = np.zeros(0), 0.0

    def link() -> None:
        nonlocal found, seconds
        began = time.process_time()
        found = link_tracklets(features, modalities, presence.pairs(), thresholds)
        seconds = time.process_time() - began

    peak = peak_bytes_of(link)
    return {
        'count': count,
        'threshold': threshold,
        'seconds': seconds,
        'bytes': peak,
        'persons': int(persons.max()) + 1,
        'identities': int(found.max()),
        'right': float(adjusted_rand_score(persons, found)),
    }


def threshold_of(features: npt.NDArray[np.float32], persons: npt.NDArray[np.int64], rate: float) -> float:
    """Find the similarity that a share of the pairs of different people exceeds, from some of the tracklets."""
    similarities = features[:SAMPLE] @ features[:SAMPLE].T
    different = persons[:SAMPLE, None] != persons[:SAMPLE]
    return float(np.quantile(similarities[np.triu(different, 1)], 1 - rate))


def unit(rng: np.random.Generator, count: int, size: int) -> npt.NDArray[np.float32]:
    """Draw random directions, float32 (count, size)."""
    return normalized(rng.standard_normal((count, size), dtype=np.float32))


def normalized(features: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Scale rows to unit length, in place."""
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    return features


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        '--sizes', type=int, nargs='+', default=[2_000, 5_000, 10_000], help='tracklets (default: %(default)s)'
    )
    parser.add_argument('--size', type=int, default=256, help='numbers of a feature (default: %(default)s)')
    parser.add_argument('--rate', type=float, default=1e-3, help='false-match rate (default: %(default)s)')
    parser.add_argument('--threshold', type=float, help='similarity instead of a rate')
    add_out_argument(parser, 'linking')
    return parser.parse_args()


if __name__ == '__main__':
    main()
