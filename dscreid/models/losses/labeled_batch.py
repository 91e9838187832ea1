"""What the heads and losses of supervised training read."""

from dataclasses import dataclass, field

from torch import Tensor

from dscreid.errors import ConfigError


@dataclass(frozen=True)
class LabeledBatch:
    """Parts of a labeled global batch of B tracklets, each of which an encoder may give in v versions.

    All B rows of the first version come first, then those of the second, and so on. The first version is that of the
    tracklet itself.
    """

    #: by name, float (v * B, ...): ``static`` and ``dynamic`` (raw), ``neck_static`` and ``neck_dynamic``, other parts
    #: of the encoder (possibly with B rows), and the outputs of heads, such as ``static_head``
    parts: dict[str, Tensor]
    labels: Tensor  #: int64 (v * B,)
    visible: Tensor  #: bool (v * B,), whether the tracklet is visible, not infrared
    num_versions: int = 1  #: v
    epoch: int = 0  #: counted from 0
    seed: int = 0  #: of random draws that all processes must share
    #: the active losses before the one that reads them, with their weights
    losses: dict[str, Tensor] = field(default_factory=dict)

    def part(self, name: str) -> Tensor:
        """Return a part; raise a ConfigError that lists the known parts if there is none of this name."""
        if name not in self.parts:
            raise ConfigError(f'there is no part {name!r} in a training batch; known are {", ".join(self.parts)}')
        return self.parts[name]

    def versions(self, name: str) -> tuple[Tensor, ...]:
        """Return a part as its v versions, (B, ...) each."""
        return self.part(name).chunk(self.num_versions)
