"""Show test persons in visible light, in the infrared tones that an adaptation learned, and in infrared."""

from collections.abc import Sequence

from dscreid.apis.command_line import add_pictured_model, at_least, make_parser, run_command
from dscreid.utils.files import check_outputs

EXAMPLES = """examples:
  dscreid tone-picture dsc/dsc_tones_bupt2hitsz work_dirs/dsc_tones_bupt2hitsz/epoch_50.pth -o tones.png

If visible frames in infrared tones do not resemble the infrared frames of the same people, the sensor does not show
colors by a rule that they share, and such an adaptation is not for these cameras. The model's data preprocessor must
have tones, as in dsc/dsc_tones. Configs are Python code: name only those that you trust."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw the picture."""
    parser = make_parser(__doc__, EXAMPLES)
    add_pictured_model(parser)
    parser.add_argument('--persons', type=at_least(1), default=6, help='persons to show (default: 6)')
    parser.add_argument('--seed', type=at_least(0), default=0, help='seed of the persons and tracklets (default: 0)')
    args = parser.parse_args(arguments)
    from dscreid import visualization  # imports torch, which --help does not need
    from dscreid.apis import load_config
    from dscreid.apis.tone_examples import tone_examples

    visualization.check_picture_name(args.out)
    check_outputs([args.out])
    config = load_config(args.config, args.cfg_options)
    examples = tone_examples(config, args.checkpoint, count=args.persons, seed=args.seed, device=args.device)
    visualization.save_figure(visualization.draw_infrared_tones(examples, args.note), args.out)
    print(f'wrote {args.out}')


if __name__ == '__main__':
    run_command(main)
