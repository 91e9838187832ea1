"""Memory that a config's backbone keeps for the backward pass, with and without recomputing its blocks (with_cp).

Uses one tracklet of random pixels in float32 on the CPU. Counts the bytes of the distinct tensors that PyTorch's
hooks for saved tensors see, without parameters. They grow with the number of tracklets, where each view counts.

Example: python tools/benchmarks/saved_activations.py configs/dsc/dsc_bupt2hitsz.py
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import torch
from machine import print_table
from torch import Tensor, nn


def main() -> None:
    """Measure both and print them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', type=Path, help='config whose backbone is SpatioTemporalPrompting')
    settings = backbone_of(parser.parse_args().config)
    rows = []
    for with_cp in (False, True):
        kept, parameters = measure({**settings, 'with_cp': with_cp})
        rows.append([f'with_cp={with_cp}', f'{kept / 1e6:,.1f} MB', f'{parameters:,}'])
    print_table('Kept for the backward pass', ['backbone', 'a tracklet', 'parameters'], rows)


def backbone_of(path: Path) -> dict:
    """Return the settings of a config's backbone."""
    from mmengine.registry import init_default_scope

    from dscreid.apis import load_config

    init_default_scope('dscreid')
    return dict(load_config(path).model.backbone)


def measure(settings: dict) -> tuple[int, int]:
    """Return the bytes kept for one tracklet, and the number of parameters."""
    from dscreid.registry import MODELS

    model = MODELS.build(settings).train()
    frames = torch.rand(1, model.num_frames, 3, *model.tower.image_size)
    return saved_bytes(lambda: model(frames)), sum(parameter.numel() for parameter in model.parameters())


def saved_bytes(run: Callable[[], object]) -> int:
    """Return the bytes of the distinct tensors, without parameters, that a call keeps for its gradient."""
    kept = {}

    def keep(tensor: Tensor) -> Tensor:
        if not isinstance(tensor, nn.Parameter) and not isinstance(tensor._base, nn.Parameter):
            storage = tensor.untyped_storage()
            kept[storage.data_ptr()] = storage  # kept alive, so that no address is reused
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        run()
    return sum(storage.nbytes() for storage in kept.values())


if __name__ == '__main__':
    main()
