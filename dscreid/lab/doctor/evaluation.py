"""Check whether the evaluation protocols of a stage work on its test data."""

from collections.abc import Iterator

from dscreid.apis.evaluation_check import evaluations_of, plan
from dscreid.datasets import TrackletDataset
from dscreid.errors import DscreidError
from dscreid.evaluation.feasibility import EvaluationPlan
from dscreid.lab.dataset_checks import Finding, Severity
from dscreid.lab.doctor.stages import Stage


def check_stage_evaluations(stage: Stage) -> Iterator[Finding]:
    """Check every protocol of a stage's validation and test, using only the index.

    Yields:
        One finding for each pair of dataset and protocol. Broken if it cannot be evaluated, a warning if tracklets
        belong to no direction or queries are in their own gallery.
    """
    try:
        for dataset, protocol in evaluations_of(stage.config):
            yield _check(dataset, protocol, stage.subject)
    except DscreidError as error:
        message = 'not checked: the test data cannot be read'
        yield Finding('evaluation', stage.subject, Severity.BROKEN, message, details=(str(error),))


def _check(dataset: TrackletDataset, protocol: str, subject: str) -> Finding:
    try:
        found = plan(dataset, protocol)
    except DscreidError as error:
        return Finding('evaluation', subject, Severity.BROKEN, str(error))
    if found is None:
        message = (
            f'{protocol}: no evaluation, since split {dataset.split!r} in {dataset.root} has no person ids'
        )
        return Finding('evaluation', subject, Severity.INFO, message)
    return _describe(found, protocol, subject)


def _describe(found: EvaluationPlan, protocol: str, subject: str) -> Finding:
    directions = ', '.join(
        f'{name} {count.valid:,} of {count.queries:,} queries have a true match among {count.gallery:,} tracklets'
        for name, count in found.directions.items()
    )
    problems = []
    if len(found.unranked):
        problems.append(f'{len(found.unranked):,} test tracklets are in no direction')
    if found.own_gallery:
        problems.append(
            f'{found.own_gallery:,} queries are also in a gallery that they search, without their own tracklet'
        )
    directions_values = {name: count._asdict() for name, count in found.directions.items()}
    values = dict(directions_values, unranked=len(found.unranked), own_gallery=found.own_gallery)
    return Finding(
        'evaluation',
        subject,
        Severity.WARNING if problems else Severity.OK,
        '; '.join([f'{protocol}: {directions}', *problems]),
        'check the query list' if problems else '',
        values=values,
    )
