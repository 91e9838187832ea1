"""tools/gpu_acceptance.py: what it refuses, prints and returns."""

import pytest

from dscreid.errors import ConfigError


@pytest.fixture(scope='module')
def tool(load_tool):
    return load_tool('gpu_acceptance.py')


def test_without_a_gpu_it_says_what_to_do(tool, tmp_path, monkeypatch):
    monkeypatch.setattr('torch.cuda.is_available', lambda: False)
    with pytest.raises(ConfigError, match=r'finds no GPU.*rehearse it on the processor with --pretend'):
        tool.main(['--out', str(tmp_path / 'out')])
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize(('status', 'code'), [('ok', 0), ('skipped', 0), ('failed', 1), ('timeout', 1)])
def test_exit_code(tool, tmp_path, monkeypatch, capsys, status, code):
    outcome = {'title': 'The demo', 'limit': 60, 'status': status, 'seconds': 3.0, 'results': {}}

    def run(settings, names, report):
        assert settings.pretend
        assert names == ['demo']
        report(outcome)
        return {'steps': {'demo': outcome}, 'fastest': {'ResNet-50': {'way': 'a', 'seconds': 1.0, 'options': '--amp'}}}

    monkeypatch.setattr('dscreid.lab.acceptance.running.run_steps', run)
    assert tool.main(['--out', str(tmp_path), '--pretend', '--steps', 'demo']) == code
    printed = capsys.readouterr().out
    assert f'{status:8}   3.0 s  The demo' in printed
    assert f'{tmp_path / "gpu_acceptance.json"}' in printed
    assert 'settings that were fastest here:\n  ResNet-50: --amp (a, 1 s an iteration)\n' in printed


def test_unknown_step(tool, capsys):
    with pytest.raises(SystemExit) as stop:
        tool.parse_arguments(['--steps', 'nothing'])
    assert stop.value.code == 2
    assert 'labels' in capsys.readouterr().err
