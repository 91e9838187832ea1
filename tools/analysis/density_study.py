"""Study how close clustering settings chosen without labels come to the best fixed ones, on targets with labels.

Extracts the features of each target's training split with a source model, as in the first labeling of an adaptation,
and prints a Markdown table: the best settings of a grid (chosen with the labels), the usual settings of the field
(k1=30, k2=6, eps=0.6, min_samples=4) and those derived from the density of the features (k1='auto' ...). To create
worlds of other densities:

  dscreid synthesize --layout hitsz --preset demo --tracklets 6 --out worlds/d6
"""

from dscreid import lab
from dscreid.apis.command_line import make_parser, run_command, write_and_print

EXAMPLE = """example:
  dscreid density-study worlds/d3 worlds/d12 --checkpoint work_dirs/stp_demo/epoch_4.pth --out density.md"""


def main(argv: list[str] | None = None) -> None:
    """Print the table."""
    targets, arguments = lab.study_targets.read_targets(make_parser(__doc__, EXAMPLE), argv)
    write_and_print(lab.density_study.study_markdown(targets), arguments.out)


if __name__ == '__main__':
    run_command(main)
