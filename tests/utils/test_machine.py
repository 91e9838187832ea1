"""Limits of control groups, read from made-up mounts."""

import pytest

from dscreid.utils.machine import cgroup_headroom, free_memory


def group(folder, limit, used, cache, version):
    folder.mkdir(parents=True, exist_ok=True)
    names = ('memory.max', 'memory.current', 'inactive_file')
    if version == 1:
        names = ('memory.limit_in_bytes', 'memory.usage_in_bytes', 'total_inactive_file')
    (folder / names[0]).write_text(f'{limit}\n')
    (folder / names[1]).write_text(f'{used}\n')
    (folder / 'memory.stat').write_text(f'anon 1\n{names[2]} {cache}\n')


@pytest.mark.parametrize('version', [1, 2])
def test_the_tightest_group_counts_without_its_cache(tmp_path, version):
    membership, root = tmp_path / 'cgroup', tmp_path / 'mount'
    line = '4:cpu,memory:/job/step' if version == 1 else '0::/job/step'
    membership.write_text(f'9:pids:/\n{line}\n')
    mount = root / 'memory' if version == 1 else root
    assert cgroup_headroom(membership, root) is None
    group(mount / 'job/step', 900, 100, 50, version)
    assert cgroup_headroom(membership, root) == 850
    group(mount / 'job', 500, 200, 20, version)
    assert cgroup_headroom(membership, root) == 320
    group(mount, 250, 300, 0, version)
    assert cgroup_headroom(membership, root) == 0


def test_no_limit_and_no_groups(tmp_path):
    (tmp_path / 'cgroup').write_text('0::/job\n')
    group(tmp_path / 'job', 'max', 100, 0, 2)
    assert cgroup_headroom(tmp_path / 'cgroup', tmp_path) is None
    assert cgroup_headroom(tmp_path / 'missing', tmp_path) is None


def test_swap_is_counted_where_asked():
    assert free_memory() > 0
    assert free_memory(swap=True) > 0
