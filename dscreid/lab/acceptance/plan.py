"""Where and how large the steps of the acceptance run, and the configs that they use."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine import Config

from dscreid.apis.config import load_config
from dscreid.utils.shipped import directions_of, shipped_configs

#: Options that make a config of the demo so small that a processor needs a second for it.
TINY: dict[str, Any] = {
    'num_frames': 2,
    'frame_size': (32, 16),
    # what 'auto', which takes a second, finds for the features of a trial
    'clustering': dict(k1=12, k2=3, eps=0.55, min_samples=3),
    'model.backbone.tower.layers': 2,
    'model.backbone.tower.width': 32,
    'model.backbone.tower.heads': 2,
    'model.backbone.tower.stem': None,
    'model.backbone.tower.pretrained': None,
    'model.backbone.start_layer': 1,
    'model.backbone.num_heads': 2,
    'train_dataloader.sampler.visible': (2, 2),
    'train_dataloader.sampler.infrared': (2, 2),
    'train_dataloader.sampler.iterations': 2,
}


@dataclass(frozen=True)
class Settings:
    """Where and how large the steps run."""

    out: Path  #: folder for results and for the files of the steps
    pretend: bool = False  #: whether to rehearse on the processor, with tiny sizes

    @property
    def device(self) -> str:
        """Device of the computations, ``'cuda'`` or ``'cpu'``."""
        return 'cpu' if self.pretend else 'cuda'

    def fresh_folder(self, name: str) -> Path:
        """Return an empty folder of a step; files of an earlier acceptance are removed."""
        shutil.rmtree(self.out / name, ignore_errors=True)
        return self.out / name

    def main_config(self, **options: Any) -> Config:
        """Load the config that speed is measured with: DSC with the settings of the paper, or a tiny one."""
        if self.pretend:
            return load_config('dsc/dsc_demo', TINY | options)
        return load_config('dsc/dsc_bupt2hitsz', options)

    def resnet_config(self, **options: Any) -> Config:
        """Load the config that the speed of a ResNet is measured with: ADCA on ResNet-50, or a tiny batch of it."""
        if self.pretend:
            name = 'resnet50/adca_resnet50_demo'
            return load_config(name, tiny_options(name) | options)
        return load_config('resnet50/adca_resnet50', options)

    def method_config(self, name: str) -> Config:
        """Load the config of a method of :func:`method_names`."""
        return load_config(name, tiny_options(name) if self.pretend else {})


def tiny_options(name: str) -> dict[str, Any]:
    """Return the options that make a config of :func:`method_names` tiny."""
    if name.startswith('resnet50/') or name.endswith('/resnet50_demo'):
        options = {key: value for key, value in TINY.items() if 'backbone' not in key}
    else:
        options = dict(TINY)
    if name.startswith('source/'):
        options = {key: value for key, value in options.items() if 'sampler' not in key and key != 'clustering'}
        options |= {'train_dataloader.sampler.num_identities': 2, 'train_dataloader.sampler.num_tracklets': 2}
    return options


def method_names() -> list[str]:
    """List a config of each method and encoder that trains, in the direction of the demo."""
    return [*_found_methods(), 'dsc/dsc_demo', 'resnet50/bclu_resnet50_demo', 'source/stp_demo', 'source/resnet50_demo']


def _found_methods() -> Iterator[str]:
    for folder in ('baselines', 'dsc'):
        for path in sorted((shipped_configs() / folder).glob('*.py')):
            if 'demo' in directions_of(path) and path.stem not in ('cd', 'adabn'):  # which train nothing
                yield f'{folder}/{path.stem}_demo'
