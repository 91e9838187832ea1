"""Stands in for the task that renders a world: writes its marker and nothing else."""

import json
import os
import sys
from pathlib import Path

task, text = sys.argv[1:]
assert task == 'render'
arguments = json.loads(text)
root = Path(arguments['root'])
root.mkdir(parents=True)
content = {'renderer': int(os.environ['FAKE_RENDERER_VERSION']), 'spec': arguments['spec']}
(root / 'world.json').write_text(json.dumps(content))
