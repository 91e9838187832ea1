"""Search a gallery for the persons of tracklets or pictures, and show the answers as text and on a page."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dscreid.datasets.decoding import decode_frame, decode_with_cv2
from dscreid.datasets.storage import FolderFrames
from dscreid.deployment.bundle import Bundle
from dscreid.deployment.calibration import known_thresholds, pair_of, threshold_for
from dscreid.deployment.gallery import Gallery, Hit
from dscreid.deployment.gallery_filters import Filters
from dscreid.deployment.gallery_rows import Entry
from dscreid.deployment.inferencer import TrackletInferencer
from dscreid.deployment.query_frames import Picture, read_query
from dscreid.deployment.query_part import PixelBox
from dscreid.errors import ConfigError
from dscreid.structures import Modality
from dscreid.visualization.page import page_html, paragraphs_html, part
from dscreid.visualization.pictures import data_uri, joined_jpeg, middle_positions

#: Frames of a query that the page shows.
_SHOWN = 4


@dataclass(frozen=True)
class SearchSettings:
    """What to search for.

    Attributes:
        filters: Conditions for answers.
        top: Largest number of answers of a query.
        threshold: See ``parse_threshold``; answers must exceed it. None for all.
        probes: Number of parts of the index to search; None searches everything exactly.
        modality: Modality of the queries; None for that of the gallery's tracklet, or of a folder ``CAMERA_rgb`` or
            ``CAMERA_ir``.
        box: Place of the person in the frames of the queries; None for the whole picture.
        frames: Numbers of the frames of a folder or a video; None for all.
    """

    filters: Filters = field(default_factory=Filters)
    top: int = 20
    threshold: tuple[str, float] | None = None
    probes: int | None = None
    modality: Modality | None = None
    box: PixelBox | None = None
    frames: range | None = None


@dataclass(frozen=True)
class Answer:
    """What was found for a query.

    Attributes:
        query: Folder of a tracklet, picture or video.
        modality: Its modality; None if unknown.
        hits: What was found, best first.
        frames: See ``read_query``.
    """

    query: Path
    modality: Modality | None
    hits: list[Hit]
    frames: list[Path] | list[Picture]


def search(
    gallery: Gallery, inferencer: TrackletInferencer, queries: Sequence[Path], settings: SearchSettings
) -> list[Answer]:
    """Search for each query, a folder of pictures, a picture or a video.

    A query whose folder is a tracklet of the gallery is not an answer to itself.

    Raises:
        DatasetError: See ``read_query``.
        ConfigError: If the threshold is a rate for which the bundle is not calibrated, or the encoder or the rate
            needs the modality of a query that is not known.
    """
    itself = [gallery.at(query) for query in queries]
    modalities = [settings.modality or _modality(query, one) for query, one in zip(queries, itself, strict=True)]
    for modality in modalities:
        thresholds_of(settings.threshold, inferencer.bundle, modality)  # before long work
    known = [modality for modality in modalities if modality is not None]
    frames = [read_query(query, settings.box, settings.frames) for query in queries]
    features = inferencer(frames, known if len(known) == len(queries) else None, progress=len(queries) > 1)
    names = [None if one is None else one.tracklet for one in itself]
    found = search_features(gallery, inferencer.bundle, features, modalities, names, settings)
    return [Answer(*one) for one in zip(queries, modalities, found, frames, strict=True)]


def search_features(
    gallery: Gallery,
    bundle: Bundle,
    features: npt.NDArray[np.float32],
    modalities: Sequence[Modality | None],
    names: Sequence[str | None],
    settings: SearchSettings,
) -> list[list[Hit]]:
    """Search for each query, float32 (Q, D), of known or unknown modality; the named tracklets are not answers.

    Raises:
        ConfigError: See ``thresholds_of``.
    """
    limits = [thresholds_of(settings.threshold, bundle, modality) for modality in modalities]
    # each modality has a threshold of its own, so the best of both together could hide matches of one
    apart = settings.threshold is not None and settings.filters.modality is None
    kinds = list(Modality) if apart else [settings.filters.modality]
    answers: list[list[Hit]] = [[] for _ in modalities]
    for kind in kinds:
        filters = replace(settings.filters, modality=kind)
        found = gallery.search(features, settings.top, filters, names, settings.probes)
        for answer, hits, limit in zip(answers, found, limits, strict=True):
            answer.extend(hit for hit in hits if hit.similarity > limit.get(hit.entry.modality, -math.inf))
    for answer in answers:
        answer.sort(key=lambda hit: -hit.similarity)
        del answer[settings.top :]
    return answers


def thresholds_of(threshold: tuple[str, float] | None, bundle: Bundle, query: Modality | None) -> dict[Modality, float]:
    """Look up what similarity a tracklet of each modality must exceed to match a query.

    Args:
        threshold: See ``parse_threshold``; None to let everything match.
        bundle: The model; a rate needs its calibration.
        query: Modality of the query, which a rate needs.

    Raises:
        ConfigError: If the bundle is not calibrated for the rate, or the query's modality is not known.
    """
    if threshold is None:
        return {}
    kind, value = threshold
    if kind == 'similarity':
        return dict.fromkeys(Modality, value)
    if not bundle.calibration:
        raise ConfigError(
            f'{bundle.folder}: is not calibrated, so a false-match rate has no meaning; give a similarity, for example '
            '--threshold similarity=0.8'
        )
    if query is None:
        raise ConfigError('the threshold depends on the modality of the query; give --query-modality')
    return {modality: threshold_for(bundle, value, pair_of(query, modality)) for modality in Modality}


def rate_text(similarity: float, bundle: Bundle, query: Modality | None, modality: Modality) -> str:
    """Write the smallest calibrated false-match rate whose threshold a similarity exceeds, ``'-'`` without one."""
    known = {} if query is None else known_thresholds(bundle, pair_of(query, modality))
    rates = [rate for rate, threshold in known.items() if similarity > threshold]
    return f'{min(rates):g}' if rates else '-'


def _modality(query: Path, entry: Entry | None) -> Modality | None:
    """Find the modality of a query from its place."""
    if entry is not None:
        return entry.modality
    named = re.fullmatch(r'.+_(rgb|ir)', query.resolve().parent.name)
    return Modality(named[1]) if named and query.is_dir() else None


def answers_text(answers: Sequence[Answer], settings: SearchSettings, bundle: Bundle) -> str:
    """Write the answers as a table for each query; false-match rates only of a calibrated bundle."""
    header = ['rank', 'similarity', 'rate', 'tracklet', 'camera', 'time', 'folder']
    blocks = []
    for answer in answers:
        rows = [[str(rank), *_facts(hit, answer, bundle).values()] for rank, hit in enumerate(answer.hits, 1)]
        if not bundle.calibration:
            rows = [row[:2] + row[3:] for row in rows]
        columns = header if bundle.calibration else header[:2] + header[3:]
        blocks.append(f'{answer.query}\n{text_table(columns, rows) if rows else nothing_text(settings)}\n')
    return '\n'.join(blocks)


def answers_page(answers: Sequence[Answer], settings: SearchSettings, gallery: Gallery, bundle: Bundle) -> str:
    """Render the answers with pictures as one HTML document."""
    conditions = ', '.join(filter(None, [settings.filters.describe(), _threshold_text(settings)]))
    scores = 'The first number of an answer is the similarity of its feature to that of the query.'
    if bundle.calibration:
        scores += ' The rate is the share of pairs of different people that are as similar, by the calibration.'
    introduction = paragraphs_html(
        [
            f'Gallery `{gallery.place}`, {len(gallery):,} tracklets, model {bundle.name}. At most {settings.top} '
            f'answers for each query{": " if conditions else ""}{conditions}. {scores}'
        ]
    )
    sections = [(str(answer.query), _answer_html(answer, settings, bundle)) for answer in answers]
    return page_html('Search', introduction, sections)


def text_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Align the columns of a table, without cutting long cells."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = [header, *rows]
    return '\n'.join(
        '  '.join(f'{cell:{width}}' for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def time_text(start: datetime | None, end: datetime | None) -> str:
    """Write the time of a tracklet, ``'-'`` if it is unknown."""
    times = [time.isoformat(' ', 'seconds') for time in (start, end) if time is not None]
    return ' to '.join(times) or '-'


def _answer_html(answer: Answer, settings: SearchSettings, bundle: Bundle) -> str:
    shown = [answer.frames[position] for position in middle_positions(len(answer.frames), _SHOWN)]
    query = joined_jpeg([_decoded(one) if isinstance(one, Path) else one for one in shown])
    hits = []
    for hit in answer.hits:
        picture = data_uri(hit.entry.thumbnail) if hit.entry.thumbnail else ''
        hits.append({'picture': picture, **_facts(hit, answer, bundle)})
    return part('answers', query=data_uri(query), count=len(answer.frames), hits=hits, nothing=nothing_text(settings))


def _decoded(picture: Path) -> Picture:
    return decode_frame(FolderFrames(picture.parent), picture.name, decode_with_cv2)


def _threshold_text(settings: SearchSettings) -> str:
    if settings.threshold is None:
        return ''
    kind, value = settings.threshold
    return f'similarity above {value:g}' if kind == 'similarity' else f'false-match rate of at most {value:g}'


def nothing_text(settings: SearchSettings) -> str:
    """Say that nothing was found."""
    if settings.threshold is None:
        return 'no match: no tracklet meets the conditions'
    return f'no match: no tracklet has a {_threshold_text(settings)}'


def _facts(hit: Hit, answer: Answer, bundle: Bundle) -> dict[str, str]:
    """Describe an answer."""
    entry = hit.entry
    return {
        'similarity': f'{hit.similarity:.3f}',
        'rate': rate_text(hit.similarity, bundle, answer.modality, entry.modality),
        'tracklet': entry.tracklet,
        'camera': f'{entry.camera} {entry.modality.value}',
        'time': time_text(entry.start_time, entry.end_time),
        'folder': entry.folder,
    }
