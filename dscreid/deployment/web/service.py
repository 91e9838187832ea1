"""What the page of ``dscreid serve`` asks for: tracklets, searches, moving pictures and marks."""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from dscreid.deployment.gallery import Gallery
from dscreid.deployment.gallery_filters import Filters
from dscreid.deployment.gallery_rows import Entry
from dscreid.deployment.inferencer import TrackletInferencer
from dscreid.deployment.marks import UPLOAD, append_mark, erase_missing, labeled_pairs, make_mark, marks_file
from dscreid.deployment.search import SearchSettings, nothing_text, rate_text, search_features, time_text
from dscreid.deployment.web.strips import strip, strip_of
from dscreid.deployment.web.uploads import MAX_BYTES, MAX_FILES, Box, query_frames
from dscreid.errors import DatasetError
from dscreid.structures import Modality

#: Tracklets of one part of the list to pick from.
_PER_LIST = 60
#: Uploads whose features are remembered, so that their answers can be marked.
_REMEMBERED = 256


class Query(NamedTuple):
    """What is searched for.

    Attributes:
        name: Name of a tracklet, or ``upload-`` and a hash.
        feature: float32 (D,).
        modality: Visible or infrared.
    """

    name: str
    feature: npt.NDArray[np.float32]
    modality: Modality


class Service:
    """Answers the page's questions; safe to use from several threads.

    Args:
        gallery: The gallery, opened with the inferencer's bundle.
        inferencer: Computes the features of uploads.
        marks: File of the marks; None for that of ``marks_file``.
    """

    def __init__(self, gallery: Gallery, inferencer: TrackletInferencer, marks: Path | None = None) -> None:
        self.gallery, self.inferencer = gallery, inferencer
        self.marks = marks_file(gallery.place) if marks is None else marks
        self._uploads: OrderedDict[str, Query] = OrderedDict()
        self._lock = threading.Lock()

    def about(self) -> dict[str, Any]:
        """Describe the gallery, and what can be chosen."""
        found = self.gallery.statistics()
        calibration = self.inferencer.bundle.calibration or {}
        return {
            'gallery': self.gallery.name,
            'count': found.count,
            'model': self.gallery.about['model'],
            'cameras': sorted({camera for camera, _ in found.cameras}),
            'times': time_text(*found.times) if found.times else '',
            'zoned': bool(found.times and found.times[0].tzinfo),
            'rates': sorted({line['rate'] for line in calibration.get('thresholds', ())}, reverse=True),
            'max_files': MAX_FILES,
            'max_bytes': MAX_BYTES,
        }

    def tracklets(self, filters: Filters, text: str, start: int) -> dict[str, Any]:
        """List tracklets to pick from, whose names contain a text."""
        count, entries = self.gallery.page(filters, text, start, _PER_LIST)
        return {'count': count, 'per_list': _PER_LIST, 'tracklets': [_facts(one) for one in entries]}

    def moving_picture(self, name: str) -> bytes | None:
        """Make the moving picture of a tracklet; None if there is none."""
        found = self.gallery.find(name)
        return None if found is None else strip_of(self.gallery, found[0])

    def tracklet(self, name: str) -> Query:
        """Find a query in the gallery. Raises DatasetError."""
        found = self.gallery.find(name)
        if found is None:
            raise DatasetError('this tracklet is no longer in the gallery; choose another one')
        entry, feature = found
        return Query(name, feature, entry.modality)

    def upload(self, contents: Sequence[bytes], box: Box, modality: Modality) -> tuple[Query, bytes]:
        """Compute the feature of an upload, and its moving picture.

        Raises:
            DatasetError: See ``query_frames``.
        """
        frames = query_frames(contents, box)
        with self._lock:
            (feature,) = self.inferencer([frames], [modality], progress=False)
        digest = hashlib.sha256(feature.tobytes() + modality.value.encode()).hexdigest()
        query = Query(f'{UPLOAD}{digest[:16]}', feature, modality)
        with self._lock:
            self._uploads[query.name] = query
            self._uploads.move_to_end(query.name)
            while len(self._uploads) > _REMEMBERED:
                self._uploads.popitem(last=False)
        return query, strip(frames)

    def search(self, query: Query, settings: SearchSettings) -> dict[str, Any]:
        """Find tracklets, best first."""
        bundle = self.inferencer.bundle
        (hits,) = search_features(self.gallery, bundle, query.feature[None], [query.modality], [query.name], settings)
        marks = self._marks_of(query)
        return {
            'query': query.name,
            'modality': query.modality.value,
            'nothing': '' if hits else nothing_text(settings),
            'hits': [
                {
                    **_facts(hit.entry),
                    'similarity': f'{hit.similarity:.3f}',
                    'rate': rate_text(hit.similarity, bundle, query.modality, hit.entry.modality),
                    'mark': marks.get(hit.entry.tracklet),
                }
                for hit in hits
            ],
        }

    def mark(self, query: str, answer: str, same: bool | None) -> None:
        """Keep a mark. Raises DatasetError if the query or the answer is gone."""
        with self._lock:
            asked = self._uploads.get(query)
        if asked is None and query.startswith(UPLOAD) and self.gallery.find(query) is None:
            raise DatasetError('the server has forgotten this upload; search again, then mark')
        asked = asked or self.tracklet(query)
        found = self.tracklet(answer)
        if asked.name == found.name:
            raise DatasetError('a tracklet cannot be marked as an answer to itself')
        similarity = float(asked.feature @ found.feature)
        model = self.inferencer.bundle.fingerprint
        pair = (asked.name, asked.modality), (found.name, found.modality)
        append_mark(self.marks, make_mark(*pair, same, similarity, model))
        names = [one.name for one in (asked, found) if not one.name.startswith(UPLOAD)]
        if len(self.gallery.folders(names)) < len(names):  # another process has removed one in the meantime
            erase_missing(self.marks, self.gallery)

    def _marks_of(self, query: Query) -> dict[str, bool | None]:
        pairs = labeled_pairs(self.marks, self.inferencer.bundle.fingerprint)
        found = {one.tracklet: one.same for one in pairs if one.query == query.name}
        return found | {one.query: one.same for one in pairs if one.tracklet == query.name}


def _facts(entry: Entry) -> dict[str, Any]:
    return {
        'tracklet': entry.tracklet,
        'camera': entry.camera,
        'modality': entry.modality.value,
        'time': time_text(entry.start_time, entry.end_time),
    }
