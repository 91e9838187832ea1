"""Step 3: speed and memory of the paper's iteration in bfloat16, in several ways, and that of a ResNet-50."""

import copy
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import torch

from dscreid.apis.config import fit_to_machine
from dscreid.engine.step_memory import step_memory
from dscreid.lab.acceptance import timing
from dscreid.lab.acceptance.plan import Settings
from dscreid.lab.acceptance.trial import MethodTrial, make_trial
from dscreid.lab.acceptance.ways import RESNET_WAYS, WAYS
from dscreid.utils.out_of_memory import is_out_of_memory

#: Tracklets of each modality in the memories: HITSZ-VCM has 22,000.
_TRACKLETS, _KERNELS = 11_000, 10


def measure(settings: Settings) -> Iterator[dict[str, Any]]:
    """Yield the ceilings of the device, then the figures of each way."""
    device = settings.device
    size, copied = (256, 2**20) if settings.pretend else (8192, 2**31)
    peak = timing.matmul_tflops(device, torch.bfloat16, size)
    yield {'peak_tflops': peak, 'copied_gb_per_second': timing.copied_gb_per_second(device, copied)}
    operations: dict[bool, int] = {}
    problems = []
    for way in sorted({**WAYS, **RESNET_WAYS}, key=_is_compiled):  # compilation may take the rest of the time
        if settings.pretend and _is_compiled(way):
            continue  # takes minutes on a processor; tests/models/backbones compile the blocks of a smaller model
        try:
            yield from _measure_way(way, settings, peak, operations)
        except RuntimeError as error:
            reason = ' '.join(str(error).split())[:200]
            problems += [] if is_out_of_memory(error) else [f'{way}: {reason}']
            yield {way: {'error': reason}, 'problems': problems}
        if not settings.pretend:
            torch.compiler.reset()  # code for the blocks of one way counts against the limit of the next
            torch.cuda.empty_cache()


def _is_compiled(way: str) -> bool:
    return 'model.backbone.compile_blocks' in WAYS.get(way, {})


def _measure_way(way: str, settings: Settings, peak: float, operations: dict[bool, int]) -> Iterator[dict[str, Any]]:
    """Yield the figures of a way; ``operations`` are filled by the first one of each encoder."""
    is_resnet = way in RESNET_WAYS
    trial = paper_trial(settings, RESNET_WAYS[way] if is_resnet else WAYS[way], is_resnet)
    if is_resnet not in operations:  # compiled code would hide its operations from the counter
        operations[is_resnet] = timing.operations_of(partial(trial.step, trial.batch()))
    yield {way: _figures(trial, settings, peak, operations[is_resnet])}
    if way == next(iter(WAYS)):
        yield {'kernels': _longest_kernels(trial, settings)}


def paper_trial(settings: Settings, options: Mapping[str, Any], resnet: bool = False) -> MethodTrial:
    """Build the trial of :meth:`Settings.main_config` in bfloat16, with filled memories and all losses active.

    With ``resnet``, it is that of :meth:`Settings.resnet_config`.
    """
    config = (settings.resnet_config if resnet else settings.main_config)(**options)
    fit_to_machine(config, amp=True)
    trial = make_trial(config, settings.device, 48 if settings.pretend else _TRACKLETS)
    trial.fill_memories(trial.epochs()[-1])
    return trial


def _figures(trial: MethodTrial, settings: Settings, peak: float, operations: int) -> dict[str, Any]:
    device, batch = settings.device, trial.batch()

    def step() -> None:
        trial.step(copy.copy(batch))

    step()  # compiles, and allocates what stays
    repeats, warm_up = (1, 0) if settings.pretend else (20, 3)
    seconds = timing.median_seconds(step, device, repeats, warm_up)
    preprocessing = timing.median_seconds(lambda: trial.model.data_preprocessor(batch, training=True), device, 3)
    forecast = {}
    if 'with_cp' in trial.config.model.backbone:
        forecast['forecast_gb'] = step_memory(trial.config).total / 1e9
    return {
        'tracklets': len(batch['inputs']),
        'seconds': seconds,
        'tracklets_per_second': len(batch['inputs']) / seconds,
        'preprocessing_seconds': preprocessing,
        'tflops': operations / seconds / 1e12,
        'share_of_peak': operations / seconds / 1e12 / peak,
        **forecast,
        'peak_gb': timing.peak_gb(step, device),
        'waits': timing.waits_of(step, device),
    }


def _longest_kernels(trial: MethodTrial, settings: Settings) -> list[dict[str, Any]]:
    """List the kernels that take most of the time of one iteration."""
    batch = trial.batch()
    on_gpu = settings.device != 'cpu'
    activity = torch.profiler.ProfilerActivity.CUDA if on_gpu else torch.profiler.ProfilerActivity.CPU
    with torch.profiler.profile(activities=[activity]) as profile:
        trial.step(batch)
        timing.synchronize(settings.device)

    def used(event: Any) -> float:
        return event.self_device_time_total if on_gpu else event.self_cpu_time_total

    events = sorted(profile.key_averages(), key=used, reverse=True)[:_KERNELS]
    return [{'name': event.key[:100], 'milliseconds': used(event) / 1e3, 'calls': event.count} for event in events]
