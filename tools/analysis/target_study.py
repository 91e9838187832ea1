"""Describe labeled targets before adaptation: what clustering and neighbors of a source model find in them.

Extracts the features of each target's training split with a source model, as in the first labeling of an adaptation,
and prints a Markdown table: adjusted Rand index of the clusters of each modality, share of tracklets whose nearest
neighbor shows the same person, within a modality and across, mAP, and the correlation of the static and the dynamic
half's errors.
"""

from dscreid import lab
from dscreid.apis.command_line import make_parser, run_command, write_and_print

EXAMPLE = """example:
  dscreid target-study worlds/rule worlds/few --checkpoint work_dirs/stp_demo/epoch_4.pth --out targets.md"""


def main(argv: list[str] | None = None) -> None:
    """Print the table."""
    targets, arguments = lab.study_targets.read_targets(make_parser(__doc__, EXAMPLE), argv)
    statistics = {name: lab.target_study.target_statistics(target) for name, target in targets.items()}
    write_and_print(lab.target_study.statistics_markdown(statistics), arguments.out)


if __name__ == '__main__':
    run_command(main)
