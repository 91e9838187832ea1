"""The ``dscreid`` command, which runs the tools that come with the package."""

import argparse
import ast
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from dscreid.utils.shipped import shipped_tools
from dscreid.version import __version__

#: Command → file in the tools folder.
COMMANDS = {
    'train': 'train.py',
    'test': 'test.py',
    'doctor': 'doctor.py',
    'demo': 'demo.py',
    'gpu-acceptance': 'gpu_acceptance.py',
    'gallery': 'gallery.py',
    'search': 'search.py',
    'serve': 'serve.py',
    'report': 'report.py',
    'reproduce': 'reproduce.py',
    'synthesize': 'synthesize.py',
    'adapt': 'adapt.py',
    'tracks': 'dataset_converters/tracks.py',
    'pack': 'dataset_converters/pack.py',
    'bundle': 'model_converters/bundle.py',
    'export': 'model_converters/export.py',
    'calibrate': 'calibrate.py',
    'link': 'link.py',
    'convert-weights': 'model_converters/convert_weights.py',
    'convert-vld': 'model_converters/convert_vld.py',
    'export-tower': 'model_converters/export_tower.py',
    'scale-residuals': 'model_converters/scale_residuals.py',
    'density-study': 'analysis/density_study.py',
    'target-study': 'analysis/target_study.py',
    'matching-study': 'analysis/matching_study.py',
    'selection-study': 'analysis/selection_study.py',
    'verdict-study': 'analysis/verdict_study.py',
    'feature-map': 'analysis/feature_map.py',
    'retrieval-picture': 'analysis/retrieval_picture.py',
    'prompt-attention': 'analysis/prompt_attention.py',
    'tone-picture': 'analysis/tone_picture.py',
}


def main(argv: Sequence[str] | None = None) -> None:
    """Run a tool in this process, with the same options and exit codes as ``python tools/NAME.py``.

    Args:
        argv: The command and its arguments; None to use those of this process.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    command = parse_command(words[:1])
    sys.argv = [f'dscreid {command}', *words[1:]]  # help and usage messages begin with the first word
    run_script(shipped_tools() / COMMANDS[command])


def run_script(path: Path) -> None:
    """Execute a file as ``__main__``.

    Unlike ``runpy.run_path``, this does not set ``sys.argv[0]`` to the path.

    Args:
        path: A Python script.
    """
    script, caller = ModuleType('__main__'), sys.modules['__main__']
    script.__file__ = str(path)  # multiprocessing imports this file in spawned processes
    sys.modules['__main__'] = script
    try:
        exec(compile(path.read_text(encoding='utf-8'), path, 'exec'), script.__dict__)
    finally:
        sys.modules['__main__'] = caller


def parse_command(argv: Sequence[str]) -> str:
    """The command that a command line names; ``--help``, ``--version`` and mistakes end the process."""
    commands = '\n'.join(f'  {name:<17} {summary(name)}' for name in COMMANDS)
    parser = argparse.ArgumentParser(
        prog='dscreid',
        usage='dscreid COMMAND [ARGUMENT ...]',
        description=f'commands:\n{commands}',
        epilog='dscreid COMMAND --help explains a command.',
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('--version', action='version', version=f'%(prog)s {__version__}')
    parser.add_argument('command', choices=COMMANDS, metavar='COMMAND', help=argparse.SUPPRESS)
    return parser.parse_args(argv).command


def summary(command: str) -> str:
    """Return the first line of a tool's docstring."""
    text = (shipped_tools() / COMMANDS[command]).read_text(encoding='utf-8')
    return (ast.get_docstring(ast.parse(text)) or '').partition('\n')[0]


if __name__ == '__main__':
    main()
