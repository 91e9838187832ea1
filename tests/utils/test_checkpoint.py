"""Weights files are read safely and fitted strictly; MMEngine's checkpoints resume with torch >= 2.6."""

import pickle
import zipfile

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from safetensors.torch import save_file
from tiny_runner import make_runner
from torch import nn

from dscreid.errors import CheckpointError, ConfigError
from dscreid.utils.checkpoint import (
    load_checkpoint,
    load_model_weights,
    load_weights,
    read_metadata,
    sha256,
)
from dscreid.utils.files import replacing
from dscreid.utils.safe_globals import allow_mmengine_globals, mmengine_globals
from dscreid.utils.torchscript import is_torchscript, read_torchscript


@pytest.fixture(scope='module')
def mmengine_checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp('run')
    runner = make_runner(folder, epochs=1)
    # what evaluation leaves behind
    runner.message_hub.update_info('mAP', np.float32(0.5), resumed=True)
    runner.train()
    return folder / 'epoch_1.pth'


@pytest.fixture
def no_safe_globals():
    known = torch.serialization.get_safe_globals()
    torch.serialization.clear_safe_globals()
    yield
    torch.serialization.clear_safe_globals()
    torch.serialization.add_safe_globals(known)


def test_mmengine_checkpoint_is_read(mmengine_checkpoint, no_safe_globals):
    content = load_checkpoint(mmengine_checkpoint)
    buffer = content['message_hub']['log_scalars']['train/loss']
    assert isinstance(buffer, HistoryBuffer)
    assert buffer.mean() == pytest.approx(np.mean(buffer.data[0]))
    assert content['message_hub']['runtime_info']['mAP'] == np.float32(0.5)
    assert set(load_weights(mmengine_checkpoint)) == {'linear.weight', 'linear.bias'}


def test_resume(mmengine_checkpoint, tmp_path, no_safe_globals):
    allow_mmengine_globals()
    allow_mmengine_globals()
    runner = make_runner(tmp_path, epochs=2, load_from=str(mmengine_checkpoint), resume=True)
    runner.train()
    assert runner.epoch == 2
    assert (tmp_path / 'epoch_2.pth').exists()


def test_reading_makes_resume_possible(mmengine_checkpoint, no_safe_globals):
    load_checkpoint(mmengine_checkpoint)
    torch.load(mmengine_checkpoint)  # as Runner.resume does, with weights_only=True by default


def test_work_around_is_still_needed(mmengine_checkpoint, no_safe_globals):
    """When this fails, delete dscreid/utils/safe_globals.py: MMEngine's checkpoints load by default."""
    with pytest.raises(pickle.UnpicklingError, match='weights_only'):
        torch.load(mmengine_checkpoint)


def test_every_allowed_name_is_needed(mmengine_checkpoint, no_safe_globals):
    needed = set(torch.serialization.get_unsafe_globals_in_checkpoint(mmengine_checkpoint))
    allowed = set()
    for item in mmengine_globals():
        name = item[1] if isinstance(item, tuple) else f'{item.__module__}.{item.__qualname__}'
        # NumPy 1 and 2 differ in this part of the name; dtype classes are never named in a pickle
        if not name.startswith('numpy.dtypes.'):
            allowed.add(name.replace('numpy.core.', 'numpy._core.'))
    assert allowed == {name.replace('numpy.core.', 'numpy._core.') for name in needed}


class Command:
    """Pickles as a call of any function."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def mark(path):
    open(path, 'w').close()


@pytest.mark.parametrize('name', ['eval', 'getattr', 'globals', 'own'])
def test_pickle_that_runs_code_is_refused(name, tmp_path):
    ran = tmp_path / 'ran'
    calls = {
        'eval': Command(eval, f'open({str(ran)!r}, "w")'),
        'getattr': Command(getattr, HistoryBuffer, '__init__'),
        'globals': Command(getattr, HistoryBuffer.mean, '__globals__'),
        'own': Command(mark, str(ran)),
    }
    torch.save({'state_dict': {'weight': torch.zeros(1)}, 'meta': calls[name]}, path := tmp_path / 'bad.pth')
    with pytest.raises(CheckpointError, match=r'bad\.pth: refused, because it refers to .* contains only tensors'):
        load_weights(path)
    assert not ran.exists()


@pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
@pytest.mark.parametrize('content', [b'', b'no weights at all', b'\x80\x02}q'])
def test_damaged_files(suffix, content, tmp_path):
    (path := tmp_path / f'weights{suffix}').write_bytes(content)
    with pytest.raises(CheckpointError, match=rf'weights\{suffix}: is not a readable weights file') as caught:
        load_weights(path)
    assert 'weights_only' not in str(caught.value)


def test_truncated_file(mmengine_checkpoint, tmp_path):
    data = mmengine_checkpoint.read_bytes()
    (path := tmp_path / 'half.pth').write_bytes(data[: len(data) // 2])
    with pytest.raises(CheckpointError, match='is not a readable weights file'):
        load_weights(path)


def test_missing_file_and_folder(tmp_path):
    for path in (tmp_path / 'none.pth', tmp_path):
        with pytest.raises(CheckpointError, match='no such file'):
            load_weights(path)


@pytest.mark.parametrize('content', [[torch.zeros(1)], {'epoch': 3}, {}, {'state_dict': {'a': 1}}])
def test_files_without_weights(content, tmp_path):
    torch.save(content, path := tmp_path / 'other.pth')
    with pytest.raises(CheckpointError, match=r'other\.pth: expected'):
        load_weights(path)


@pytest.mark.parametrize(
    'value',
    [
        torch.empty(2, 2, device='meta'),
        torch.eye(2).to_sparse(),
        torch.quantize_per_tensor(torch.eye(2), 0.1, 0, torch.qint8),
        torch.zeros(1).expand(10**12),
    ],
)
@pytest.mark.filterwarnings('ignore::UserWarning', 'ignore::DeprecationWarning')
def test_tensors_without_usable_values(value, tmp_path):
    torch.save({'state_dict': {'a.weight': value, 'b.bias': torch.ones(1)}}, path := tmp_path / 'odd.pth')
    with pytest.raises(CheckpointError, match=r'odd\.pth: holds tensors that are sparse, .*: a\.weight\.$'):
        load_weights(path)


@pytest.mark.parametrize('script', [False, True])
@pytest.mark.filterwarnings('ignore::DeprecationWarning')
def test_compressed_archives_are_refused(script, tmp_path):
    model = nn.Linear(300, 300)
    nn.init.zeros_(model.weight)
    plain, packed = tmp_path / 'plain.pt', tmp_path / 'packed.pt'
    if script:
        torch.jit.script(model).save(plain)
    else:
        torch.save(model.state_dict(), plain)
    with zipfile.ZipFile(plain) as source, zipfile.ZipFile(packed, 'w', zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            target.writestr(name, source.read(name))
    assert set(load_weights(plain)) == {'weight', 'bias'}
    with pytest.raises(CheckpointError, match=r'packed\.pt: is not a readable weights file \(its records claim'):
        load_weights(packed)


def test_integers_do_not_fit_floating_point_weights(tmp_path):
    model = nn.BatchNorm1d(2)
    state = model.state_dict()
    torch.save({**state, 'weight': state['weight'].half()}, path := tmp_path / 'weights.pth')
    load_model_weights(model, path)  # another precision is fine
    torch.save({name: value.long() for name, value in state.items()}, path)
    with pytest.raises(CheckpointError, match='weight has dtype int64, not float32') as caught:
        load_model_weights(model, path)
    assert 'num_batches_tracked' not in str(caught.value)


def test_where_weights_are_found(tmp_path):
    weights = {'a.weight': torch.arange(3.0), 'b': torch.ones(2, dtype=torch.half)}
    path = tmp_path / 'weights.pth'
    prefixed = {f'module.{name}': value for name, value in weights.items()}
    for content in (weights, {'state_dict': weights, 'x': 1}, {'model': weights}, prefixed):
        torch.save(content, path)
        found = load_weights(path)
        assert found.keys() == weights.keys()
        assert found['b'].dtype == torch.half
    save_file(weights, path := tmp_path / 'weights.safetensors', {'note': 'hello'})
    assert torch.equal(load_weights(path)['a.weight'], weights['a.weight'])
    assert read_metadata(path) == {'note': 'hello'}
    assert read_metadata(tmp_path / 'weights.pth') == {}


def test_model_weights_are_all_or_nothing(tmp_path):
    model = nn.ModuleDict({'backbone': nn.Linear(2, 2), 'neck': nn.Linear(2, 1)})
    good = {name: torch.ones_like(value) for name, value in model.state_dict().items()}
    path = tmp_path / 'weights.pth'
    before = {name: value.clone() for name, value in model.state_dict().items()}

    wrong = {**good, 'backbone.weight': torch.ones(3, 2), 'head.weight': torch.ones(1)}
    del wrong['neck.bias']
    torch.save({'state_dict': wrong}, path)
    with pytest.raises(CheckpointError) as caught:
        load_model_weights(model, path)
    for part in (
        'does not fit ModuleDict',
        'backbone.weight has shape (3, 2), not (2, 2)',
        'missing neck.bias',
        'unexpected head.weight',
    ):
        assert part in str(caught.value)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())

    torch.save({'backbone.weight': good['backbone.weight'], 'head.weight': torch.ones(1)}, path)
    load_model_weights(
        model, path, allow_missing=('neck.', 'backbone.bias'), ignore=lambda name: name.startswith('head.')
    )
    assert torch.equal(model['backbone'].weight, torch.ones(2, 2))
    assert torch.equal(model['neck'].weight, before['neck.weight'])


def test_at_most_ten_differences_are_shown(tmp_path):
    model = nn.ModuleList([nn.Linear(1, 1) for _ in range(8)])
    torch.save({'other': torch.ones(1)}, path := tmp_path / 'weights.pth')
    with pytest.raises(CheckpointError, match='and 7 more') as caught:
        load_model_weights(model, path)
    assert str(caught.value).count('missing') == 10


def test_recorded_activation_is_checked(tmp_path):
    model = nn.Linear(1, 1)
    model.settings = {'activation': 'gelu'}
    meta = {'tower': {'activation': 'quick_gelu'}}
    torch.save({'state_dict': model.state_dict(), 'meta': meta}, path := tmp_path / 'vld.pth')
    with pytest.raises(ConfigError, match='was trained with quick_gelu'):
        load_model_weights(model, path)


@pytest.mark.filterwarnings('ignore::DeprecationWarning')
def test_torchscript_reader_equals_torch(tmp_path):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Sequential(nn.Linear(4, 2))).eval()
    model[2][0].weight = nn.Parameter(torch.randn(4, 2).t())  # not contiguous
    model.register_buffer('view', torch.randn(6).half()[2:])  # a view with an offset
    torch.jit.script(model).save(path := tmp_path / 'model.pt')
    assert is_torchscript(path)
    found = read_torchscript(path)
    wanted = torch.jit.load(path).state_dict()
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        assert torch.equal(found[name], value)
        assert found[name].dtype == value.dtype
    torch.save(model.state_dict(), other := tmp_path / 'model.pth')
    assert not is_torchscript(other)


def test_sha256(tmp_path):
    (path := tmp_path / 'abc').write_bytes(b'abc')
    assert sha256(path) == 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'


def test_replacing_leaves_nothing_half_written(tmp_path):
    (target := tmp_path / 'sub' / 'file.txt').parent.mkdir()
    target.write_text('old')

    def write_half():
        with replacing(target) as path:
            path.write_text('half')
            raise RuntimeError('interrupted')

    with pytest.raises(RuntimeError, match='interrupted'):
        write_half()
    assert target.read_text() == 'old'
    with replacing(target) as path:
        path.write_text('new')
    assert target.read_text() == 'new'
    assert [item.name for item in target.parent.iterdir()] == ['file.txt']
