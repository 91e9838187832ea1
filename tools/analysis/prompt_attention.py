"""Draw the attention of the prompts over the frames of a visible and an infrared tracklet of one person."""

from collections.abc import Sequence

from dscreid.apis.command_line import add_pictured_model, at_least, make_parser, run_command
from dscreid.utils.files import check_outputs

EXAMPLES = """examples:
  dscreid prompt-attention dsc/dsc_bupt2hitsz work_dirs/dsc_bupt2hitsz/epoch_50.pth -o attention.png
  dscreid prompt-attention CONFIG.py work_dirs/demo/dsc/epoch_4.pth -o attention.svg --person 3 --note "Test set"

Each tracklet has two rows: its frames as the model sees them, and the same frames under a map. Bright patches get the
most attention from the frame's prompts, averaged over heads, prompts and the blocks that contain prompts. The number
above a frame is the share of its prompts in the dynamic feature. Each title says how many prompts this feature attends
to (the exponential of the entropy): near 1, its attention is saturated and learns hardly anything. Only the backbone
SpatioTemporalPrompting has prompts.
Attention shows what the model reads, not why it decides. Configs are Python code: name only those that you trust."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw the picture."""
    parser = make_parser(__doc__, EXAMPLES)
    add_pictured_model(parser)
    parser.add_argument('--person', type=int, metavar='ID', help='person id in the test set (default: drawn)')
    parser.add_argument('--seed', type=at_least(0), default=0, help='seed of the person and tracklets (default: 0)')
    args = parser.parse_args(arguments)
    from dscreid import visualization  # imports torch, which --help does not need
    from dscreid.apis import load_config
    from dscreid.apis.report import attended_tracklets

    visualization.check_picture_name(args.out)
    check_outputs([args.out])
    config = load_config(args.config, args.cfg_options)
    rows = attended_tracklets(config, args.checkpoint, person=args.person, seed=args.seed, device=args.device)
    visualization.save_figure(visualization.draw_prompt_attention(rows, args.note), args.out)
    print('\n'.join([*(row.title for row in rows), f'wrote {args.out}']))


if __name__ == '__main__':
    run_command(main)
