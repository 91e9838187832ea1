"""Stands in for the task that renders a world: writes its marker and nothing else."""

import argparse
import json
import os
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument('task', choices=('render',))
parser.add_argument('--root', type=Path)
parser.add_argument('--spec', type=json.loads)
arguments = parser.parse_args()
arguments.root.mkdir(parents=True)
content = {'renderer': int(os.environ['FAKE_RENDERER_VERSION']), 'spec': arguments.spec}
(arguments.root / 'world.json').write_text(json.dumps(content))
