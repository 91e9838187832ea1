"""with_cp='auto' on devices whose memory is pretended."""

import pytest
from mmengine import Config

from dscreid.apis.config import config_hash, learned_settings, load_config
from dscreid.apis.recomputation import USABLE, choose_recomputation
from dscreid.apis.train import train_stage
from dscreid.engine.step_memory import step_memory
from dscreid.errors import ConfigError
from dscreid.models.backbones import SpatioTemporalPrompting

TOWER = dict(type='CLIPVisionTransformer', image_size=(32, 16), patch_size=8, width=32, layers=4, heads=2)
BACKBONE = dict(type='SpatioTemporalPrompting', tower=TOWER, num_frames=3, start_layer=2, num_heads=2)


def config(with_cp='auto'):
    return Config(
        dict(
            model=dict(backbone=BACKBONE | {'with_cp': with_cp}),
            num_frames=3,
            frame_size=(32, 16),
            train_dataloader=dict(sampler=dict(visible=(2, 2), infrared=(2, 2))),
        )
    )


@pytest.fixture
def said(monkeypatch):
    said = []
    monkeypatch.setattr('dscreid.apis.recomputation.print_log', lambda message, **options: said.append(message))
    return said


@pytest.mark.parametrize('devices', [1, 4])
def test_the_free_memory_decides(said, devices):
    whole = step_memory(config(False), devices).total
    for free, chosen in ((whole / USABLE + 1, False), (whole / USABLE - 1, True)):
        found = config()
        choose_recomputation(found, int(free), devices)
        assert found.model.backbone.with_cp is chosen
    assert [line.split(',')[0] for line in said] == ["with_cp='auto': off", "with_cp='auto': on"]


def test_the_sentence_has_both_figures(said):
    choose_recomputation(config(), 10 * 2**30)
    kept = step_memory(config(False)).total / 2**20
    assert said == [f"with_cp='auto': off, a step keeps {kept:.1f} MiB without it, 10.0 GiB of GPU memory are free"]


def test_a_training_asks_its_device(said, monkeypatch, tmp_path):
    class BuiltError(Exception):
        pass

    def build_runner(config, *others):
        raise BuiltError(config.model.backbone.with_cp)

    monkeypatch.setattr('dscreid.apis.train.free_gpu_memory', lambda: 2**10)
    monkeypatch.setattr('dscreid.apis.train.build_runner', build_runner)
    found = config()
    found.work_dir = str(tmp_path / 'run')
    with pytest.raises(BuiltError, match='True'):
        train_stage(found)
    assert found.model.backbone.with_cp == 'auto'  # of the caller
    assert said[0].endswith('1 KiB of GPU memory are free')


def test_a_processor_recomputes_nothing(said):
    found = config()
    choose_recomputation(found, None)
    assert found.model.backbone.with_cp is False
    assert said == ["with_cp='auto': off, without a GPU"]


@pytest.mark.parametrize('with_cp', [False, True])
def test_a_choice_of_the_config_stays(said, with_cp):
    found = config(with_cp)
    choose_recomputation(found, 1)
    assert found.model.backbone.with_cp is with_cp
    assert not said
    without = Config(dict(model=dict(backbone=dict(type='TwoStreamResNet50'))))
    choose_recomputation(without, 1)
    assert without.model.backbone == dict(type='TwoStreamResNet50')


def test_it_is_no_part_of_an_experiment():
    found = [config(value) for value in (False, True, 'auto')]
    assert len({config_hash(one) for one in found}) == 1
    assert 'with_cp' not in learned_settings(found[1])['model']['backbone']


@pytest.mark.slow
def test_the_paper_s_configs_choose(said):
    """In float32, a step of DSC keeps 23 GB: too much for 24 GB with everything else, and little for 141 GB."""
    for free, chosen in ((24e9, True), (141e9, False)):
        found = load_config('dsc/dsc_bupt2hitsz')
        assert found.model.backbone.with_cp == 'auto'
        choose_recomputation(found, int(free))
        assert found.model.backbone.with_cp is chosen


def test_the_encoder_alone_recomputes_nothing_and_knows_no_other_word():
    settings = {key: value for key, value in BACKBONE.items() if key != 'type'}
    assert SpatioTemporalPrompting(**settings, with_cp='auto').with_cp is False
    with pytest.raises(ConfigError, match="with_cp must be True, False or 'auto', got 'on'"):
        SpatioTemporalPrompting(**settings, with_cp='on')
