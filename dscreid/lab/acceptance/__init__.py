"""What only a GPU can show, in ten steps with a time limit each: ``tools/gpu_acceptance.py``."""

from dscreid.lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        'page': ['acceptance_html', 'status_line'],
        'plan': ['Settings'],
        'running': ['run_steps'],
        'steps': ['STEPS', 'Step'],
        'ways': ['fastest_lines', 'fastest_ways'],
    },
)
