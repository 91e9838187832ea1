"""The world on the page of the synthetic benchmark is found by its name."""

import re
from pathlib import Path

from dscreid.lab.synthetic import DOMAINS, make_spec
from dscreid.registry import WORLDS

PAGE = Path(__file__).parents[2] / 'docs' / 'synthetic_benchmark.md'


def test_the_world_of_the_page():
    blocks = re.findall(r'^```python\n(.*?)^```', PAGE.read_text(encoding='utf-8'), flags=re.M | re.S)
    (code,) = (block for block in blocks if 'own_worlds.py' in block)
    try:
        exec(compile(code, str(PAGE), 'exec'), {'__name__': 'own_worlds'})
        spec = make_spec('night-shift', 'hitsz')
        assert (spec.domain, spec.train_ids, spec.appearance.light) == ('night', 40, (0.2, 0.4))
    finally:
        WORLDS.module_dict.pop('night-shift', None)
        DOMAINS.pop('night', None)
