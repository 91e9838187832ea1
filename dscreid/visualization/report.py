"""The report of an experiment, ``report.html``: results, curves, pictures and distances in one file."""

import json
import platform
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

import torch

from dscreid.evaluation.protocols import CROSS_MODAL
from dscreid.utils.machine import usable_cores
from dscreid.utils.quantities import duration_text
from dscreid.version import __version__
from dscreid.visualization.curves import Scalars, curve_cards
from dscreid.visualization.densities import DistanceDensity, densities_html
from dscreid.visualization.page import TableRow, page_html, paragraphs_html, part, write_text_atomically
from dscreid.visualization.results import ReportRun, directions_of, rankings_table_html, results_table_html
from dscreid.visualization.retrieval import RetrievalGallery, retrieval_html

PACKAGES = ('torch', 'torchvision', 'mmengine', 'open_clip_torch', 'faiss-cpu', 'faiss-gpu', 'numpy', 'scipy')


class ReportPicture(NamedTuple):
    """A picture in its own section, as a data URI; if it is missing, the caption says why."""

    heading: str
    caption: str
    source: str = ''
    description: str = ''


def report_html(
    *,
    title: str,
    runs: Sequence[ReportRun],
    curves: Mapping[str, Scalars | Mapping[str, Scalars]] | None = None,
    differences: Mapping[str, Mapping[str, Sequence[Any]]] | None = None,
    retrieval: RetrievalGallery | None = None,
    densities: Sequence[DistanceDensity] = (),
    pictures: Sequence[ReportPicture] = (),
    timings: Mapping[str, float] | None = None,
    environment: Mapping[str, str] | None = None,
    notes: Sequence[str] = (),
    target: str | None = None,
) -> str:
    """Render the report as one HTML document. Equal arguments give equal text; sections without content are left out.

    Args:
        title: Title of the page.
        runs: Rows of the results table; gains are relative to the first.
        curves: Heading → logged values, or heading → run → logged values to draw several runs in common charts.
        differences: Run → dotted key → (value of the first run, value of this run), for settings that differ.
        retrieval: Retrieval lists with their pictures.
        densities: Distance densities, one per run.
        pictures: Other pictures.
        timings: Stage → seconds.
        environment: Name → version, for example from :func:`collect_environment`.
        notes: Plain paragraphs with `code` between backticks, the first below the title, the others below the table.
        target: Name of the real target dataset, to add the figures of the paper to the table; None for synthetic data.
    """
    logged = {name: {'': one} if isinstance(one, Scalars) else one for name, one in (curves or {}).items()}
    others = [name for name in directions_of(runs) if name not in CROSS_MODAL]
    results = part(
        'results',
        runs=runs,
        table=results_table_html(runs, target=target),
        others=results_table_html(runs, directions=others) if others else '',
        notes=notes[1:],
    )
    times = {stage: duration_text(seconds) for stage, seconds in (timings or {}).items()}
    if timings and len(timings) > 1:
        times['Together'] = duration_text(sum(timings.values()))
    sections = [
        ('Results', results),
        ('Which feature ranks', rankings_table_html(runs)),
        ('Training', part('curves', stages={name: curve_cards(one) for name, one in logged.items()})),
        ('Config differences', _differences_html(differences or {})),
        ('Retrieval lists', retrieval_html(retrieval)),
        ('Distances', densities_html(densities)),
        *((picture.heading, part('picture', picture=picture)) for picture in pictures),
        ('Wall times', _pairs_html('Stage', 'Wall time', times)),
        ('Environment', _pairs_html('What', 'Version', environment or {})),
    ]
    return page_html(title, paragraphs_html(notes[:1]), sections)


def write_report(path: str | Path, **content: Any) -> None:
    """Write :func:`report_html` of the keyword arguments atomically; nothing is written after an error."""
    write_text_atomically(path, report_html(**content))


def collect_environment() -> dict[str, str]:
    """Collect the versions of dscreid, Python and relevant packages, and the processor, cores and accelerator."""
    facts = {'dscreid': __version__, 'Python': platform.python_version()}
    for package in PACKAGES:
        with suppress(PackageNotFoundError):
            facts[package] = version(package)
    info = Path('/proc/cpuinfo')
    marketed = re.search(r'^model name\s*: (.*\S)', info.read_text(encoding='utf-8') if info.is_file() else '', re.M)
    facts['System'] = f'{platform.system()} {platform.release()}'
    facts['Processor'] = marketed[1] if marketed else platform.processor() or platform.machine()
    facts['Cores'] = str(usable_cores())
    facts['Accelerator'] = torch.cuda.get_device_name(0) if torch.cuda.is_available() else 'none'
    return facts


def _differences_html(differences: Mapping[str, Mapping[str, Sequence[Any]]]) -> str:
    firsts = {key: first for differing in differences.values() for key, (first, _) in differing.items()}
    if not firsts:
        equal = 'The configs of these runs have the same settings.'
        return paragraphs_html([equal] if len(differences) > 1 else [])
    rows = [
        TableRow(key, [_setting(differing.get(key, (None, first))[1]) for differing in differences.values()])
        for key, first in firsts.items()
    ]
    return part('table', label='Settings that differ', corner='Setting', columns=differences, rows=rows, texts=True)


def _setting(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 160 else f'{text[:159]}…'


def _pairs_html(name: str, value: str, pairs: Mapping[str, str]) -> str:
    rows = [TableRow(key, [text]) for key, text in pairs.items()]
    return part('table', label=name, corner=name, columns=[value], rows=rows, texts=True) if pairs else ''
