"""Stands in for tools/train.py: the same arguments and files, no training."""

import argparse
import json
import os
import sys
import time
from pathlib import Path


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('config')
    parser.add_argument('--work-dir', type=Path)
    parser.add_argument('--resume', action='store_true')
    parser.add_argument('--amp', action='store_true')
    parser.add_argument('--seed', type=int)
    parser.add_argument('--cfg-options', nargs='+', default=[])
    arguments = parser.parse_args()
    run = arguments.work_dir.name
    start = dict(
        run=run,
        folder=str(arguments.work_dir),
        seed=arguments.seed,
        options=arguments.cfg_options,
        pid=os.getpid(),
        gpu=os.environ.get('CUDA_VISIBLE_DEVICES'),
        threads=os.environ.get('OMP_NUM_THREADS'),
        roots=[os.environ.get(f'DSCREID_SYNTHETIC_{name}') for name in ('BUPT', 'HITSZ')],
        seen=sorted(path.name for path in arguments.work_dir.parent.iterdir() if path.is_dir()),
    )
    with open(os.environ['FAKE_TRAINER_LOG'], 'a') as log:
        log.write(json.dumps(start) + '\n')
    if run in os.environ.get('FAKE_FAILING', '').split():
        sys.exit('error: this run was told to fail')
    gate = os.environ.get('FAKE_GATE')
    while gate and run == 'dsc_demo' and not Path(gate).exists():
        time.sleep(0.02)
    value = 0.1 * arguments.seed + len(run) / 100
    metrics = {f'{side}/{name}': value for side in ('rgb2ir', 'ir2rgb', 'mean') for name in ('Rank-1', 'mAP')}
    (arguments.work_dir / 'metrics.json').write_text(json.dumps(metrics | {'checkpoint': {'why': 'a note'}}))
    (arguments.work_dir / 'features.safetensors').write_text('')


main()
