"""Settings that no shape tells are written down and compared."""

import pytest
import torch
from mmengine import Config

from dscreid.apis import init_model, load_config
from dscreid.engine.source_weights import load_source_weights
from dscreid.errors import CheckpointError
from dscreid.models.reid.base import architecture_of
from dscreid.utils.checkpoint import list_setting_differences, load_checkpoint

TOWER = dict(type='CLIPVisionTransformer', image_size=(32, 16), patch_size=8, width=32, layers=2, heads=2)


def test_defaults_are_filled_in_and_origins_left_out():
    short = dict(type='SpatioTemporalPrompting', num_frames=2, tower=TOWER)
    long = short | dict(
        num_heads=12,
        start_layer=9,
        with_cp=True,
        compile_blocks='reduce-overhead',
        tower=TOWER | dict(activation='quick_gelu', pretrained='a.pt'),
    )
    described = architecture_of(short)
    assert described == architecture_of(long)
    assert described['backbone.type'] == 'SpatioTemporalPrompting'
    assert described['backbone.num_heads'] == 12
    assert described['backbone.tower.image_size'] == [32, 16]
    assert not any('pretrained' in name or 'with_cp' in name for name in described)
    assert described != architecture_of(short | dict(tower=TOWER | dict(heads=4)))


@pytest.mark.parametrize('options', [{}, dict(options=dict(img_size=(32, 16), norm=dict(eps=1e-6)))])
def test_settings_of_any_kind_are_saved(options, tmp_path):
    settings = Config(dict(backbone=dict(type='TimmBackbone', model_name='test_vit', **options))).backbone
    described = architecture_of(settings)
    torch.save({'meta': {'architecture': described}}, tmp_path / 'checkpoint.pth')
    assert load_checkpoint(tmp_path / 'checkpoint.pth')['meta']['architecture'] == described
    expected = dict(img_size=[32, 16], norm=dict(eps=1e-6)) if options else {}
    assert described['backbone.options'] == expected


def test_how_blocks_are_run_is_no_difference():
    """Some checkpoints hold ``compile_blocks``; those of other settings are still told apart."""
    model = torch.nn.Module()
    model.architecture = architecture_of(dict(type='SpatioTemporalPrompting', tower=TOWER))
    saved = {**model.architecture, 'backbone.compile_blocks': True}
    assert list_setting_differences(model, {'meta': {'architecture': saved}}) == []
    odd = {**model.architecture, 11: None}
    assert list_setting_differences(model, {'meta': {'architecture': odd}}) == ['11 is None, not absent']
    saved['backbone.num_heads'] = 3
    differences = list_setting_differences(model, {'meta': {'architecture': saved}})
    assert differences == ['backbone.num_heads is 3, not 12']


def test_checkpoints_hold_it(tiny_experiment, tiny_runs):
    for path in (tiny_experiment.checkpoint, tiny_experiment.source_checkpoint):
        saved = load_checkpoint(path)['meta']['architecture']
        assert saved == architecture_of(load_config(tiny_runs.adapt).model.backbone)


@pytest.mark.parametrize(
    ('change', 'differences'),
    [
        ({'model.backbone.num_heads': 4}, ['backbone.num_heads is 2, not 4']),
        ({'model.backbone.tower.heads': 4}, ['backbone.tower.heads is 2, not 4']),
        ({'model.backbone.start_layer': 0}, ['backbone.start_layer is 1, not 0']),
        (
            {'model.backbone.tower.layers': 3},
            ['backbone.tower.layers is 2, not 3', 'missing backbone.tower.transformer.resblocks.2.'],
        ),
        (
            {'model.backbone': dict(_delete_=True, type='FrameAverage', tower=TOWER | dict(activation='gelu'))},
            [
                'backbone.type is SpatioTemporalPrompting, not FrameAverage',
                'unexpected backbone.prompt_embedding',
            ],
        ),
    ],
)
def test_another_architecture_is_refused_with_the_differences(tiny_runs, tiny_experiment, change, differences):
    config = load_config(tiny_runs.adapt, change)
    with pytest.raises(CheckpointError, match=r'epoch_2\.pth: does not fit AdaptiveReID') as caught:
        init_model(config, tiny_experiment.checkpoint)
    for difference in differences:
        assert difference in str(caught.value)


def test_two_streams_do_not_take_one(tmp_path):
    """A checkpoint of one modality's stem alone is another modality set."""
    model = init_model_of_two_streams()
    weights = {name: value for name, value in model.state_dict().items() if not name.startswith('backbone.stems.ir.')}
    torch.save(dict(state_dict=weights), tmp_path / 'visible.pth')
    with pytest.raises(CheckpointError, match=r'missing backbone\.stems\.ir\.conv1\.weight'):
        load_source_weights(model, tmp_path / 'visible.pth')


def init_model_of_two_streams():
    from dscreid.models.reid import AdaptiveReID

    return AdaptiveReID(backbone=dict(type='TwoStreamResNet50'))


def test_what_fits_is_taken_when_asked_for(tiny_runs, tiny_experiment, monkeypatch):
    said = []
    monkeypatch.setattr('dscreid.utils.checkpoint.print_log', lambda message, **options: said.append(message))
    deeper = init_model(load_config(tiny_runs.adapt, {'model.backbone.tower.layers': 3}))
    before = {name: value.clone() for name, value in deeper.state_dict().items()}
    load_source_weights(deeper, tiny_experiment.checkpoint, partial=True)
    saved = load_checkpoint(tiny_experiment.checkpoint)['state_dict']
    for name, value in deeper.state_dict().items():
        assert torch.equal(value, saved.get(name, before[name])), name
    assert 'loaded in part' in said[0]
    assert 'backbone.tower.layers is 2, not 3' in said[0]
    assert 'missing backbone.tower.transformer.resblocks.2.ln_1.weight' in said[0]


def test_a_file_of_which_nothing_fits(tiny_runs, tmp_path):
    torch.save(dict(state_dict=dict(other=torch.ones(1))), tmp_path / 'other.pth')
    with pytest.raises(CheckpointError, match='no weight at all fits AdaptiveReID'):
        load_source_weights(init_model(tiny_runs.adapt), tmp_path / 'other.pth', partial=True)
