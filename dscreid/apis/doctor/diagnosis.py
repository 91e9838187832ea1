"""All checks of a config, in one go."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from mmengine.registry import init_default_scope

from dscreid.apis.doctor.batches import count_tracklets, try_stage
from dscreid.apis.doctor.datasets import examine_dataset
from dscreid.apis.doctor.forecast import FreeResources, check_forecast
from dscreid.apis.doctor.machine import check_machine, check_shared_memory
from dscreid.apis.doctor.stages import Stage, datasets_of, stages_of
from dscreid.apis.shared_memory import free_shared_memory
from dscreid.datasets.doctor import Finding, Severity, worst
from dscreid.errors import DscreidError
from dscreid.utils.gpu import free_gpu_memory
from dscreid.utils.machine import free_disk, free_memory, usable_cores

HEALTHY, WARNINGS, BROKEN = 0, 1, 2


@dataclass(frozen=True)
class DoctorOptions:
    """What to check, and how.

    Attributes:
        jobs: Threads for files; None for all cores.
        full_decode: Decode every frame instead of checking headers.
        check_files: Whether to look at frames at all.
        check_batches: Whether to try one batch of each stage, which the forecast rests on.
        work_dir: Where runs will be written; its disk is looked at.
        config_options: Overrides of the config by dotted key.
    """

    jobs: int | None = None
    full_decode: bool = False
    check_files: bool = True
    check_batches: bool = True
    work_dir: Path = Path('work_dirs')
    config_options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Diagnosis:
    """What the doctor found.

    Attributes:
        config: The config's path.
        findings: All findings, in the order of the checks.
    """

    config: str
    findings: tuple[Finding, ...]

    @property
    def severity(self) -> Severity:
        """The worst finding's."""
        return worst(self.findings)

    def exit_code(self, strict: bool = False) -> int:
        """0 healthy; 1 warnings, only if ``strict``; 2 broken."""
        if self.severity is Severity.BROKEN:
            return BROKEN
        return WARNINGS if strict and self.severity is Severity.WARNING else HEALTHY


def diagnose(config_path: str | Path, options: DoctorOptions | None = None) -> Diagnosis:
    """Check machine, datasets, one batch of each stage, memory and time.

    Args:
        config_path: The config that is to be run.
        options: What to check.

    Raises:
        ConfigError: The config, or that of its source stage, cannot be read; everything else is a finding.
    """
    options = options or DoctorOptions()
    init_default_scope('dscreid')
    stages = stages_of(Path(config_path), options.config_options)
    with _silent_logs():
        findings = check_machine(options.work_dir) + check_shared_memory(stages, free_shared_memory())
        for use in datasets_of(stages):
            findings += examine_dataset(
                use, options.jobs or usable_cores(), options.full_decode, options.check_files
            )
        if options.check_batches:
            for stage in stages:
                findings += _try_stage(stage, options.work_dir)
    return Diagnosis(str(config_path), tuple(findings))


@contextmanager
def _silent_logs() -> Iterator[None]:
    """No log below errors: what datasets warn of while they are read is in the findings."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def _try_stage(stage: Stage, work_dir: Path) -> list[Finding]:
    device = torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    findings, measure = try_stage(stage, device)
    if measure is None or (worst(findings) is Severity.BROKEN and measure.extraction is None):
        return findings
    try:
        tests = count_tracklets(stage.config.test_dataloader) if stage.config.get('test_dataloader') else 0
    except DscreidError:  # the dataset's checks say why
        return findings
    free = FreeResources(free_memory(swap=True), free_gpu_memory(), free_disk(work_dir))
    return findings + check_forecast(measure, tests, findings[0].subject, free, stage.cluster_hook)
