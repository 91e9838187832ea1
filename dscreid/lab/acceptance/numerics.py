"""Step 2: losses and gradients of one iteration of each method, on the processor, the GPU, and in bfloat16."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import torch
from mmengine import Config
from torch import Tensor

from dscreid.lab.acceptance.plan import Settings, method_names
from dscreid.lab.acceptance.trial import MethodTrial, make_trial
from dscreid.structures import Modality

#: Largest relative difference of a loss between the devices in float32, and between bfloat16 and float32.
LOSS_TOLERANCE, BFLOAT16_TOLERANCE = 1e-4, 0.02
#: Smallest cosine of the gradients, in the same order.
COSINE, BFLOAT16_COSINE = 0.9999, 0.99


class Gradients(NamedTuple):
    """Losses by name, and the gradients of all weights as one float64 vector on the processor."""

    losses: dict[str, float]
    vector: Tensor


def measure(settings: Settings) -> Iterator[dict[str, Any]]:
    """Yield the comparison of each method."""
    torch.backends.cudnn.allow_tf32 = False  # float32 is meant
    problems = []
    for name in method_names():
        if settings.pretend and 'resnet50' in name:
            continue  # takes a minute on a processor
        found = compare_method(settings.method_config(name), settings.device)
        problems += [] if found['passed'] else [f'{name}: outside the bounds']
        yield {name: found}
    yield {'problems': problems}


def compare_method(config: Config, device: str) -> dict[str, Any]:
    """Compare the labels of every labeler, and one iteration of the last epoch, which has all losses.

    Returns the largest relative difference of a loss and the cosine of the gradients, for ``float32`` (between the
    devices) and ``bfloat16`` (compared with float32 on the device), whether the labels are ``labels_equal``, and
    whether everything is within the bounds (``passed``).
    """
    reference, trial = make_trial(config, 'cpu'), make_trial(config, device)
    equal = True
    for epoch in reference.epochs():
        labels, own = reference.begin_epoch(epoch), trial.begin_epoch(epoch)
        if labels is not None and own is not None:
            equal &= all(bool((labels.of(modality) == own.of(modality)).all()) for modality in Modality)
    batch = reference.batch()
    plain = gradients(trial, batch)
    loss, cosine = distance(gradients(reference, batch), plain)
    low_loss, low_cosine = distance(plain, gradients(trial, batch, torch.autocast(device, torch.bfloat16)))
    within = loss <= LOSS_TOLERANCE and cosine >= COSINE
    low_within = low_loss <= BFLOAT16_TOLERANCE and low_cosine >= BFLOAT16_COSINE
    return {
        'float32': {'loss': loss, 'cosine': cosine},
        'bfloat16': {'loss': low_loss, 'cosine': low_cosine},
        'labels_equal': equal,
        'passed': equal and within and low_within,
    }


def gradients(
    trial: MethodTrial, batch: Mapping[str, Any], context: AbstractContextManager[Any] | None = None
) -> Gradients:
    """Compute losses and gradients of a batch, within a context such as an autocast; nothing is updated."""
    with context or nullcontext():
        losses = trial.losses(batch)
    weights = [weight for weight in trial.model.parameters() if weight.requires_grad]
    found = torch.autograd.grad(sum(losses.values(), torch.zeros((), device=trial.device)), weights, allow_unused=True)
    parts = [
        (torch.zeros_like(weight) if part is None else part).flatten().cpu().double()
        for weight, part in zip(weights, found, strict=True)
    ]
    return Gradients({name: float(value.detach()) for name, value in losses.items()}, torch.cat(parts))


def distance(expected: Gradients, found: Gradients) -> tuple[float, float]:
    """Return the largest relative difference of a loss, and the cosine of the gradients (0 if one is not finite)."""
    differences = [abs(value - found.losses[name]) / max(abs(value), 1e-3) for name, value in expected.losses.items()]
    cosine = float(torch.cosine_similarity(expected.vector, found.vector, dim=0))
    largest = max(differences, default=0.0)
    # NaN compares as neither larger nor smaller
    return (largest if largest < float('inf') else float('inf')), (cosine if abs(cosine) <= 2 else 0.0)
