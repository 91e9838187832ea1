"""All checks of a config."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope

from dscreid.apis.shared_memory import free_shared_memory
from dscreid.errors import DscreidError
from dscreid.lab.dataset_checks import Finding, Severity, worst
from dscreid.lab.doctor.batches import StageMeasure, StageTrial
from dscreid.lab.doctor.building import check_weights, count_tracklets
from dscreid.lab.doctor.datasets import examine_dataset
from dscreid.lab.doctor.evaluation import check_stage_evaluations
from dscreid.lab.doctor.forecast import FreeResources, check_forecast
from dscreid.lab.doctor.machine import check_machine, check_shared_memory
from dscreid.lab.doctor.stages import Stage, datasets_of, stages_of
from dscreid.utils.machine import free_disk, free_gpu_memory, free_memory, usable_cores

HEALTHY, WARNINGS, BROKEN = 0, 1, 2


@dataclass(frozen=True)
class DoctorOptions:
    """What to check, and how.

    Attributes:
        jobs: Number of threads for reading files. None uses all cores.
        full_decode: Whether to decode every frame instead of checking only headers.
        check_files: Whether to check the frames.
        check_batches: Whether to try one batch of each stage. Required for the forecasts.
        work_dir: Where runs will be written. Its disk is checked.
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
    """Findings about a config.

    Attributes:
        config: Path of the config.
        findings: All findings so far, in the order of the checks.
        complete: Whether all checks are finished.
    """

    config: str
    findings: tuple[Finding, ...]
    complete: bool = True

    @property
    def severity(self) -> Severity:
        """Highest severity of the findings."""
        return worst(self.findings)

    def exit_code(self, strict: bool = False) -> int:
        """Return 0 if healthy, 1 for warnings if ``strict``, and 2 if broken."""
        if self.severity is Severity.BROKEN:
            return BROKEN
        return WARNINGS if strict and self.severity is Severity.WARNING else HEALTHY


def diagnose(
    config_path: str | Path,
    options: DoctorOptions | None = None,
    on_finding: Callable[[Diagnosis], None] | None = None,
) -> Diagnosis:
    """Check machine, datasets, evaluation, weights, one batch of each stage, memory and time.

    Args:
        config_path: The config to check.
        options: What to check.
        on_finding: Called after each finding with all findings so far, so that none is lost if the process ends
            early.

    Raises:
        ConfigError: If the config or that of its source stage cannot be read. All other problems become findings.
    """
    init_default_scope('dscreid')
    found: list[Finding] = []
    with _silent_logs():
        stages = stages_of(Path(config_path), (options or DoctorOptions()).config_options)
        for finding in _examine(stages, options or DoctorOptions()):
            found.append(finding)
            if on_finding is not None:
                on_finding(Diagnosis(str(config_path), tuple(found), complete=False))
    return Diagnosis(str(config_path), tuple(found))


def _examine(stages: list[Stage], options: DoctorOptions) -> Iterator[Finding]:
    """Run all checks. The cheap ones of all stages come before the first dry batch."""
    yield from check_machine(options.work_dir)
    yield from check_shared_memory(stages, free_shared_memory())
    for use in datasets_of(stages):
        yield from examine_dataset(
            use, options.jobs or usable_cores(), options.full_decode, options.check_files
        )
    for stage in stages:
        yield from check_stage_evaluations(stage)
    for stage in stages:
        if options.check_batches:
            yield from _try_stage(stage, options.work_dir)
        else:
            yield from check_weights(stage)


@contextmanager
def _silent_logs() -> Iterator[None]:
    """Suppress log messages below errors, because the findings contain the information.

    MMEngine's loggers cache which levels are enabled. ``logging.disable`` does not clear this cache, but setting a
    level does.
    """
    logger, before = MMLogger.get_current_instance(), logging.root.manager.disable
    level = logger.level
    logging.disable(logging.WARNING)
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logging.disable(before)
        logger.setLevel(level)


def _try_stage(stage: Stage, work_dir: Path) -> Iterator[Finding]:
    trial = StageTrial(stage, torch.device('cuda' if torch.cuda.is_available() else 'cpu'))
    yield from trial.findings()
    if trial.measure is not None and trial.measure.extraction is not None:
        yield from _forecast(stage, trial.measure, work_dir)


def _forecast(stage: Stage, measure: StageMeasure, work_dir: Path) -> list[Finding]:
    try:
        tests = count_tracklets(stage.config)
    except DscreidError:  # reported by the checks of the dataset
        return []
    free = FreeResources(free_memory(swap=True), free_gpu_memory(), free_disk(work_dir))
    return check_forecast(measure, tests, stage.subject, free, stage.cluster_hook)
