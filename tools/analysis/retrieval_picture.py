"""Draw a visible query and its first infrared answers before and after adaptation in one picture."""

from collections.abc import Sequence

from dscreid.apis.command_line import (
    add_config_options,
    add_out_picture,
    add_work_dir,
    at_least,
    make_parser,
    run_command,
)

EXAMPLES = """examples:
  dscreid retrieval-picture CD=work_dirs/demo/cd DSC=work_dirs/demo/dsc --out retrieval.png
  dscreid retrieval-picture Before=work_dirs/cd After=work_dirs/dsc --out retrieval.svg --note "HITSZ-VCM, test split"

The query is chosen from those that the second run answers better, so the picture shows what changes, not how often.
The command prints for how many queries the answers get better and worse. Configs are Python code: only name work
directories that you trust."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw the picture."""
    parser = make_parser(__doc__, EXAMPLES)
    add_work_dir(parser, 'before', 'the run before adaptation')
    add_work_dir(parser, 'after', 'the run after adaptation')
    add_out_picture(parser)
    parser.add_argument('--config', help="config of the test set (default: the work directory's)")
    add_config_options(parser, 'config_options', '--config')
    parser.add_argument('--ranks', type=at_least(1), default=5, help='answers shown (default: 5)')
    parser.add_argument('--frames', type=at_least(1), default=1, help='frames shown per tracklet (default: 1)')
    parser.add_argument('--seed', type=at_least(0), default=0, help='seed of the chosen query (default: 0)')
    options = vars(parser.parse_args(arguments))
    from dscreid.apis.plots import write_retrieval_picture  # imports torch, which --help does not need

    print(write_retrieval_picture(**options))


if __name__ == '__main__':
    run_command(main)
