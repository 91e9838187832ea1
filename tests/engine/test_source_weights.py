import pytest
import torch
from mmengine.model import BaseModel, MMDistributedDataParallel
from torch import nn

from dscreid.engine import source_weights
from dscreid.engine.source_weights import check_resumable, load_source_weights, unwrap_model
from dscreid.errors import CheckpointError
from dscreid.registry import MODELS


class Model(BaseModel):
    def __init__(self, width=3, head=2):
        super().__init__()
        self.backbone = nn.Linear(2, width)
        self.static_neck = nn.BatchNorm1d(width)
        if head:
            self.static_head = nn.Linear(width, head, bias=False)

    def forward(self, x, mode='tensor'):
        return self.backbone(x)


def save(model, path, drop=()):
    weights = {name: value for name, value in model.state_dict().items() if not name.startswith(tuple(drop))}
    torch.save(dict(state_dict=weights), path)
    return path


@pytest.mark.parametrize('source_head', [0, 7])
@pytest.mark.parametrize('target_head', [0, 2])
def test_encoder_and_necks_are_taken_and_heads_stay(tmp_path, source_head, target_head):
    source, target = Model(head=source_head), Model(head=target_head)
    nn.init.normal_(source.static_neck.running_mean)
    before = {name: value.clone() for name, value in target.state_dict().items()}
    load_source_weights(target, save(source, tmp_path / 'a.pth'))
    for name, value in target.state_dict().items():
        assert torch.equal(value, before[name] if 'head' in name else source.state_dict()[name]), name


def test_converted_checkpoints_have_no_necks(tmp_path):
    source, target = Model(), Model(head=0)
    load_source_weights(target, save(source, tmp_path / 'a.pth', drop=('static_neck', 'static_head')))
    assert torch.equal(target.backbone.weight, source.backbone.weight)
    assert torch.equal(target.static_neck.running_mean, torch.zeros(3))


def test_another_architecture_changes_nothing(tmp_path):
    target = Model()
    before = target.backbone.weight.clone()
    for source, drop in ((Model(width=4), ()), (Model(), ('backbone.bias',))):
        with pytest.raises(CheckpointError, match=r'a\.pth: does not fit Model'):
            load_source_weights(target, save(source, tmp_path / 'a.pth', drop))
    assert torch.equal(target.backbone.weight, before)


def test_resuming_wants_everything(tmp_path):
    check_resumable(Model(), save(Model(), tmp_path / 'a.pth'))
    for source, drop in ((Model(head=7), ()), (Model(head=0), ()), (Model(), ('static_neck',))):
        with pytest.raises(CheckpointError, match=r'cannot be resumed.*--work-dir'):
            check_resumable(Model(), save(source, tmp_path / 'a.pth', drop))


def test_a_wrapped_model_is_unwrapped(monkeypatch):
    model = Model()
    assert unwrap_model(model) is model
    wrapper = MMDistributedDataParallel.__new__(MMDistributedDataParallel)
    nn.Module.__init__(wrapper)
    wrapper.module = model
    assert unwrap_model(wrapper) is model
    assert source_weights.is_model_wrapper(wrapper)


def test_another_number_of_frames_names_both_and_the_remedy(tmp_path):
    source, target = Model(), Model()
    source.backbone.prompt_embedding = nn.Parameter(torch.zeros(4, 4, 2))
    target.backbone.prompt_embedding = nn.Parameter(torch.zeros(6, 6, 2))
    with pytest.raises(CheckpointError, match=r'has shape \(4, 4, 2\), not \(6, 6, 2\).* num_frames'):
        load_source_weights(target, save(source, tmp_path / 'a.pth'))


@pytest.mark.parametrize('of_source', [True, False])
@pytest.mark.parametrize('of_target', [True, False])
def test_infrared_tones_are_taken_if_both_have_them(tmp_path, of_source, of_target):
    def model(tones):
        backbone = nn.Linear(2, 3)
        backbone.embed_dim = 3
        preprocessor = dict(tones=dict() if tones else None)
        return MODELS.build(dict(type='AdaptiveReID', backbone=backbone, data_preprocessor=preprocessor))

    source, target = model(of_source), model(of_target)
    if of_source:
        source.data_preprocessor.learn_tones(torch.full((33, 33, 33), 0.25))
    load_source_weights(target, save(source, tmp_path / 'a.pth'))
    if of_target:
        assert bool(target.data_preprocessor.knows_tones) is of_source
        assert (target.data_preprocessor.tone_table == 0.25).all() == of_source
