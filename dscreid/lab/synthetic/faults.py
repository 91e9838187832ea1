"""Faults of a tracker in training tracklets: walks cut in two, and tracklets that end with another person."""

from typing import NamedTuple

from dscreid.lab.synthetic.draws import Stream, generator, uniform
from dscreid.lab.synthetic.spec import WorldSpec

#: HITSZ-VCM's loader drops shorter tracklets.
SHORTEST_PIECE = 12


class Switch(NamedTuple):
    """Where a tracklet changes to another person."""

    frame: int  #: first frame that shows the other person, at least 1
    person: int  #: number of the other person among the training people


def draw_pieces(spec: WorldSpec, person: int, key: int, frames: int) -> list[tuple[int, int]]:
    """Draw the tracklets that a tracker makes of one training walk: (first frame, number of frames) of each.

    A walk shorter than two pieces is never cut.
    """
    rng = generator(spec.seed, Stream.FAULT, 0, person, key)
    if frames < 2 * SHORTEST_PIECE or rng.random() >= spec.cut:
        return [(0, frames)]
    at = int(rng.integers(SHORTEST_PIECE, frames - SHORTEST_PIECE + 1))
    return [(0, at), (at, frames - at)]


def draw_switch(spec: WorldSpec, person: int, key: int, begin: int, frames: int) -> Switch | None:
    """Draw the switch of a tracklet of ``frames`` frames from frame ``begin`` of a training walk. None: no switch.

    A third to two thirds of the tracklet show another person, who walks past the same camera.
    """
    rng = generator(spec.seed, Stream.FAULT, 1, person, key, begin)
    if spec.train_ids < 2 or frames < 2 or rng.random() >= spec.switched:
        return None
    frame = min(max(1, round(uniform(rng, (1 / 3, 2 / 3)) * frames)), frames - 1)
    other = int(rng.integers(spec.train_ids - 1))
    return Switch(frame, other + (other >= person))
