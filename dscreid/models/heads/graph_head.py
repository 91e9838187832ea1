"""Graph attention over the samples of a batch (DDAG)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dscreid.models.losses.labeled_batch import LabeledBatch
from dscreid.registry import MODELS

_SLOPE = 0.2  # of the leaky ReLU, as in Velickovic et al.


class GraphAttention(nn.Module):
    """Graph attention layer (Velickovic et al., ICLR 2018) with H heads: (R, D) to (R, H, width).

    Args:
        in_features: Width D of the nodes.
        width: Width of a head's output.
        num_heads: H.
        dropout: Probability with which inputs and attention weights are dropped in training.
    """

    def __init__(self, in_features: int, width: int, num_heads: int, dropout: float) -> None:
        super().__init__()
        self.width, self.dropout = width, dropout
        self.projection = nn.Linear(in_features, num_heads * width, bias=False)
        self.to_query = nn.Parameter(torch.empty(num_heads, width))
        self.to_key = nn.Parameter(torch.empty(num_heads, width))
        for parameter in (self.projection.weight, self.to_query, self.to_key):
            nn.init.xavier_uniform_(parameter, gain=2**0.5)

    def forward(self, nodes: Tensor, adjacent: Tensor) -> Tensor:
        """Average projected neighbors; ``adjacent`` is bool (R, R), with at least one neighbor for each node."""
        values = self.projection(F.dropout(nodes, self.dropout, self.training)).unflatten(1, (-1, self.width))
        queries, keys = ((values * vector).sum(2).T for vector in (self.to_query, self.to_key))  # (H, R)
        scores = F.leaky_relu(queries[:, :, None] + keys[:, None, :], _SLOPE)
        attention = scores.masked_fill(~adjacent, -torch.inf).softmax(dim=2)
        attention = F.dropout(attention, self.dropout, self.training)
        return torch.einsum('hqk,khd->qhd', attention, values)


@MODELS.register_module()
class GraphHead(nn.Module):
    """DDAG's cross-modality graph attention (Ye et al., ECCV 2020): two layers over samples of the same identity.

    The second layer gives the logits. As it reads labels, it serves training only.

    Args:
        in_features: Width D of the part.
        num_classes: Number of identities.
        width: Width of each head of the first layer.
        num_heads: Heads of the first layer.
        dropout: Probability of dropout in both layers.
        part: The part of the batch that holds the nodes.
    """

    def __init__(
        self,
        in_features: int,
        num_classes: int,
        width: int = 512,
        num_heads: int = 4,
        dropout: float = 0.2,
        part: str = 'neck_static',
    ) -> None:
        super().__init__()
        self.reads, self.out_features = (part,), num_classes
        self.first = GraphAttention(in_features, width, num_heads, dropout)
        self.second = GraphAttention(width * num_heads, num_classes, 1, dropout)

    def forward(self, batch: LabeledBatch) -> Tensor:
        """Compute logits, float32 (R, num_classes)."""
        nodes, labels = batch.part(self.reads[0]), batch.labels
        adjacent = labels[:, None] == labels[None, :]  # a node is its own neighbor
        with torch.autocast(nodes.device.type, enabled=False):
            hidden = F.elu(self.first(nodes.to(self.first.to_key.dtype), adjacent)).flatten(1)
            return F.elu(self.second(hidden, adjacent)[:, 0])
