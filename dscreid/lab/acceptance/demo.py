"""Step 9: the short demo, its figures, and what falls short of every working demo."""

import time
from collections.abc import Iterator
from typing import Any

from dscreid.lab.acceptance.plan import Settings
from dscreid.lab.demo import Demo
from dscreid.utils.shipped import shipped_configs


def measure(settings: Settings) -> Iterator[dict[str, Any]]:
    """Yield the metrics of the source model and of DSC, and the problems; none are expected."""
    if settings.pretend:
        yield {'skipped': 'takes minutes on a processor; tests/lab/test_demo.py and `make demo` run it'}
        return
    start = time.perf_counter()
    demo = Demo(settings.fresh_folder('demo'), shipped_configs())
    runs = demo.run()
    yield {'seconds': time.perf_counter() - start, 'problems': demo.problems(runs)}
    yield {run.name: {name: value for name, value in run.metrics.items() if name.startswith('mean/')} for run in runs}
