"""A small experiment with fake parts: configs without models, worlds without pictures, a trainer without training."""

import io
import json
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from dscreid.lab.reproduction import costs, execution, planning, presets
from dscreid.lab.reproduction.driver import ReproductionOptions, reproduce
from dscreid.lab.synthetic import make_spec
from dscreid.lab.synthetic.target_folder import RENDERER_VERSION

TRAINER = Path(__file__).with_name('fake_trainer.py')
METHODS = {
    'dsc': "source = dict(config='source_demo.py', checkpoint=None)\nmodel = dict(alpha=0.9)\n",
    'bclu': "_base_ = './dsc_demo.py'\nmodel = dict(alpha=None)\n",
    'pgm': "_base_ = './bclu_demo.py'\nsource = dict(config='bclu_demo.py')\nmodel = dict(matching=True)\n",
    'without_dslu': "_base_ = './dsc_demo.py'\nmodel = dict(dslu=False)\n",
    'without_dsjl': "_base_ = './dsc_demo.py'\nmodel = dict(dsjl=False)\n",
    'adabn': "_base_ = './cd_demo.py'\nmodel = dict(necks=True)\n",
    'cd': "_base_ = './dsc_demo.py'\ntrain_cfg = None\n",
}
_COMMON = """
test_dataloader = dict(dataset=dict(root='{{{{${variable}:nowhere}}}}', pipeline=[]))
test_evaluator = dict(protocol='hitsz_vcm')
train_cfg = dict(max_epochs=2)
"""


def tiny_worlds(seed, direction, preset='demo'):
    """Stands in for ``adaptation_worlds``: specs of worlds that are never rendered."""
    source, target = direction.split('2')
    return (
        make_spec('tiny', 'bupt', domain=source, seed=1000 + seed),
        make_spec('tiny', 'hitsz', domain=target, seed=2000 + seed),
    )


def use_fakes(set_attribute=setattr, code='present code'):
    """Put the fakes in place: worlds that are never rendered, and a revision that no edit changes."""
    set_attribute(presets, 'adaptation_worlds', tiny_worlds)
    for module in (planning, execution):
        set_attribute(module, 'code_fingerprint', lambda: code)


@pytest.fixture
def bench(tmp_path, monkeypatch):
    """Options, configs and records of fake runs in a temporary folder."""
    use_fakes(monkeypatch.setattr)
    monkeypatch.setattr(costs, 'FOLDER', tmp_path / 'no results')  # what the repository holds is of other runs
    configs = tmp_path / 'configs' / 'synthetic'
    configs.mkdir(parents=True)
    (configs / 'source_demo.py').write_text(_COMMON.format(variable='DSCREID_SYNTHETIC_BUPT'))
    target = _COMMON.format(variable='DSCREID_SYNTHETIC_HITSZ')
    for name, text in METHODS.items():
        (configs / f'{name}_demo.py').write_text(text if '_base_' in text else target + text)
    monkeypatch.setenv('FAKE_TRAINER_LOG', str(tmp_path / 'starts.jsonl'))
    place = presets.Place(tmp_path / 'out', presets.find_preset('synthetic-demo'), configs.parent, TRAINER)
    return Bench(tmp_path, place, monkeypatch)


class Bench:
    """Runs tables with the fake trainer and knows what it did."""

    def __init__(self, folder, place, monkeypatch):
        self.folder, self.place, self.configs = folder, place, place.configs / 'synthetic'
        self.setenv = monkeypatch.setenv
        self.unsetenv = lambda name: monkeypatch.delenv(name, raising=False)
        self.change_code = lambda: use_fakes(monkeypatch.setattr, 'other code')
        self.printed = ''

    def options(self, experiment='table3', seeds=(1,), directions=('bupt2hitsz',), **others):
        for seed in seeds:
            for direction in directions:
                self.finish_worlds(direction, seed)
        return ReproductionOptions(experiment, self.place, seeds=seeds, directions=directions, **others)

    def run(self, experiment='table3', **others):
        """Phase of each job by its own name, in one direction and seed."""
        stream = io.StringIO()
        statuses = reproduce(self.options(experiment, stream=stream, **others))
        self.printed = stream.getvalue()
        return {name.partition('/seed')[2].partition('/')[2]: status.phase.value for name, status in statuses.items()}

    def finish_worlds(self, direction, seed):
        """Markers of rendered worlds."""
        for role, spec in self.place.preset.worlds(direction, seed).items():
            root = self.place.world_folders(direction, seed)[role]
            root.mkdir(parents=True, exist_ok=True)
            content = {'renderer': RENDERER_VERSION, 'spec': spec.to_dict()}
            (root / 'world.json').write_text(json.dumps(content))

    def starts(self):
        """What the fake trainer was called with, in order."""
        path = Path(os.environ['FAKE_TRAINER_LOG'])
        return [SimpleNamespace(**json.loads(line)) for line in path.read_text().splitlines()] if path.exists() else []

    def started(self):
        return [start.run for start in self.starts()]

    def folder_of(self, run, direction='bupt2hitsz', seed=1):
        return self.place.group(direction, seed) / run

    def card(self, run, **where):
        return json.loads((self.folder_of(run, **where) / 'run_card.json').read_text())
