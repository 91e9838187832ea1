"""Small CLIP models in the layouts of open_clip and of OpenAI's archives."""

import open_clip
import torch
from torch import nn


def make_clip(quick_gelu=True, **text):
    """A small whole model; ``text``: settings of its text encoder beside those given here."""
    torch.manual_seed(0)
    model = open_clip.CLIP(
        embed_dim=32,
        vision_cfg={'image_size': 32, 'patch_size': 8, 'width': 128, 'layers': 2, 'head_width': 64},
        text_cfg={'context_length': 8, 'vocab_size': 20, 'width': 32, 'heads': 2, 'layers': 1, **text},
        quick_gelu=quick_gelu,
    )
    return model.eval()


class Scripted(nn.Module):
    """Holder that torch.jit.script can compile, with parameters of the names that it is given."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


def save_archive(state_dict, path, half=True):
    """Write what OpenAI published: a scripted module whose parameters are in half precision."""
    root = Scripted()
    for name, value in state_dict.items():
        module = root
        *parts, last = name.split('.')
        for part in parts:
            if part not in module._modules:
                module.add_module(part, Scripted())
            module = module._modules[part]
        value = value.detach().half() if half and value.is_floating_point() else value.detach()
        module.register_parameter(last, nn.Parameter(value, requires_grad=False))
    for name, number in (('input_resolution', 32), ('context_length', 8), ('vocab_size', 20)):
        root.register_buffer(name, torch.tensor(number))
    torch.jit.script(root).save(str(path))
