"""A runner of MMEngine that trains three numbers."""

import uuid

import torch
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import nn

from dscreid.utils.safe_globals import allow_mmengine_globals


class Line(BaseModel):
    def __init__(self):
        super().__init__()
        self.architecture = {'backbone.heads': 2}
        self.linear = nn.Linear(2, 1)

    def forward(self, x, mode='tensor'):
        return {'loss': self.linear(torch.stack(x)).mean()}


def make_runner(work_dir, kind=Runner, epochs=2, **settings):
    """``kind``: class of the runner; ``settings``: its arguments beside those given here."""
    settings = {'default_hooks': {'logger': {'type': 'LoggerHook', 'interval': 1}}, **settings}
    return kind(
        model=Line(),
        work_dir=str(work_dir),
        train_dataloader={
            'dataset': [{'x': torch.ones(2) * i} for i in range(4)],
            'batch_size': 2,
            'sampler': {'type': 'DefaultSampler'},
        },
        train_cfg={'by_epoch': True, 'max_epochs': epochs},
        optim_wrapper={'optimizer': {'type': 'AdamW', 'lr': 0.1}},
        param_scheduler={'type': 'CosineAnnealingLR', 'T_max': 4},
        experiment_name=uuid.uuid4().hex,
        log_level='ERROR',
        default_scope='dscreid',  # a runner without it leaves MMEngine's scope behind, for every later test
        **settings,
    )


def make_durable_runner(work_dir, kind=Runner, **settings):
    """One that keeps its last checkpoint alone, and reads what it wrote."""
    allow_mmengine_globals()
    hooks = {'checkpoint': {'type': 'DurableCheckpointHook', 'max_keep_ckpts': 1}}
    return make_runner(work_dir, kind, default_hooks=hooks, **settings)
