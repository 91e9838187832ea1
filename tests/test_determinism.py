"""One seed, one result: whatever the loaders' workers, however often the run validates, bit for bit."""

import gc
import os
import re

import pytest
import torch
from kill_bench import differences
from torch.utils._python_dispatch import TorchDispatchMode

from dscreid.apis.config import fit_to_machine, load_config
from dscreid.apis.train import train_stage
from dscreid.engine.runner import CUBLAS_VARIABLE
from dscreid.utils.checkpoint import load_checkpoint

pytestmark = [
    pytest.mark.usefixtures('one_thread_throughout'),
    # on a busy machine the threads that feed persistent workers may fail while these end, after the last batch
    pytest.mark.filterwarnings('default::pytest.PytestUnhandledThreadExceptionWarning'),
]
#: The checkpoint then holds the pseudo labels of its epoch, beside weights, moments, schedules and losses.
KEEP_LABELS = {'default_hooks.cluster.on_failure': 'keep'}
LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


@pytest.fixture(scope='module', params=['source', 'adaptation'])
def stage(request, tiny_runs, tiny_experiment, tmp_path_factory):
    """Function that runs a stage with options and returns its last checkpoint."""
    adapts = request.param == 'adaptation'
    path = tiny_runs.adapt if adapts else tiny_runs.source
    source = tiny_experiment.source_checkpoint if adapts else None

    def run(**options):
        if not adapts:
            options = {key: value for key, value in options.items() if 'cluster' not in key}
        config = load_config(path, {**(KEEP_LABELS if adapts else {}), **options})
        config.work_dir = str(tmp_path_factory.mktemp('run'))
        fit_to_machine(config)
        checkpoint = train_stage(config, source_checkpoint=source)
        gc.collect()  # workers of this test end within it
        return load_checkpoint(checkpoint)

    run.adapts = adapts
    return run


@pytest.fixture(scope='module')
def reference(stage, request):
    """The stage without workers, validated after its last epoch alone."""
    content = stage()
    assert ('cluster_labels' in content) is stage.adapts
    return content


@pytest.mark.slow
@pytest.mark.parametrize('persistent', [False, True], ids=['new each epoch', 'persistent'])
@pytest.mark.parametrize('workers', [1, 4])
def test_workers_change_nothing(stage, reference, workers, persistent):
    loader = dict(num_workers=workers, persistent_workers=persistent)
    options = {f'{place}.{key}': value for place in LOADERS for key, value in loader.items()}
    assert differences(reference, stage(**options)) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    'options',
    [{'train_cfg.val_interval': 1}, dict(val_cfg=None, val_dataloader=None, val_evaluator=None)],
    ids=['after each epoch', 'never'],
)
def test_validation_changes_nothing(stage, reference, options):
    assert differences(reference, stage(**options)) == []


@pytest.mark.slow
def test_another_seed_changes_the_result(stage, reference):
    """What the tests for equality compare is not always equal."""
    places = ' '.join(differences(reference, stage(**{'randomness.seed': 5})))
    assert 'state_dict' in places
    assert ('cluster_labels' in places) is stage.adapts


#: Operations that PyTorch 2.11 refuses on a GPU in deterministic mode (``torch.use_deterministic_algorithms``),
#: by their names in ATen; of the last ones only those that :func:`refused_on_gpu` looks at more closely.
REFUSED = re.compile(
    r'aten::(avg_pool3d_backward|_?adaptive_avg_pool[23]d_backward|max_pool3d_with_indices_backward'
    r'|adaptive_max_pool[23]d_backward|fractional_max_pool[23]d_backward|max_unpool[23]d|upsample_\w+_backward'
    r'|reflection_pad[123]d_backward|replication_pad[123]d_backward|nll_loss2d_\w+|_ctc_loss_backward'
    r'|_embedding_bag_\w*backward|_?histc|kthvalue|grid_sampler_[23]d_backward|put_?|scatter_reduce_?'
    r'|index_reduce_?|_?bincount|cumsum_?|median|nanmedian)\b'
)


def refused_on_gpu(name: str, arguments: tuple) -> bool:
    """Whether an operation would raise on a GPU; some do so with some arguments alone."""
    if not REFUSED.match(name):
        return False
    if 'bincount' in name:
        return len(arguments) > 1 and arguments[1] is not None
    if 'cumsum' in name:
        return arguments[0].is_floating_point()
    if 'median' in name:
        return len(arguments) > 1  # with indices
    return True


class RefusedOperations(TorchDispatchMode):
    """Lists what is computed, gradients included, and would raise on a GPU."""

    def __init__(self):
        super().__init__()
        self.seen, self.refused = set(), set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.name()
        self.seen.add(name)
        if refused_on_gpu(name, args):
            self.refused.add(name)
        return function(*args, **(kwargs or {}))


def test_operations_that_a_gpu_refuses_are_found():
    with RefusedOperations() as found:
        torch.rand(3).cumsum(0)
        torch.arange(3).cumsum(0)
        torch.bincount(torch.arange(3), weights=torch.ones(3))
        torch.nn.functional.interpolate(
            torch.rand(1, 1, 2, 2, requires_grad=True), size=3, mode='bilinear'
        ).sum().backward()
    assert found.refused == {'aten::cumsum', 'aten::bincount', 'aten::upsample_bilinear2d_backward'}
    with RefusedOperations() as found:
        torch.arange(3).cumsum(0)
        torch.bincount(torch.arange(3))
        torch.rand(3).median()
    assert found.refused == set()


@pytest.fixture
def deterministic_afterwards(monkeypatch):
    monkeypatch.delenv(CUBLAS_VARIABLE, raising=False)
    before = torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark
    yield
    torch.use_deterministic_algorithms(False)
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = before
    os.environ.pop(CUBLAS_VARIABLE, None)


@pytest.mark.slow
@pytest.mark.usefixtures('deterministic_afterwards')
def test_deterministic_mode(stage, reference):
    """It is set and trains; nothing that it computes is refused on a GPU, and on a processor it changes nothing."""
    with RefusedOperations() as found:
        content = stage(**{'randomness.deterministic': True})
    assert torch.are_deterministic_algorithms_enabled()
    assert torch.backends.cudnn.deterministic
    assert not torch.backends.cudnn.benchmark
    assert os.environ[CUBLAS_VARIABLE] == ':4096:8'
    assert 'aten::convolution_backward' in found.seen  # gradients were seen too
    assert found.refused == set()
    # the recorded settings say which mode it was
    assert [found for found in differences(reference, content) if not found.startswith('.meta.settings')] == []
