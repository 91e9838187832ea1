"""Adapt source weights to tracklets of your own cameras, without labels, and say whether it helped.

FOLDER is a TrackletFolder: CAMERA_rgb/TRACKLET/*.jpg and CAMERA_ir/TRACKLET/*.jpg, or a table tracklets.csv; dscreid
tracks makes one from videos. The data are checked, and time and memory are forecast; then the model is trained. The
work directory receives the run, adaptation.html with label-free measures and pictures of nearest neighbors before and
after, adaptation.json with the same figures, and the folder bundle for TrackletInferencer.

Whether the adaptation helped is judged by tracklets that it does not use, if some are set aside: with --test-from, by
the column split of the table, or by folders train and test. Otherwise it is judged by the tracklets that it uses,
which makes it look better than it is.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from dscreid.apis.command_line import add_config_options, make_parser, run_command

if TYPE_CHECKING:
    from dscreid.deployment.adapt_preparation import Preparation


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    example = (
        'exit code: 0 for every verdict, 2 if something is broken\n'
        'example: dscreid adapt data/mine --source weights/source.pth --amp --license "internal use"'
    )
    parser = make_parser(__doc__, example)
    parser.add_argument('folder', metavar='FOLDER', type=Path, help='tracklets of your cameras; persons are not needed')
    parser.add_argument(
        '--source', type=Path, required=True, metavar='WEIGHTS', help='checkpoint of a source stage, or a converted one'
    )
    parser.add_argument('--config', default='dsc/dsc_own', help='config of the adaptation (default: dsc/dsc_own)')
    parser.add_argument('--work-dir', type=Path, help='folder for all results (default: work_dirs/adapt_FOLDER)')
    parser.add_argument('--out', type=Path, metavar='BUNDLE', help='folder of the bundle (default: WORK_DIR/bundle)')
    parser.add_argument('--license', metavar='TEXT', help='terms under which the weights may be used, for the bundle')
    parser.add_argument(
        '--training-data',
        metavar='TEXT',
        help='data that the weights were trained on (default: the names of both inputs)',
    )
    parser.add_argument(
        '--test-from',
        metavar='TIME',
        help='set aside the tracklets that start at this time or later, such as 2026-03-05T00:00, for the verdict; the '
        'table needs the column start_time',
    )
    used = parser.add_mutually_exclusive_group()
    used.add_argument('--resume', action='store_true', help='continue an interrupted adaptation with the same settings')
    used.add_argument('--overwrite', action='store_true', help='replace the results in the work directory')
    parser.add_argument('--dry-run', action='store_true', help='only check the data and forecast time and memory')
    parser.add_argument('--amp', action='store_true', help='bfloat16 mixed precision (GPU only; float32 elsewhere)')
    add_config_options(parser)
    return parser.parse_args(arguments)


def check(preparation: 'Preparation') -> None:
    """Print the doctor's problems and forecasts; raise a ConfigError if something is broken."""
    from rich.console import Console

    from dscreid.errors import ConfigError
    from dscreid.lab.dataset_checks import Severity
    from dscreid.lab.doctor import Diagnosis, DoctorOptions, diagnose, finding_text

    console = Console()
    options = DoctorOptions(work_dir=preparation.work_dir, config_options=preparation.checked_options)

    def report(so_far: Diagnosis) -> None:
        finding = so_far.findings[-1]
        if finding.severity >= Severity.WARNING or finding.check.endswith('forecast'):
            console.print(finding_text(finding), soft_wrap=True)

    if diagnose(preparation.options.config, options, report).severity is Severity.BROKEN:
        raise ConfigError(f'{preparation.options.folder}: something is broken, see above; nothing was trained')


def run(args: argparse.Namespace) -> None:
    """Check, adapt, and print the result."""
    from dscreid.deployment.adapt import adapt
    from dscreid.deployment.adapt_preparation import AdaptOptions, counted, prepare

    options = AdaptOptions(
        folder=args.folder,
        source=args.source,
        config=args.config,
        work_dir=args.work_dir,
        out=args.out,
        license=args.license,
        training_data=args.training_data,
        test_from=args.test_from,
        resume=args.resume,
        overwrite=args.overwrite,
        amp=args.amp,
        config_options=args.cfg_options,
    )
    preparation = prepare(options)
    cameras = len(set(preparation.dataset.cameras.tolist()))
    where = 'one camera' if cameras == 1 else f'{cameras} cameras'
    print(f'{args.folder}: {counted(preparation.dataset)} of {where}')
    if preparation.why_used is None:
        print(f'the verdict will be about {counted(preparation.judged)} that the adaptation does not use')
    else:
        print(f'the verdict will be about the tracklets that the adaptation uses: {preparation.why_used}')
    if preparation.unmeasured is not None:
        print(f'nothing will be measured with labels: {preparation.unmeasured}')
    check(preparation)
    if not args.dry_run:
        print(adapt(preparation))


def main(arguments: list[str] | None = None) -> None:
    """Run the tool."""
    args = parse_args(arguments)
    run_command(lambda: run(args), on_interrupt='run it again with --resume to continue; nothing is lost')


if __name__ == '__main__':
    main()
