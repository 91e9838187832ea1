"""Draw the test features of runs in the plane (t-SNE), colored by person and marked by modality."""

from collections.abc import Sequence

from dscreid.apis.command_line import add_out_picture, add_work_dir, at_least, make_parser, run_command
from dscreid.utils.files import check_outputs

EXAMPLES = """examples:
  dscreid feature-map work_dirs/dsc_bupt2hitsz --out map.png
  dscreid feature-map CD=work_dirs/demo/cd DSC=work_dirs/demo/dsc --out map.svg --persons 12 --seed 0

The features are read from features.safetensors in each work directory; dscreid test --dump-features writes this file.
Runs on the same test set show the same tracklets in the same colors. Only near neighbors are meaningful: distances
between far groups and the directions of the axes are not."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw the maps."""
    parser = make_parser(__doc__, EXAMPLES)
    add_work_dir(parser, 'work_dirs', nargs='+')
    add_out_picture(parser)
    parser.add_argument('--persons', type=at_least(1), default=12, help='most persons shown (default: 12)')
    parser.add_argument('--tracklets', type=at_least(3), default=600, help='most tracklets shown (default: 600)')
    seed_help = 'seed of the chosen persons and of the layout (default: 0)'
    parser.add_argument('--seed', type=at_least(0), default=0, help=seed_help)
    args = parser.parse_args(arguments)
    from dscreid import visualization  # imports torch, which --help does not need

    visualization.check_picture_name(args.out)
    check_outputs([args.out])
    tables = [(one.name, one.load_features()) for one in visualization.find_work_dirs(args.work_dirs)]
    sample = dict(persons=args.persons, tracklets=args.tracklets, seed=args.seed)
    maps = [visualization.map_features(name, table, **sample) for name, table in tables]
    visualization.save_figure(visualization.draw_feature_maps(maps, note=args.note), args.out)
    pid = maps[0].pid
    print(f'{len(pid)} tracklets of {len(set(pid[pid >= 0].tolist()))} known persons\nwrote {args.out}')


if __name__ == '__main__':
    run_command(main)
