"""Step 7: two trainings of 20 iterations, and a run that was killed and resumed, compared bit for bit."""

from collections.abc import Iterator
from typing import Any

import torch

from dscreid.lab.acceptance.iteration import paper_trial
from dscreid.lab.acceptance.plan import Settings
from dscreid.lab.acceptance.runs import run_tiny, tensor_differences
from dscreid.utils.checkpoint import load_checkpoint

#: Parts of a checkpoint that decide how the training goes on.
_PARTS = ('state_dict', 'optimizer', 'param_schedulers')


def measure(settings: Settings) -> Iterator[dict[str, Any]]:
    """Yield the places that differ; empty lists are expected."""
    folder = settings.fresh_folder('determinism')
    run_tiny(settings, folder / 'whole')
    killed = folder / 'killed'
    run_tiny(settings, killed, kill_at=killed / 'epoch_1.pth')
    run_tiny(settings, killed, resume=True)
    whole, resumed = (load_checkpoint(folder / name / 'epoch_2.pth') for name in ('whole', 'killed'))
    broken = _different({k: whole[k] for k in _PARTS}, {k: resumed[k] for k in _PARTS})
    yield {'resumed': broken, 'problems': ['a resumed run differs'] if broken else []}

    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False
    iterations = 2 if settings.pretend else 20
    first, second = (_trained(settings, iterations) for _ in range(2))
    changed = _different(first, second)
    problems = ['a resumed run differs'] * bool(broken) + ['a repeated training differs'] * bool(changed)
    yield {'iterations': iterations, 'repeated': changed, 'problems': problems}


def _trained(settings: Settings, iterations: int) -> dict[str, torch.Tensor]:
    """Train, and return all weights, statistics and memories."""
    trial = paper_trial(settings, {})
    for number in range(iterations):
        trial.step(trial.batch(seed=number))
    model = trial.model
    return {name: value.detach().cpu() for name, value in [*model.named_parameters(), *model.named_buffers()]}


def _different(left: Any, right: Any) -> list[str]:
    return tensor_differences(left, right, lambda one, other: not torch.equal(one, other))
