"""Frames of a tracklet the plain way, as the field's code loads them: PIL and torchvision, one frame at a time."""

from pathlib import Path

import torch
from PIL import Image
from torchvision import transforms

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def make_transform(size):
    """Resize, scale to [0, 1], normalise."""
    return transforms.Compose([transforms.Resize(size), transforms.ToTensor(), transforms.Normalize(MEAN, STD)])


def load_tracklet(root, paths, transform):
    """float32 (T, 3, H, W): each of the paths, relative to root, opened, converted, transformed; then stacked."""
    frames = []
    for path in paths:
        with Image.open(Path(root, path)) as image:
            frames.append(transform(image.convert('RGB')))
    return torch.stack(frames)
