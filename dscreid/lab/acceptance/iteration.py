"""Step 3: speed and memory of the paper's iteration in bfloat16, eager, with recomputed blocks, and compiled."""

import copy
from collections.abc import Iterator, Mapping
from typing import Any

import torch

from dscreid.apis.config import fit_to_machine
from dscreid.lab.acceptance import timing
from dscreid.lab.acceptance.plan import Settings
from dscreid.lab.acceptance.trial import MethodTrial, batch_views, frames_and_size, make_trial
from dscreid.lab.doctor.memory import training_memory

#: Options of the backbone by name, the slowest to start last.
WAYS: Mapping[str, dict[str, Any]] = {
    'eager': {},
    'recomputed blocks': {'model.backbone.with_cp': True},
    'compiled': {'model.backbone.compile_blocks': True},
}
#: Tracklets of each modality in the memories: HITSZ-VCM has 22,000.
_TRACKLETS, _KERNELS = 11_000, 10


def measure(settings: Settings) -> Iterator[dict[str, Any]]:
    """Yield the ceilings of the device, then the figures of each way."""
    device = settings.device
    size, copied = (256, 2**20) if settings.pretend else (8192, 2**31)
    peak = timing.matmul_tflops(device, torch.bfloat16, size)
    yield {'peak_tflops': peak, 'copied_gb_per_second': timing.copied_gb_per_second(device, copied)}
    for way, options in WAYS.items():
        if settings.pretend and way == 'compiled':
            continue  # takes minutes on a processor; tests/models/backbones compile the blocks of a smaller model
        trial = paper_trial(settings, options)
        figures = _figures(trial, settings, peak)
        yield {way: figures}
        if way == 'eager':
            yield {'kernels': _longest_kernels(trial, settings)}
        del trial


def paper_trial(settings: Settings, options: Mapping[str, Any]) -> MethodTrial:
    """Build the trial of :meth:`Settings.main_config` in bfloat16, with filled memories and all losses active."""
    config = settings.main_config(**options)
    fit_to_machine(config, amp=True)
    trial = make_trial(config, settings.device, 48 if settings.pretend else _TRACKLETS)
    trial.fill_memories(trial.epochs()[-1])
    return trial


def _figures(trial: MethodTrial, settings: Settings, peak: float) -> dict[str, Any]:
    device, batch = settings.device, trial.batch()

    def step() -> None:
        trial.step(copy.copy(batch))

    step()  # compiles, and allocates what stays
    repeats, warm_up = (1, 0) if settings.pretend else (20, 3)
    seconds = timing.median_seconds(step, device, repeats, warm_up)
    preprocessing = timing.median_seconds(lambda: trial.model.data_preprocessor(batch, training=True), device, 3)
    operations = timing.operations_of(step)
    num_frames, size = frames_and_size(trial.config)
    memory = training_memory(trial.config.model.backbone, (num_frames, *size), batch_views(trial.config))
    return {
        'tracklets': len(batch['inputs']),
        'seconds': seconds,
        'tracklets_per_second': len(batch['inputs']) / seconds,
        'preprocessing_seconds': preprocessing,
        'tflops': operations / seconds / 1e12,
        'share_of_peak': operations / seconds / 1e12 / peak,
        'float32_forecast_gb': memory.total / 1e9,
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
