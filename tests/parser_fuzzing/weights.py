"""Weights files of every kind, feature files, and what is made of them."""

import io
import json
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from safetensors.numpy import save as save_numpy
from safetensors.torch import save as save_torch
from torch import nn

from dscreid.engine.checkpoint_files import check_whole
from dscreid.engine.source_weights import check_resumable
from dscreid.errors import CheckpointError, ConfigError, DatasetError
from dscreid.evaluation import load_features
from dscreid.models.backbones import CLIPVisionTransformer
from dscreid.models.backbones.pretrained import TOWER_KIND, load_pretrained_tower
from dscreid.utils.checkpoint import load_model_weights, load_weights, read_metadata
from parser_fuzzing.harness import Parser
from parser_fuzzing.mutations import json_values, mutated_bytes, mutated_text, tokens


class Tiny(nn.Module):
    """What weights are loaded into."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(2, 3)
        self.settings = {'activation': 'gelu'}
        self.architecture = {'backbone.heads': 2}

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x)


def _pickled(content: Any) -> bytes:
    stream = io.BytesIO()
    torch.save(content, stream)
    return stream.getvalue()


def _scripted() -> bytes:
    stream = io.BytesIO()
    torch.jit.save(torch.jit.script(nn.Sequential(OrderedDict(linear=nn.Linear(2, 3)))), stream)
    return stream.getvalue()


_WEIGHTS = {
    'linear.weight': torch.arange(6, dtype=torch.float32).reshape(3, 2),
    'linear.bias': torch.zeros(3),
}
_VALID = {'state_dict': _WEIGHTS, 'meta': {'epoch': 1, 'seed': 1, 'tower': {'activation': 'gelu'}}}

_tensors = st.sampled_from(
    (
        *_WEIGHTS.values(), torch.zeros(()), torch.zeros(3, 0), torch.full((3,), torch.nan),
        torch.zeros(3, dtype=torch.int64), torch.zeros(3, dtype=torch.bfloat16), torch.zeros(3).to_sparse(),
        torch.zeros(2, 3).T, torch.quantize_per_tensor(torch.zeros(3), 1.0, 0, torch.qint8),
    )
)  # fmt: skip
_names = st.sampled_from(('linear.weight', 'linear.bias', 'module.linear.weight', 'state_dict', 'model', 'meta', 3))
_plain = st.recursive(
    _tensors | json_values | st.just((1, 2)) | st.just(OrderedDict(_WEIGHTS)),
    lambda inner: st.dictionaries(_names | tokens, inner, max_size=4) | st.lists(inner, max_size=2),
    max_leaves=6,
)
_contents = st.one_of(
    _plain,
    st.fixed_dictionaries({'state_dict': st.just(_WEIGHTS) | _plain, 'meta': _plain}),
    st.fixed_dictionaries({'linear.weight': _tensors, 'linear.bias': _tensors}),
    st.fixed_dictionaries({'state_dict': st.just(_WEIGHTS), 'meta': st.fixed_dictionaries({'architecture': _plain})}),
    st.just(_VALID),
)


def _parse_weights(name: str):
    def parse(folder: Path, case: dict[str, Any]) -> object:
        path = folder / name
        check_whole(path)
        read_metadata(path)
        load_weights(path)
        check_resumable(Tiny(), path)
        load_model_weights(Tiny(), path)
        return path

    return parse


def _weights_parser(title: str, name: str, cases: st.SearchStrategy[bytes]) -> Parser:
    return Parser(
        name=title,
        cases=cases.map(lambda content: {name: content}),
        parse=_parse_weights(name),
        errors=(CheckpointError, ConfigError),
        named=(name,),
    )


PICKLE = _weights_parser(
    'checkpoint (.pth)',
    'weights.pth',
    st.one_of(mutated_bytes(_pickled(_VALID)), _contents.map(_pickled), st.binary(max_size=60)),
)
OLD_PICKLE = _weights_parser(
    'checkpoint (.pth before PyTorch 1.6)',
    'weights.pth',
    mutated_bytes(
        (lambda stream: torch.save(_VALID, stream, _use_new_zipfile_serialization=False) or stream.getvalue())(
            io.BytesIO()
        )
    ),
)
TORCHSCRIPT = _weights_parser('TorchScript archive', 'weights.pt', mutated_bytes(_scripted()))

_dense = _tensors.filter(lambda t: not t.is_sparse and not t.is_quantized and t.is_contiguous())
SAFETENSORS = _weights_parser(
    'checkpoint (.safetensors)',
    'weights.safetensors',
    st.one_of(
        mutated_bytes(save_torch(_WEIGHTS, {'kind': 'x'})),
        st.dictionaries(st.sampled_from(('linear.weight', 'linear.bias', 'ü', '')), _dense, max_size=3).map(
            lambda weights: save_torch({name: value.clone() for name, value in weights.items()})
        ),
    ),
)

_tower = CLIPVisionTransformer(
    image_size=(32, 16), patch_size=8, width=8, layers=1, heads=2, activation='gelu', pretrained=None
)
_SETTINGS = {**_tower.settings, 'image_size': [32, 16]}


def _tower_file(settings: bytes) -> bytes:
    text = settings.decode('utf-8', 'replace')
    return save_torch(_tower.state_dict(), {'kind': TOWER_KIND, 'settings': text})


TOWER = Parser(
    name='tower file (.safetensors)',
    cases=st.one_of(
        mutated_text(json.dumps(_SETTINGS)).map(_tower_file),
        json_values.map(lambda value: _tower_file(json.dumps(value).encode())),
        mutated_bytes(_tower_file(json.dumps(_SETTINGS).encode())),
        st.just(save_torch(_tower.state_dict(), {'kind': TOWER_KIND})),
    ).map(lambda content: {'tower.safetensors': content}),
    parse=lambda folder, case: load_pretrained_tower(_tower, str(folder / 'tower.safetensors')),
    errors=(CheckpointError, ConfigError),
    named=('tower.safetensors',),
)

_TABLE = {
    'feature': np.zeros((4, 6), np.float32), 'pid': np.arange(4), 'camera': np.zeros(4, np.int64),
    'modality': np.array([0, 1, 0, 1]), 'is_query': np.array([True, False, True, False]), 'index': np.arange(4),
    'static': np.zeros((4, 3), np.float32),
}  # fmt: skip
_arrays = st.sampled_from(
    (
        *_TABLE.values(), np.zeros(()), np.zeros(4), np.full((4, 6), np.nan, np.float32), np.zeros((4, 0)),
        np.full(4, 7), np.zeros((4, 1), np.int64), np.zeros(3, np.int64), np.zeros((0, 6), np.float32),
        np.zeros(4, np.uint8), np.zeros((4, 6), np.float16), np.full(4, -(2**63)),
    )
)  # fmt: skip


def _use_table(folder: Path, case: dict[str, Any]) -> object:
    table = load_features(folder / 'features.safetensors')
    return table.modalities, table.feature.shape, table.index.tolist(), table.pid.tolist(), len(table)


FEATURES = Parser(
    name='feature file',
    cases=st.one_of(
        mutated_bytes(save_numpy(_TABLE)),
        st.dictionaries(st.sampled_from((*_TABLE, 'dynamic', 'other')), _arrays, max_size=3).map(
            lambda changed: save_numpy(_TABLE | changed)
        ),
        st.just(save_torch({'feature': torch.zeros(4, 6, dtype=torch.bfloat16)})),
    ).map(lambda content: {'features.safetensors': content}),
    parse=_use_table,
    errors=(DatasetError,),
    named=('features.safetensors',),
)

PARSERS = (PICKLE, OLD_PICKLE, TORCHSCRIPT, SAFETENSORS, TOWER, FEATURES)
