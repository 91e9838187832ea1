"""Global identities: tracklets of the same person over cameras and modalities."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dscreid.datasets.tracklet_table import TrackletRow
from dscreid.deployment.bundle import Bundle
from dscreid.deployment.calibration import pair_of, threshold_for
from dscreid.errors import DatasetError, ResourceError
from dscreid.structures import Modality
from dscreid.tracks.convert import ConvertedVideo, read_boxes, read_conversion
from dscreid.tracks.mot import write_mot
from dscreid.utils.files import replacing
from dscreid.utils.machine import free_memory
from dscreid.utils.quantities import size_text

COLUMNS = ('tracklet', 'camera', 'modality', 'identity')


def link_tracklets(
    features: npt.NDArray[np.float32],
    modalities: Sequence[Modality],
    forbidden: npt.NDArray[np.bool_],
    thresholds: Mapping[str, float],
) -> npt.NDArray[np.int64]:
    """Group tracklets of the same person: average linkage of similarities above the threshold, with constraints.

    Similarities count from the threshold of their pair of modalities, so that pairs within and across modalities can
    be averaged.

    Args:
        features: float32 (N, D), compared by inner product.
        modalities: Modality of each tracklet.
        forbidden: bool (N, N), symmetric: pairs that are different people.
        thresholds: Similarity above which two tracklets match, for each of ``PAIRS`` that occurs.

    Returns:
        int64 (N,), identities from 1, in the order of their first tracklets.

    Raises:
        ResourceError: If there is not enough memory for the similarities.
    """
    needed, free = 8 * len(features) ** 2, free_memory()  # those of the table of margins
    if free is not None and needed > free:
        raise ResourceError(
            f'linking {len(features):,} tracklets needs {size_text(needed)} of memory, but {size_text(free)} are free; '
            'link fewer at once'
        )
    wide = features.astype(np.float64)
    margins = wide @ wide.T
    limits = np.zeros((2, 2))
    for one, other in product(set(modalities), repeat=2):
        limits[int(one is Modality.RGB), int(other is Modality.RGB)] = thresholds[pair_of(one, other)]
    is_rgb = np.array([modality is Modality.RGB for modality in modalities], dtype=np.int64)
    for row in range(len(margins)):
        margins[row:, row] = margins[row, row:]  # rounding must not make it asymmetric
        margins[row] -= limits[is_rgb[row], is_rgb]
    margins[forbidden] = -np.inf
    return constrained_clusters(margins) + 1


def constrained_clusters(margins: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Merge the two most similar clusters as long as their average margin is above 0.

    The average of two clusters with a forbidden pair is -inf, so no cluster contains one. Average linkage is
    reducible, also with -inf, so that chains of nearest neighbors (Murtagh, 1983) find the same clusters as the search
    for the best pair, in O(N^2) instead of O(N^3).

    Args:
        margins: float64 (N, N), symmetric, similarities minus the threshold; -inf for forbidden pairs. Overwritten.

    Returns:
        int64 (N,), number of each one's cluster, from 0, in the order of their first members.
    """
    count = len(margins)
    np.fill_diagonal(margins, -np.inf)
    size = np.ones(count)
    parent = np.arange(count)
    open_clusters = dict.fromkeys(range(count))
    chain: list[int] = []
    while open_clusters:
        if not chain:
            chain.append(next(iter(open_clusters)))
        tip = chain[-1]
        best = int(np.argmax(margins[tip]))
        if len(chain) > 1 and margins[tip, chain[-2]] >= margins[tip, best]:
            best = chain[-2]  # of equals, so that chains end
        if margins[tip, best] <= 0:
            _close(margins, tip)
            del open_clusters[tip]
            chain.clear()  # a chain goes on only above 0, so this was its only cluster
        elif len(chain) > 1 and best == chain[-2]:
            merged = (size[tip] * margins[tip] + size[best] * margins[best]) / (size[tip] + size[best])
            margins[best], margins[:, best] = merged, merged
            margins[best, best] = -np.inf
            size[best] += size[tip]
            parent[tip] = best
            _close(margins, tip)
            del open_clusters[tip]
            del chain[-2:]
        else:
            chain.append(best)
    return _numbered(parent)


def _close(margins: npt.NDArray[np.float64], cluster: int) -> None:
    margins[cluster], margins[:, cluster] = -np.inf, -np.inf


def _numbered(parent: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Number the trees of a forest in the order of their first nodes."""
    while not np.array_equal(parent[parent], parent):
        parent = parent[parent]
    numbers: dict[int, int] = {}
    return np.array([numbers.setdefault(root, len(numbers)) for root in parent.tolist()], dtype=np.int64)


def write_identities(path: Path, rows: Sequence[TrackletRow], identities: Sequence[int]) -> None:
    """Write tracklet, camera, modality and identity of each tracklet as CSV."""
    with replacing(path) as temporary, temporary.open('w', newline='', encoding='utf-8') as file:
        writer = csv.writer(file, lineterminator='\n')
        writer.writerow(COLUMNS)
        for row, identity in zip(rows, identities, strict=True):
            writer.writerow([row.tracklet, row.camera, row.modality.value, identity])


def thresholds_of(bundle: Bundle, modalities: Sequence[Modality], threshold: tuple[str, float]) -> dict[str, float]:
    """Choose the threshold of each pair of modalities that occurs.

    Args:
        bundle: The bundle.
        modalities: Modality of each tracklet.
        threshold: See ``parse_threshold``; a rate needs a calibrated bundle.

    Raises:
        ConfigError: If the bundle is not calibrated for the rate.
    """
    kind, value = threshold
    pairs = sorted({pair_of(one, other) for one, other in product(set(modalities), repeat=2)})
    return {pair: value if kind == 'similarity' else threshold_for(bundle, value, pair) for pair in pairs}


def converted_videos(root: Path) -> list[ConvertedVideo]:
    """Read the records of the videos that a folder was made of. Raises DatasetError if there are none."""
    videos = list(read_conversion(root).values())
    if not videos:
        raise DatasetError(f'{root}: was not written by dscreid tracks, so the boxes of its tracklets are unknown')
    return videos


def write_tracks(root: Path, identities: Mapping[str, int], out: Path) -> list[Path]:
    """Write the boxes of each video as MOTChallenge results, with identities as ids.

    Boxes of tracks that did not become tracklets are left out.

    Args:
        root: Folder that ``dscreid tracks`` wrote.
        identities: Identity of each tracklet, by name; those of other tracklets are left out.
        out: Folder to write; the files are ``CAMERA_MODALITY/VIDEO.txt``.

    Returns:
        The files.

    Raises:
        DatasetError: If ``root`` is another folder, or its boxes are missing or damaged.
    """
    paths = []
    for video in converted_videos(root):
        boxes = read_boxes(root, video)
        of_tracklet = np.array([identities.get(cells['tracklet'], -1) for cells in video.tracklets], dtype=np.int64)
        ids = of_tracklet[boxes.track]
        paths.append(out / f'{video.name}.txt')
        write_mot(paths[-1], replace(boxes, track=ids).take(ids >= 0))
    return paths
