"""A wheel, built from the source distribution and installed without the checkout, works from an empty folder."""

import json
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest
from tiny_runs import write_tiny_configs

from dscreid.lab.reproduction.identity import code_fingerprint

pytestmark = pytest.mark.slow
REPOSITORY = Path(__file__).parents[1]
_NO_SOURCE = shutil.ignore_patterns(
    '.git',
    '.venv',
    '__pycache__',
    '*.egg-info',
    'build',
    'dist',
    'data',
    'work_dirs',
    'weights.tmp',
    '.*_cache',
)
_BUILD_SDIST = 'import sys; from setuptools import build_meta; print(build_meta.build_sdist(sys.argv[1]))'
_INSTALLED = """
import json
from dscreid.apis import init_model, load_config, shipped_configs
from dscreid.lab.reproduction.identity import code_fingerprint, git_revision
from dscreid.lab.reproduction.presets import PRESETS, Place
from dscreid.errors import CheckpointError
from dscreid.registry import MODELS

try:
    init_model('dsc/dsc_demo', 'gone.pth', device='cpu')
except CheckpointError as error:
    message = str(error)
tower = MODELS.build(load_config('source/stp_demo').model.backbone.tower)
tower.init_weights()
print(json.dumps({
    'message': message,
    'embedding': float(tower.class_embedding.abs().sum()),
    'configs': str(shipped_configs()),
    'source': load_config('dsc/dsc_bupt2hitsz').source.config,
    'trainer': str(Place('out', PRESETS['real']).trainer),
    'code': code_fingerprint(),
    'git': git_revision(),
}))
"""


class Installation:
    """An environment with the wheel, and an empty folder to work in."""

    def __init__(self, root: Path, wheel: Path) -> None:
        self.folder, self.environment = root / 'empty', root / 'environment'
        self.folder.mkdir()
        venv.create(self.environment, with_pip=False)
        self.site = next(self.environment.glob('lib/python*/site-packages'))
        self.bin = self.environment / 'bin'
        pip = [sys.executable, '-m', 'pip', '--python', str(self.bin / 'python'), 'install', '--quiet']
        run([*pip, '--no-deps', '--no-index', str(wheel)], root)
        # the dependencies of this environment, without what its own .pth files add: the checkout
        dependencies = [path for path in sys.path if path.endswith('-packages')]
        (self.site / 'dependencies.pth').write_text('\n'.join(dependencies) + '\n')
        for hook in (hook for path in dependencies for hook in Path(path).glob('distutils-precedence.pth')):
            shutil.copy(hook, self.site)  # setuptools stands in for distutils, which Python 3.12 removed
        self.package = self.site / 'dscreid'

    def dscreid(self, *arguments: object) -> subprocess.CompletedProcess:
        return run([str(self.bin / 'dscreid'), *map(str, arguments)], self.folder, check=False)

    def python(self, code: str) -> dict:
        return json.loads(run([str(self.bin / 'python'), '-c', code], self.folder).stdout.splitlines()[-1])

    def files(self) -> dict[str, int]:
        """Files of the package with their times of change."""
        return {
            str(path): path.stat().st_mtime_ns
            for path in self.package.rglob('*')
            if '__pycache__' not in path.parts and path.is_file()
        }


def run(command: list[str], folder: Path, check: bool = True) -> subprocess.CompletedProcess:
    """A command in a folder, without what could lead Python to the checkout."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith('PYTHON')}
    environment['OMP_NUM_THREADS'] = '1'
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert not check or done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    return tmp_path_factory.mktemp('installation')


@pytest.fixture(scope='module')
def wheel(root):
    """The wheel, built from the unpacked source distribution of a copy of the checkout."""
    shutil.copytree(REPOSITORY, root / 'checkout', ignore=_NO_SOURCE)
    name = run([sys.executable, '-c', _BUILD_SDIST, str(root)], root / 'checkout').stdout.splitlines()[-1]
    shutil.unpack_archive(root / name, root / 'sdist')
    (source,) = (root / 'sdist').iterdir()
    pip = [sys.executable, '-m', 'pip', 'wheel', '--quiet', '--no-deps', '--no-index', '--no-build-isolation']
    run([*pip, '--wheel-dir', str(root), str(source)], root)
    (path,) = root.glob('*.whl')
    return path


@pytest.fixture(scope='module')
def installation(root, wheel):
    return Installation(root, wheel)


def test_the_wheel_holds_configs_tools_and_the_tower(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    configs = {path.relative_to(REPOSITORY).as_posix() for path in (REPOSITORY / 'configs').rglob('*.py')}
    assert {f'dscreid/.mim/{name}' for name in configs} <= names
    assert {f'dscreid/.mim/{name}' for name in ('model-index.yml', 'configs/dsc/metafile.yml')} <= names
    assert {'dscreid/.mim/tools/train.py', 'dscreid/weights/synthetic_encoder.safetensors'} <= names
    assert not [name for name in names if 'benchmarks' in name or 'tests' in name or '__pycache__' in name]
    assert not (REPOSITORY / 'dscreid' / '.mim').exists()


@pytest.mark.slow
def test_what_code_finds(installation):
    found = installation.python(_INSTALLED)
    assert found['message'].startswith('gone.pth: ')
    assert '\n' not in found['message']
    assert found['embedding'] > 0
    mim = installation.package / '.mim'
    assert found['configs'] == str(mim / 'configs')
    assert found['source'] == str(mim / 'configs' / 'source' / 'stp_bupt.py')
    assert found['trainer'] == str(mim / 'tools' / 'train.py')
    # the same code as in the checkout, and no commit: the folder may lie in another repository
    assert found['code'] == code_fingerprint()
    assert found['git'] is None


@pytest.mark.slow
def test_the_tiny_experiment_by_the_console_script(installation, tiny_runs):
    before = installation.files()
    folder = installation.folder
    source, adapt = write_tiny_configs(folder / 'configs', tiny_runs.bupt, tiny_runs.hitsz)
    for config in (source, adapt):  # inherit from the installed configs
        text = config.read_text()
        config.write_text(text.replace(str(REPOSITORY / 'configs'), str(installation.package / '.mim' / 'configs')))
    done = installation.dscreid('train', 'configs/tiny_dsc.py', '--work-dir', 'runs/dsc')
    assert done.returncode == 0, done.stderr
    assert any(line.startswith('rgb2ir') for line in done.stdout.splitlines())
    metrics = json.loads((folder / 'runs' / 'dsc' / 'metrics.json').read_text())
    assert 0 <= metrics['mean/mAP'] <= 1
    assert (folder / 'runs' / 'tiny_source' / 'epoch_2.pth').is_file()
    tested = installation.dscreid(
        'test', 'configs/tiny_dsc.py', 'runs/dsc/epoch_2.pth', '--work-dir', 'tested', '--out', 'tested.json'
    )
    assert tested.returncode == 0, tested.stderr
    assert json.loads((folder / 'tested.json').read_text())['mean/mAP'] == metrics['mean/mAP']
    assert installation.files() == before


@pytest.mark.slow
def test_commands_by_short_name(installation):
    assert installation.dscreid('--version').stdout.startswith('dscreid ')
    listed = installation.dscreid('reproduce', 'list', '--data', 'real')
    assert listed.returncode == 0
    assert 'config missing' not in listed.stdout
    refused = installation.dscreid('train', 'dsc/dsc_bupt2hits')
    assert refused.returncode == 2
    assert refused.stderr.endswith("did you mean 'dsc/dsc_bupt2hitsz'?\n")
    no_data = installation.dscreid('train', 'dsc/dsc_bupt2hitsz', '--dry-run')
    assert no_data.returncode == 2
    assert no_data.stderr.count('\n') == 1
    assert 'data_root=FOLDER' in no_data.stderr
