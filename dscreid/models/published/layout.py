"""What a layout of published checkpoints consists of."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from torch import Tensor

from dscreid.errors import CheckpointError
from dscreid.utils.checkpoint import in_words

#: For each pattern of a whole name, the new names as templates of ``re.Match.expand``; none for weights without use.
Rules = Mapping[str, Sequence[str]]


class Converted(NamedTuple):
    """Weights of a published checkpoint under the names of this project."""

    #: ``backbone.*``, and ``static_neck.*`` and ``dynamic_neck.*`` if the checkpoint has necks
    state_dict: dict[str, Tensor]
    dropped: list[str]  #: sorted names of the published weights that have no counterpart
    backbone: dict[str, Any]  #: config of the encoder, as far as the weights determine it
    undetermined: Mapping[str, Any] = {}  #: other settings with which an encoder of the same shapes can be built
    notes: Sequence[str] = ()  #: what else a config should say

    @property
    def meta(self) -> dict[str, Any]:
        """What a converted file records; the settings of a tower are compared when it is loaded."""
        tower = self.backbone.get('tower')
        return {'backbone': self.backbone} | ({'tower': tower} if tower else {})


class Layout(NamedTuple):
    """A way in which checkpoints are published."""

    title: str  #: what has this layout, such as 'a VLD checkpoint'
    marks: Sequence[str]  #: patterns; a checkpoint of this layout has a name for each of them
    #: Renames weights. Gets the weights by name, the path for error messages, and the image size (height, width).
    convert: Callable[[Mapping[str, Tensor], str, tuple[int, int]], Converted]


def rename(weights: Mapping[str, Tensor], rules: Rules, path: str, title: str) -> tuple[dict[str, Tensor], list[str]]:
    """Rename weights by the first rule whose pattern is the whole name.

    Returns:
        The renamed weights, and the sorted names of those without use.

    Raises:
        CheckpointError: If a name matches no rule.
    """
    renamed: dict[str, Tensor] = {}
    dropped, unknown = [], []
    for name, value in weights.items():
        matches = ((re.fullmatch(pattern, name), targets) for pattern, targets in rules.items())
        found, targets = next(((match, targets) for match, targets in matches if match), (None, ()))
        if found is None:
            unknown.append(name)
        elif not targets:
            dropped.append(name)
        renamed |= {found.expand(target): value for target in targets if found}
    if unknown:
        raise CheckpointError(f'{path}: is not a supported form of {title} (unknown weights: {in_words(unknown)})')
    return renamed, sorted(dropped)
