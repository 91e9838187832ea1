"""Step 4: extraction of tracklets from JPEG files, its parts alone, and decoding on the GPU."""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader

from dscreid.apis.config import fit_to_machine
from dscreid.engine.extraction import extract_features, extraction_loader
from dscreid.engine.runner import ReIDRunner
from dscreid.engine.step_memory import frames_and_size
from dscreid.lab.acceptance import timing
from dscreid.lab.acceptance.plan import Settings
from dscreid.lab.acceptance.trial import MethodTrial, artificial_batch, make_trial
from dscreid.lab.synthetic import make_spec, render_world
from dscreid.structures import Modality
from dscreid.utils.machine import usable_cores


def measure(settings: Settings) -> Iterator[dict[str, Any]]:
    """Yield tracklets per second of the encoder, of loading, and of both, then frames per second of decoding."""
    config = settings.main_config()
    trial = make_trial(config, settings.device)
    trial.model.eval()
    count = 4 if settings.pretend else 128
    batch = artificial_batch(config, [(Modality.IR, index) for index in range(count)])
    ways: dict[str, AbstractContextManager[Any]] = {'float32': nullcontext()}
    ways['bfloat16'] = torch.autocast(settings.device, torch.bfloat16)
    rates = {}
    for way, context in ways.items():
        with context:
            rates[way] = count / timing.median_seconds(lambda: _embed(trial, batch), settings.device, repeats=3)
    yield {'encoder_tracklets_per_second': rates}

    world = _rendered(settings)
    yield {'loading_tracklets_per_second': _loading_rate(settings, world)}
    loader = _loader(settings, world)
    extract_features(trial.model, loader, trial.model.embed)  # starts the workers
    start = time.perf_counter()
    extract_features(trial.model, loader, trial.model.embed)
    yield {'extraction_tracklets_per_second': _length(loader) / (time.perf_counter() - start)}
    yield {'decoded_frames_per_second': _decoding_rates(settings, world)}


@torch.no_grad()
def _embed(trial: MethodTrial, batch: dict[str, Any]) -> None:
    trial.model.embed(trial.model.data_preprocessor(batch, training=False)['inputs'])


def _rendered(settings: Settings) -> Path:
    """Render a world with frames of the config's size, and return its folder."""
    height, width = frames_and_size(settings.main_config())[1]
    people, tracklets = (2, 2) if settings.pretend else (16, 8)
    spec = make_spec(
        'tiny', 'hitsz', height=height, width=width, train_ids=people, test_ids=1, tracklets=tracklets, test_tracklets=2
    )
    folder = settings.out / 'world'
    processes = 1 if settings.pretend else usable_cores()
    render_world(folder, spec, processes, overwrite=folder.exists(), progress=False)
    return folder


def _loader(settings: Settings, world: Path) -> DataLoader:
    options: dict[str, Any] = {'data_root': str(world), 'train_dataloader.dataset.expected_statistics': None}
    options['train_dataloader.num_workers'] = 0 if settings.pretend else min(usable_cores(), 16)
    config = settings.main_config(**options)
    fit_to_machine(config)
    found = extraction_loader(config)
    assert found is not None
    return ReIDRunner.build_dataloader(found, seed=0)


def _length(loader: DataLoader) -> int:
    dataset: Any = loader.dataset
    return len(dataset)


def _loading_rate(settings: Settings, world: Path) -> float:
    """Measure the tracklets per second that the loader alone gives, in the second pass over the world."""
    loader = _loader(settings, world)
    for _ in range(2):
        start = time.perf_counter()
        for _batch in loader:
            pass
    return _length(loader) / (time.perf_counter() - start)


def _decoding_rates(settings: Settings, world: Path) -> dict[str, float]:
    """Measure frames per second of torchvision's decoder on one core, and on the GPU with all frames at once."""
    from torchvision.io import decode_jpeg

    paths = sorted(world.rglob('*.jpg'))[: 4 if settings.pretend else 512]
    files = [torch.frombuffer(bytearray(path.read_bytes()), dtype=torch.uint8) for path in paths]
    rates = {'processor': len(files) / timing.seconds_of_one(lambda: [decode_jpeg(file) for file in files], 'cpu')}
    if not settings.pretend:
        seconds = timing.median_seconds(lambda: decode_jpeg(files, device='cuda'), 'cuda', repeats=3)
        rates['GPU'] = len(files) / seconds
    return rates
