import pytest

from dscreid.distributed.launch import launch_environment
from dscreid.errors import ConfigError

SLURM = {'SLURM_PROCID': '3', 'SLURM_NTASKS': '8', 'SLURM_LOCALID': '1', 'SLURM_NODELIST': 'n[1-2]'}


def test_torchrun():
    given = {'RANK': '1', 'WORLD_SIZE': '2', 'LOCAL_RANK': '1', 'MASTER_ADDR': 'host', 'MASTER_PORT': '5'}
    assert launch_environment('pytorch', given | {'OTHER': 'x'}) == given


def test_slurm(tmp_path, monkeypatch):
    scontrol = tmp_path / 'scontrol'
    scontrol.write_text('#!/bin/sh\n[ "$*" = "show hostnames n[1-2]" ] && printf "n1\\nn2\\n"\n')
    scontrol.chmod(0o755)
    monkeypatch.setenv('PATH', f'{tmp_path}:/usr/bin:/bin')
    found = launch_environment('slurm', SLURM | {'SLURM_JOB_ID': '123'})
    assert found == {
        'RANK': '3', 'WORLD_SIZE': '8', 'LOCAL_RANK': '1', 'MASTER_ADDR': 'n1', 'MASTER_PORT': '29623',
    }  # fmt: skip
    assert launch_environment('slurm', SLURM, port=7)['MASTER_PORT'] == '7'
    assert launch_environment('slurm', SLURM | {'MASTER_PORT': '9', 'MASTER_ADDR': 'm'})['MASTER_ADDR'] == 'm'


def test_what_is_missing_is_said():
    with pytest.raises(ConfigError, match='RANK, WORLD_SIZE, LOCAL_RANK is not set; start the processes with torchrun'):
        launch_environment('pytorch', {})
    with pytest.raises(ConfigError, match=r'SLURM_NTASKS is not set; .* srun'):
        launch_environment('slurm', SLURM | {'SLURM_NTASKS': ''})
    mpi = {f'OMPI_COMM_WORLD_{name}': '0' for name in ('RANK', 'SIZE', 'LOCAL_RANK')}
    with pytest.raises(ConfigError, match='set MASTER_ADDR'):
        launch_environment('mpi', mpi)
