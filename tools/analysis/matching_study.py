"""Compare ways to relate visible tracklets to infrared clusters on labeled targets, before any training.

Extracts the features of each target's training split with a source model, as in the first labeling of an adaptation,
clusters each modality, and prints a Markdown table: the share of visible tracklets whose infrared label names the right
person, among all of them and among the most certain ones. Labels come from the votes of single tracklets (DSC), from
those of whole visible clusters, from whitened features, and from a matching of clusters one to one (DSC plus).
"""

from dscreid import lab
from dscreid.apis.command_line import at_least, make_parser, run_command, write_and_print

EXAMPLE = """example:
  dscreid matching-study worlds/rule worlds/few --checkpoint work_dirs/stp_demo/epoch_4.pth --out matching.md"""


def main(argv: list[str] | None = None) -> None:
    """Print the table."""
    parser = make_parser(__doc__, EXAMPLE)
    parser.add_argument(
        '--topk',
        type=at_least(1),
        default=10,
        help='K of equation (6), the number of infrared tracklets that vote (default: %(default)s)',
    )
    targets, arguments = lab.study_targets.read_targets(parser, argv)
    write_and_print(lab.matching_study.matching_markdown(targets, arguments.topk), arguments.out)


if __name__ == '__main__':
    run_command(main)
