"""Limits of control groups, read from made-up mounts."""

from dscreid.utils.machine import cgroup_headroom, free_memory


def group(folder, limit, used, cache):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / 'memory.max').write_text(f'{limit}\n')
    (folder / 'memory.current').write_text(f'{used}\n')
    (folder / 'memory.stat').write_text(f'anon 1\ninactive_file {cache}\n')


def test_the_tightest_group_counts_without_its_cache(tmp_path):
    membership, root = tmp_path / 'cgroup', tmp_path / 'mount'
    membership.write_text('9:pids:/\n0::/job/step\n')
    assert cgroup_headroom(membership, root) is None
    group(root / 'job/step', 900, 100, 50)
    assert cgroup_headroom(membership, root) == 850
    group(root / 'job', 500, 200, 20)
    assert cgroup_headroom(membership, root) == 320
    group(root, 250, 300, 0)
    assert cgroup_headroom(membership, root) == 0


def test_no_limit_and_no_groups(tmp_path):
    (tmp_path / 'cgroup').write_text('0::/job\n')
    group(tmp_path / 'job', 'max', 100, 0)
    assert cgroup_headroom(tmp_path / 'cgroup', tmp_path) is None
    assert cgroup_headroom(tmp_path / 'missing', tmp_path) is None


def test_swap_is_counted_where_asked():
    assert free_memory() > 0
    assert free_memory(swap=True) > 0
