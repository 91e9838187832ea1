"""tools/test.py: its options, converted checkpoints, and one sentence for bad input."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tiny_runs import infrared_queries

from dscreid.apis.command_line import run_command
from dscreid.evaluation import load_features

pytestmark = pytest.mark.usefixtures('one_thread_throughout')
TOOL = Path(__file__).parents[2] / 'tools' / 'test.py'


@pytest.fixture(scope='module')
def tool(load_tool):
    return load_tool('test.py')


def test_every_option(tool, tiny_runs, tiny_experiment, tmp_path, capsys):
    out, dump = tmp_path / 'm.json', tmp_path / 'f.safetensors'
    root = infrared_queries(tiny_runs.bupt, tmp_path / 'bupt')
    tool.main(
        [
            *map(str, (tiny_runs.source, tiny_experiment.source_checkpoint)),
            *('--protocol', 'hitsz_vcm', '--flip', '--work-dir', str(tmp_path / 'log')),
            *('--out', str(out), '--dump-features', str(dump)),
            *('--cfg-options', 'test_dataloader.batch_size=5', f'data_root={root}'),
        ]
    )
    metrics = json.loads(out.read_text())
    del metrics['rankings']
    assert 'rgb2rgb/mAP' not in metrics  # which the config's own protocol measures
    assert {'rgb2ir/mAP', 'ir2rgb/Rank-1', 'mean/mINP'} <= metrics.keys()
    assert all(0 <= value <= 1 for value in metrics.values())
    assert len(load_features(dump)) == 24
    assert (tmp_path / 'log' / 'evaluation_config.py').is_file()
    table = capsys.readouterr().out.splitlines()
    assert f'{100 * metrics["mean/mAP"]:.1f}' in table[-1]


def test_ranking_options(tool, tiny_runs, tiny_experiment, tmp_path, capsys):
    plain, out, queries = tmp_path / 'p.json', tmp_path / 'm.json', tmp_path / 'q.csv'
    start = [
        *map(str, (tiny_runs.adapt, tiny_experiment.checkpoint, '--work-dir', tmp_path / 'log')),
        *('--cfg-options', 'test_evaluator.bootstrap_repeats=50'),
    ]
    tool.main([*start, '--out', str(plain)])
    capsys.readouterr()
    tool.main(
        [
            *start,
            *('--rerank', '6', '3', '0.3', '--query-expansion', '2', '--query-expansion-alpha', '1.5'),
            *('--confidence', '0.9', '--per-query', str(queries), '--out', str(out)),
        ]
    )
    before, after = json.loads(plain.read_text()), json.loads(out.read_text())
    assert after.pop('rerank') == {'k1': 6, 'k2': 3, 'lambda_value': 0.3}
    assert after.pop('query_expansion') == {'topk': 2, 'alpha': 1.5}
    confidence = after.pop('confidence')
    assert after.pop('rankings') == before.pop('rankings')  # are those of the plain features
    assert before.keys() == after.keys() == confidence.pop('intervals').keys()
    assert before != after
    assert confidence == {'level': 0.9, 'resampled': 'identities', 'repeats': 50, 'seed': 0}
    assert 'confidence intervals, identities resampled' in capsys.readouterr().out
    with queries.open(newline='') as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 24
    assert all(int(row['length']) >= 12 for row in rows)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ('--rerank 6.5 3 0.3', 'K1 and K2 must be integers'),
        ('--rerank 6 3', 'expected 3 arguments'),
        ('--query-expansion-alpha 1', 'needs --query-expansion'),
    ],
)
def test_options_that_do_not_fit(tool, capsys, options, message):
    with pytest.raises(SystemExit) as stop:
        tool.main(['config.py', 'checkpoint.pth', *options.split()])
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


def test_help_shows_an_example(tool, capsys):
    with pytest.raises(SystemExit):
        tool.main(['--help'])
    assert 'example: dscreid test dsc/dsc_bupt2hitsz' in capsys.readouterr().out


@pytest.mark.parametrize(
    ('config', 'checkpoint', 'options', 'message'),
    [
        ('gone.py', 'x.pth', '', 'gone.py: no such config'),
        (None, 'gone.pth', '', 'gone.pth: no such file'),
        (None, None, 'model.backbone.tower.width=64', 'does not fit AdaptiveReID'),
        (None, None, 'model.backbone.tower.activation=quick_gelus', 'activation must be one of'),
        (None, None, 'data_root=gone', 'gone: the data root of HITSZVCM'),
        (None, None, 'test_evaluator.protocoll=3', "ReIDMetric has no argument 'protocoll'"),
        (None, None, 'test_dataloader.worker=3', "has no argument 'worker'"),
        (None, None, 'test_evaluator.rerank.k3=3', "Reranking has no argument 'k3'"),
        (None, None, 'test_evaluator.query_expansion.topk=0', 'topk must be an integer from 1'),
        (None, None, 'test_evaluator.per_query=q.json', 'q.json: results of single queries'),
    ],
)
def test_bad_input(tool, tiny_runs, tiny_experiment, tmp_path, capsys, config, checkpoint, options, message):
    arguments = [
        config or tiny_runs.adapt,
        checkpoint or tiny_experiment.checkpoint,
        '--work-dir',
        tmp_path / 'log',
    ]
    arguments += ['--out', tmp_path / 'm.json', '--dump-features', tmp_path / 'f.safetensors']
    arguments += ['--cfg-options', options] if options else []
    with pytest.raises(SystemExit) as stop:
        run_command(lambda: tool.main([str(argument) for argument in arguments]))
    assert stop.value.code == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert message in lines[0]
    assert list(tmp_path.glob('[mf].*')) == []


def test_a_checkpoint_without_necks_and_heads(tool, tiny_runs, tiny_experiment, tmp_path):
    """As convert_vld.py writes them; the tower's own pretrained file is not there."""
    weights = torch.load(tiny_experiment.source_checkpoint, weights_only=False)['state_dict']
    converted = {name: value for name, value in weights.items() if name.startswith('backbone.')}
    torch.save(dict(state_dict=converted, meta=dict(tower=dict(activation='gelu'))), tmp_path / 'vld.pth')
    for config in (tiny_runs.source, tiny_runs.adapt):
        tool.main(
            [
                *map(str, (config, tmp_path / 'vld.pth', '--work-dir', tmp_path / 'log')),
                *('--cfg-options', 'model.backbone.tower.pretrained=gone.pt', 'model.retrieval=raw'),
            ]
        )


@pytest.mark.slow
def test_bad_input_as_a_process(tiny_runs):
    result = subprocess.run(
        [sys.executable, TOOL, tiny_runs.adapt, 'gone.pth'],
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | {'OMP_NUM_THREADS': '1'},
        check=False,
    )
    assert result.returncode == 2
    assert result.stderr.splitlines()[-1].startswith('error: gone.pth: no such file')
    assert 'Traceback' not in result.stderr
