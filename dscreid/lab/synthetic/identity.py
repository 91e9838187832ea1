"""Identities: clothing, body and gait of one person."""

from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from dscreid.lab.synthetic.domain import Wardrobe
from dscreid.lab.synthetic.draws import Surface, choose, draw_surface, uniform

_SHOES = {'black': 4, 'white': 4, 'grey': 2, 'brown': 2, 'navy': 1, 'red': 1, 'blue': 1, 'pink': 0.6}
_BAGS = {'black': 4, 'charcoal': 2, 'navy': 2, 'red': 2, 'brown': 2, 'white': 1.5, 'green': 1, 'yellow': 1}
_SHOE_MATERIALS = {'leather': 2, 'cotton': 1, 'nylon': 1}
_BAG_MATERIALS = {'nylon': 3, 'leather': 2, 'cotton': 1}
_SKIN = ((0.94, 0.78, 0.66), (0.86, 0.67, 0.54), (0.72, 0.52, 0.40), (0.46, 0.31, 0.23))
_HAIR = ((0.08, 0.07, 0.07), (0.20, 0.13, 0.09), (0.42, 0.27, 0.14), (0.72, 0.58, 0.34), (0.55, 0.55, 0.56))


@dataclass(frozen=True)
class Pattern:
    """Pattern of a garment. Its geometry is defined in ``texture.py``."""

    kind: str  #: one of ``texture.PATTERNS``
    period: float  #: repetitions over the garment's height
    phase: float  #: offset of the first repetition, in [0, 1)
    duty: float  #: fraction of a repetition that shows the second color. Also scales single shapes.
    turn: float  #: angle around the body of the center of a single shape, in radians. 0 is the chest.


def _between(low: float, high: float) -> Any:
    return field(metadata={'bounds': (low, high)})


@dataclass(frozen=True)
class Body:
    """Proportions in body heights, except ``bulk`` and ``head``, which are factors."""

    leg: float = _between(0.445, 0.51)
    shoulder: float = _between(0.088, 0.132)
    hip: float = _between(0.045, 0.070)
    bulk: float = _between(0.80, 1.30)
    head: float = _between(0.90, 1.14)
    arm: float = _between(0.30, 0.35)


@dataclass(frozen=True)
class Gait:
    """How a person walks."""

    stride: float = _between(0.24, 0.58)  #: amplitude of the thigh's swing in radians
    cadence: float = _between(0.070, 0.150)  #: full cycles (two steps) per frame
    knee: float = _between(0.45, 1.15)  #: knee flexion in the swing phase, in radians
    arm_swing: float = _between(0.06, 0.68)  #: amplitude of the arms in radians
    elbow: float = _between(0.05, 0.75)  #: resting flexion of the elbow in radians
    lean: float = _between(-0.04, 0.17)  #: forward lean of the trunk in radians
    bounce: float = _between(0.0, 0.018)  #: vertical movement in body heights
    sway: float = _between(0.0, 0.022)  #: sideways movement of the shoulders in body heights
    splay: float = _between(0.0, 0.055)  #: distance of the hands from the body, in body heights


@dataclass(frozen=True)
class Identity:
    """One person, drawn in the same way in every camera and both modalities."""

    upper: Surface
    upper_second: Surface
    upper_pattern: Pattern
    sleeve: float
    sleeves_second: bool
    hem: float
    lower: Surface
    lower_second: Surface
    lower_kind: str
    lower_detail: str
    skin: Surface
    hair: Surface
    hair_length: float
    shoes: Surface
    bag_kind: str
    bag: Surface
    bag_side: int
    hat_kind: str
    hat: Surface
    body: Body
    gait: Gait


def draw_identity(rng: np.random.Generator, wardrobe: Wardrobe) -> Identity:
    """Draw a random person from the clothing statistics of a domain, with the identity's own generator."""
    upper = draw_surface(rng, wardrobe.upper_colors, wardrobe.upper_materials)
    lower = draw_surface(rng, wardrobe.lower_colors, wardrobe.lower_materials)
    return Identity(
        upper=upper,
        upper_second=_contrasting(rng, upper, wardrobe.upper_colors, wardrobe.upper_materials),
        upper_pattern=_draw_pattern(rng, wardrobe),
        sleeve=float((0.0, 0.55, 1.0)[int(rng.choice(3, p=wardrobe.sleeves))]),
        sleeves_second=bool(rng.random() < 0.18),
        hem=0.26 if rng.random() < wardrobe.coats else uniform(rng, (0.02, 0.10)),
        lower=lower,
        lower_second=_contrasting(rng, lower, wardrobe.lower_colors, wardrobe.lower_materials),
        lower_kind=choose(rng, wardrobe.lower_kinds),
        lower_detail=choose(rng, {'plain': 0.62, 'side_stripe': 0.18, 'cuffs': 0.10, 'knees': 0.10}),
        skin=_natural(rng, _SKIN, 'skin'),
        hair=_natural(rng, _HAIR, 'hair', wardrobe.hair),
        hair_length=float((0.0, 0.25, 0.6, 1.0)[int(rng.choice(4, p=(0.15, 0.4, 0.2, 0.25)))]),
        shoes=draw_surface(rng, _SHOES, _SHOE_MATERIALS),
        bag_kind=choose(rng, wardrobe.bags),
        bag=draw_surface(rng, _BAGS, _BAG_MATERIALS),
        bag_side=int(rng.integers(2)),
        hat_kind=choose(rng, wardrobe.hats),
        hat=draw_surface(rng, _BAGS, {'cotton': 2, 'wool': 1}),
        body=Body(*(uniform(rng, part.metadata['bounds']) for part in fields(Body))),
        gait=Gait(*(uniform(rng, part.metadata['bounds']) for part in fields(Gait))),
    )


def _contrasting(rng, first: Surface, colors: dict, materials: dict) -> Surface:
    """Draw a second surface whose visible lightness differs from that of the first."""
    for _ in range(12):
        second = draw_surface(rng, {name: 1 + weight for name, weight in colors.items()}, materials)
        if abs(sum(second.rgb) - sum(first.rgb)) > 0.75:
            return second
    return draw_surface(rng, {'white': 1} if sum(first.rgb) < 1.5 else {'black': 1}, materials)


def _draw_pattern(rng: np.random.Generator, wardrobe: Wardrobe) -> Pattern:
    kind = choose(rng, wardrobe.patterns)
    period = uniform(rng, (2.0, 5.5))
    back = rng.random() < 0.3
    turn = (np.pi if back else 0.0) + 0.25 * float(rng.standard_normal())
    return Pattern(kind, period, float(rng.random()), uniform(rng, (0.3, 0.65)), turn)


def _natural(rng, choices, material: str, weights=None) -> Surface:
    index = int(rng.choice(len(choices), p=weights))
    value = np.clip(np.asarray(choices[index]) + 0.02 * rng.standard_normal(3), 0.03, 0.97)
    color = 'beige' if material == 'skin' else 'black'
    return Surface(color, tuple(value.tolist()), material, 0.6 * float(rng.standard_normal()))
