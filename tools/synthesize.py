"""Render a synthetic world of walking people in the layout of a data set: hitsz, bupt, sysu, regdb or llcm.

Examples:
    dscreid synthesize --layout bupt --preset demo --out data/source
    dscreid synthesize --layout hitsz --preset demo --seed 7 --modality-gap 1 --out data/target
    dscreid synthesize --layout sysu --identities 50 --test-identities 20 --out data/pictures
    dscreid synthesize --layout hitsz --preset demo --preview sheet.png
"""

import argparse
import importlib

from dscreid.apis.command_line import at_least, run_command
from dscreid.lab import synthetic
from dscreid.lab.synthetic import DOMAINS, LAYOUTS, WorldSpec, make_spec
from dscreid.registry import WORLDS
from dscreid.utils.files import check_outputs

#: Options that replace values of the preset: type, placeholder, help, and name of the value.
_REPLACED = {
    'identities': (int, 'N', 'training identities', 'train_ids'),
    'test-identities': (int, 'N', 'test identities', 'test_ids'),
    'auxiliary-identities': (int, 'N', 'layout bupt only', 'auxiliary_ids'),
    'tracklets': (int, 'N', 'per training identity and modality', 'tracklets'),
    'test-tracklets': (int, 'N', 'per test identity and modality', 'test_tracklets'),
    'cameras': (int, 'N', 'number of cameras', 'cameras'),
    'frames': (int, ('MIN', 'MAX'), 'length of a tracklet', 'frames'),
    'size': (int, ('HEIGHT', 'WIDTH'), 'of a frame in pixels', 'size'),
    'modality-gap': (float, 'G', 'infrared sensor: 0 as in the source domain ... 1 strongly different', 'modality_gap'),
    'occluded': (float, 'P', 'share of tracklets with an occluder', 'occluded'),
    'changing-light': (float, 'P', 'share of tracklets in which the light changes', 'changing_light'),
    'motion-blur': (float, 'P', 'share of frames blurred by motion', 'motion_blur'),
    'switched': (float, 'P', 'share of training tracklets that end with another person', 'switched'),
    'cut': (float, 'P', 'share of training walks of 24 frames or more that are cut into two tracklets', 'cut'),
    'sensor-spread': (float, 'S', 'how far infrared cameras differ, 0 to 1', 'sensor_spread'),
    'sensor': (str, 'NAME', 'what the modality gap moves: family (everything) or rule (the tones of colors)', 'sensor'),
    'material-spread': (float, 'S', 'how far materials of one color differ in the infrared, 0 to 1', 'material_spread'),
}


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    early = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    import_help = 'Python module that registers your own worlds or domains; can be repeated'
    early.add_argument('--import', dest='modules', metavar='MODULE', action='append', default=[], help=import_help)
    for module in early.parse_known_args(argv)[0].modules:
        importlib.import_module(module)
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog=_list_worlds(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[early],
    )
    parser.add_argument('--layout', choices=LAYOUTS, required=True, help="which dataset's files to write")
    parser.add_argument('--domain', metavar='NAME', help="how the world looks, see below (default: the world's)")
    parser.add_argument('--preset', metavar='NAME', default='tiny', help='name of the world, see below (default: tiny)')
    parser.add_argument('--seed', type=at_least(0), default=0, help='seed of the world (default: 0)')
    parser.add_argument('--out', metavar='DIR', help='folder to write; it must be empty or new')
    parser.add_argument('--overwrite', action='store_true', help='replace the synthetic world in DIR')
    parser.add_argument('--processes', type=at_least(1), metavar='N', help='processes (default: one per core)')
    parser.add_argument('--preview', metavar='PICTURE', help='write a contact sheet; without --out nothing else')
    parser.add_argument('--quiet', action='store_true', help='no progress bar')
    size = parser.add_argument_group('instead of the values of the preset or, for numbers from 0 to 1, of the domain')
    for name, (kind, metavar, text, dest) in _REPLACED.items():
        count = len(metavar) if isinstance(metavar, tuple) else None
        size.add_argument(f'--{name}', type=kind, metavar=metavar, nargs=count, help=text, dest=dest)
    size.add_argument('--fake-ir', action='store_true', default=None, help='write FakeIR frames (layout bupt only)')
    args = parser.parse_args(argv)
    if args.out is None and args.preview is None:
        parser.error('name a folder with --out, a picture with --preview, or both')
    return args


def _list_worlds() -> str:
    """List the registered worlds and domains for the help."""
    lines = [f'  {name:12}{(world.__doc__ or "").splitlines()[0]}' for name, world in WORLDS.module_dict.items()]
    return '\n'.join(['worlds (--preset):', *lines, f'domains (--domain): {", ".join(DOMAINS)}'])


def spec_of(args: argparse.Namespace) -> WorldSpec:
    """Build the world's specification from the command line."""
    fields = {dest for *_, dest in _REPLACED.values()} - {'frames', 'size'}
    overrides = {name: getattr(args, name) for name in (*sorted(fields), 'fake_ir')}
    overrides['min_frames'], overrides['max_frames'] = args.frames or (None, None)
    overrides['height'], overrides['width'] = args.size or (None, None)
    return make_spec(args.preset, args.layout, args.domain, seed=args.seed, **overrides)


def main(argv: list[str] | None = None) -> None:
    """Render the world or its preview."""
    args = parse_args(argv)
    spec = spec_of(args)
    check_outputs([args.preview])
    if args.preview:
        synthetic.write_contact_sheet(args.preview, spec)
    if args.out:
        summary = synthetic.render_world(args.out, spec, args.processes, args.overwrite, progress=not args.quiet)
        for split, counts in summary.counts.items():
            print(f'{split}: ' + ', '.join(f'{number} {name}' for name, number in counts.items()))
        print(f'{summary.root}: {summary.frames} frames in {summary.seconds:.1f} s')


if __name__ == '__main__':
    run_command(main, on_interrupt='the world is unfinished; run the command again with --overwrite')
