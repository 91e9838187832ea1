import pytest

from dscreid.errors import ConfigError
from dscreid.visualization import check_picture_name, save_figure


def drawing():
    from matplotlib.figure import Figure

    figure = Figure(figsize=(1, 1))
    figure.add_axes((0, 0, 1, 1)).scatter([1, 2], [1, 2])
    return figure


@pytest.mark.parametrize(('name', 'beginning'), [('a.png', b'\x89PNG'), ('b.svg', b'<?xml'), ('C.SVG', b'<?xml')])
def test_the_suffix_gives_the_format_and_equal_figures_give_equal_bytes(name, beginning, tmp_path):
    first, second = tmp_path / name, tmp_path / 'new' / name
    save_figure(drawing(), first)
    save_figure(drawing(), second)
    assert first.read_bytes().startswith(beginning)
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize('name', ['map.jpg', 'map', 'png'])
def test_other_formats_are_refused(name, tmp_path):
    with pytest.raises(ConfigError, match=r'use a name that ends in \.png or \.svg'):
        check_picture_name(name)
    with pytest.raises(ConfigError):
        save_figure(drawing(), tmp_path / name)
    assert list(tmp_path.iterdir()) == []
