"""All checks of a config, and their findings as text, as a table and as plain values."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from dscreid.apis.train import check_same_encoder
from dscreid.engine.extraction import cluster_hook_of
from dscreid.errors import ConfigError, DscreidError
from dscreid.lab.dataset_checks import Finding, Severity
from dscreid.lab.doctor.batches import StageMeasure, try_stage
from dscreid.lab.doctor.building import try_model
from dscreid.lab.doctor.datasets import check_stage_evaluations, examine_dataset
from dscreid.lab.doctor.forecast import check_disk, check_memory, check_time
from dscreid.lab.doctor.machine import check_machine
from dscreid.lab.doctor.stages import Stage, datasets_of, stages_of
from dscreid.registry import DATASETS
from dscreid.utils.machine import free_disk, usable_cores

#: Color and verdict of each severity.
_COLORS = dict(zip(Severity, ('green', 'cyan', 'yellow', 'bold red'), strict=True))
_VERDICTS = dict(zip(Severity, ('healthy', 'healthy', 'warnings', 'broken'), strict=True))


@dataclass(frozen=True)
class DoctorOptions:
    """What to check, and how."""

    jobs: int | None = None  # number of threads for reading files; None uses all cores
    check_files: bool = True  # whether to check the frames
    check_batches: bool = True  # whether to try one batch of each stage; required for the forecasts
    work_dir: Path = Path('work_dirs')  # where runs will be written; its disk is checked
    config_options: dict[str, Any] = field(default_factory=dict)  # overrides of the config by dotted key


@dataclass(frozen=True)
class Diagnosis:
    """All findings about a config so far, in the order of the checks, and whether all checks are finished."""

    config: str
    findings: tuple[Finding, ...]
    complete: bool = True

    @property
    def severity(self) -> Severity:
        """Highest severity of the findings."""
        return max((finding.severity for finding in self.findings), default=Severity.OK)

    def exit_code(self, strict: bool = False) -> int:
        """Return 0 if healthy, 1 for warnings if ``strict``, and 2 if broken."""
        if self.severity is Severity.BROKEN:
            return 2
        return int(strict and self.severity is Severity.WARNING)


def diagnose(
    config_path: str | Path, options: DoctorOptions | None = None, on_finding: Callable[[Diagnosis], None] | None = None
) -> Diagnosis:
    """Check machine, datasets, evaluation, weights, one batch of each stage, memory and time.

    ``on_finding`` is called after each finding with all findings so far.

    Raises:
        ConfigError: If the config or that of its source stage cannot be read. All other problems become findings.
    """
    init_default_scope('dscreid')
    options, found = options or DoctorOptions(), []
    with _silent_logs():
        for finding in _examine(stages_of(Path(config_path), options.config_options), options):
            found.append(finding)
            if on_finding is not None:
                on_finding(Diagnosis(str(config_path), tuple(found), complete=False))
    return Diagnosis(str(config_path), tuple(found))


def _examine(stages: list[Stage], options: DoctorOptions) -> Iterator[Finding]:
    """Run all checks. The cheap ones of all stages come before the first dry batch."""
    yield from check_machine(options.work_dir)
    jobs = options.jobs or usable_cores()
    for use in datasets_of(stages):
        yield from examine_dataset(use, jobs, options.check_files)
    for stage in stages:
        yield from check_stage_evaluations(stage)
    yield from _check_encoders(stages)
    for stage in stages:
        if not options.check_batches:
            yield from try_model(stage)  # reads the weights files
            continue
        measure = yield from try_stage(stage, torch.device('cuda' if torch.cuda.is_available() else 'cpu'))
        if measure is not None and measure.extraction is not None:
            yield from _forecast(stage, measure, options.work_dir)


def _check_encoders(stages: list[Stage]) -> Iterator[Finding]:
    """Compare the encoder of each stage with that of the stage whose weights it starts from."""
    for source, stage in pairwise(stages):
        if stage.config.source.get('checkpoint') is not None:
            continue  # the checkpoint records its own encoder
        try:
            check_same_encoder(stage.config, source.config)
        except ConfigError as error:
            yield Finding('weights', stage.subject, Severity.BROKEN, str(error))


@contextmanager
def _silent_logs() -> Iterator[None]:
    """Suppress log messages below errors, because the findings contain the information."""
    logger, before = MMLogger.get_current_instance(), logging.root.manager.disable
    level = logger.level
    logging.disable(logging.WARNING)
    logger.setLevel(logging.ERROR)  # MMEngine's loggers cache which levels are enabled
    try:
        yield
    finally:
        logging.disable(before)
        logger.setLevel(level)


def _forecast(stage: Stage, measure: StageMeasure, work_dir: Path) -> Iterator[Finding]:
    loader = stage.config.get('test_dataloader')
    try:
        tests = len(DATASETS.build(dict(loader['dataset'], pipeline=[]))) if loader else 0
    except DscreidError:  # reported by the checks of the dataset
        return
    hook = cluster_hook_of(stage.config)
    if hook is not None and measure.counts and (finding := check_memory(measure, hook, stage.subject)):
        yield finding
    yield check_time(measure, tests, stage.subject)
    if measure.epochs:
        yield check_disk(measure.parameters, stage.subject, free_disk(work_dir))


def finding_text(finding: Finding, details: int = 5) -> Text:
    """Format a finding as it is printed during the checks: its state, followed by problem and remedy."""
    state = (f'{finding.severity.name.lower():8}', _COLORS[finding.severity])
    lines = [f'{finding.check}, {finding.subject}: {finding.message}']
    lines += [f'what to do: {finding.remedy}'] if finding.remedy else []
    lines += [f'- {detail}' for detail in finding.details[:details]]
    if len(finding.details) > details:
        lines.append(f'- and {len(finding.details) - details:,} more (--json lists all)')
    return Text.assemble(state, f'\n{"":8}'.join(lines))


def summary_table(diagnosis: Diagnosis) -> Group:
    """Summarize the problems, the number of findings by severity, and the verdict."""
    table = Table('check', 'of', 'state', 'what to do', box=box.SIMPLE_HEAD)
    table.title, table.title_justify = f'doctor: {diagnosis.config}', 'left'
    for finding in diagnosis.findings:
        if finding.severity >= Severity.WARNING:
            state = Text(finding.severity.name.lower(), style=_COLORS[finding.severity])
            remedy = Text(finding.remedy or finding.message)
            table.add_row(finding.check, Text(finding.subject), state, remedy)
    counts = {s: sum(f.severity is s for f in diagnosis.findings) for s in Severity}
    verdict = Text(
        f'{_VERDICTS[diagnosis.severity]}: {counts[Severity.BROKEN]} broken, {counts[Severity.WARNING]} warnings, '
        f'{counts[Severity.OK] + counts[Severity.INFO]} without problems',
        style=_COLORS[diagnosis.severity],
    )
    return Group(*([table] if table.row_count else []), verdict)


def to_json(diagnosis: Diagnosis) -> dict[str, Any]:
    """Convert a diagnosis to plain values: ``config``, ``complete``, ``verdict`` and ``findings`` with all details."""
    return dict(
        config=diagnosis.config,
        complete=diagnosis.complete,
        verdict=_VERDICTS[diagnosis.severity],
        findings=[vars(f) | {'severity': f.severity.name.lower()} for f in diagnosis.findings],
    )
