"""One tiny world of each layout, rendered once for all tests of the folder."""

import pytest

from dscreid.lab.synthetic import make_spec, render_world


@pytest.fixture(scope='session')
def hitsz_world(tmp_path_factory):
    spec = make_spec('tiny', 'hitsz', train_ids=3, test_ids=2)
    root = tmp_path_factory.mktemp('worlds') / 'hitsz'
    return spec, root, render_world(root, spec, num_processes=1, progress=False)


@pytest.fixture(scope='session')
def bupt_world(tmp_path_factory):
    spec = make_spec('tiny', 'bupt', train_ids=3, test_ids=2, auxiliary_ids=2, fake_ir=True)
    root = tmp_path_factory.mktemp('worlds') / 'bupt'
    return spec, root, render_world(root, spec, num_processes=1, progress=False)
