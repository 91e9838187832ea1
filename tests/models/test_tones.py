"""Infrared tones of colors: shares and cells against loops, a known rule found again, tables and translation."""

import numpy as np
import pytest
import torch

from dscreid.errors import ConfigError
from dscreid.models.tones import (
    Palette,
    ToneSettings,
    choose_palette,
    color_cells,
    explained_share,
    fit_tones,
    luminance_table,
    paired_cells,
    tone_cells,
    tone_table,
    translated,
)

CORNERS = torch.tensor([[r, g, b] for r in (0.0, 1.0) for g in (0.0, 1.0) for b in (0.0, 1.0)])


def random_frames(seed, num=3, length=2, height=8, width=4):
    return torch.rand(num, length, 3, height, width, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    'wrong', [dict(colors=1), dict(grid=(0, 4)), dict(grid=(4,)), dict(shrinkage=0.0), dict(shrinkage=np.inf)]
)
def test_unusable_settings_are_refused(wrong):
    with pytest.raises(ConfigError, match=f'tones: .*{next(iter(wrong))}'):
        ToneSettings(**wrong)


def test_shares_follow_their_definition():
    palette = Palette(CORNERS, 0.7)
    pixels = torch.rand(5, 3, generator=torch.Generator().manual_seed(0))
    weights = torch.tensor([[float(np.exp(-float(((p - c) ** 2).sum()) / 0.49)) for c in CORNERS] for p in pixels])
    torch.testing.assert_close(palette.shares(pixels), weights / weights.sum(dim=1, keepdim=True))


def test_a_palette_has_the_colors_that_there_are():
    rng = np.random.default_rng(0)
    pixels = CORNERS.numpy()[rng.integers(8, size=500)]
    palette = choose_palette(pixels, 8)
    assert sorted(palette.colors.round().tolist()) == CORNERS.tolist()
    assert palette.width == pytest.approx(1.0, abs=1e-4)
    assert len(choose_palette(pixels, 48).colors) == 8
    alone = choose_palette(pixels[:1], 48)
    assert (alone.colors.tolist(), alone.width) == ([pixels[0].tolist()], 1.0)
    assert torch.equal(choose_palette(pixels, 8).colors, palette.colors)


def test_cells_are_means_over_frames_and_pixels():
    frames, palette = random_frames(1), Palette(CORNERS, 0.5)
    colors, tones = color_cells(frames, palette, (4, 2)), tone_cells(frames, (4, 2))
    assert (colors.shape, tones.shape) == ((3, 8, 8), (3, 8))
    for tracklet in range(3):
        for row in range(4):
            for column in range(2):
                part = frames[tracklet, :, :, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
                cell = 2 * row + column
                shares = palette.shares(part.movedim(1, -1)).mean(dim=(0, 1, 2))
                torch.testing.assert_close(colors[tracklet, cell], shares)
                torch.testing.assert_close(tones[tracklet, cell], part.mean())


def test_large_frames_are_reduced_first_and_none_give_none():
    palette = Palette(CORNERS, 0.5)
    small = random_frames(2, height=8, width=16)
    large = small.repeat_interleave(3, dim=-1).repeat_interleave(3, dim=-2)
    torch.testing.assert_close(color_cells(large, palette, (2, 2)), color_cells(small, palette, (2, 2)))
    assert color_cells(small[:0], palette, (2, 2)).shape == (0, 4, 8)


def pairs_that_follow(tones, num=40, cells=6, seed=0):
    """Random shares of colors in the cells of clusters, and the tones that a rule gives to these cells."""
    generator = torch.Generator().manual_seed(seed)
    colors = torch.rand(num, cells, len(tones), generator=generator).double() ** 4
    colors /= colors.sum(dim=2, keepdim=True)
    return colors, colors @ tones


def test_a_rule_is_found_again_although_two_of_five_pairs_are_wrong():
    rule = torch.tensor([0.1, 0.9, 0.4, 0.7, 0.2], dtype=torch.float64)
    colors, tones = pairs_that_follow(rule)
    wrong = torch.arange(16)
    tones[wrong] = tones[wrong.roll(1)]
    found = fit_tones(colors, tones, shrinkage=1e-6)
    torch.testing.assert_close(found.tones, rule, atol=1e-4, rtol=0)
    assert found.trust[16:].min() > 1000 * found.trust[:16].max()


def test_of_one_pair_it_is_a_ridge_regression_around_the_mean():
    colors, tones = pairs_that_follow(torch.tensor([0.2, 0.8, 0.5], dtype=torch.float64), num=1)
    rows, targets = colors[0], tones[0]
    mean = targets.mean()
    expected = torch.linalg.solve(rows.T @ rows + 2.0 * torch.eye(3).double(), rows.T @ (targets - mean)) + mean
    torch.testing.assert_close(fit_tones(colors, tones, shrinkage=2.0).tones, expected)


def test_one_pair_with_one_tone_gives_this_tone():
    found = fit_tones(torch.eye(3)[None], torch.full((1, 3), 0.3))
    torch.testing.assert_close(found.tones, torch.full((3,), 0.3, dtype=torch.float64))
    assert found.trust.isfinite().all()


@pytest.mark.parametrize('seed', range(5))
def test_the_explained_share_is_that_of_a_loop(seed):
    rng = np.random.default_rng(seed)
    pairs = np.array([1, 4, 5, 9])
    labels = np.concatenate([pairs, rng.choice([-1, 1, 2, 4, 5, 9], 30)])
    tones, predicted = torch.from_numpy(rng.random((34, 3))), torch.from_numpy(rng.random((4, 3)))
    trust = torch.from_numpy(rng.random(4) + 0.1)
    left = total = 0.0
    for cell in range(3):
        weights, values, errors = [], [], []
        for pair, label in enumerate(pairs):
            members = np.flatnonzero(labels == label)
            for member in members:
                weights.append(float(trust[pair]) / len(members))
                values.append(float(tones[member, cell]))
                errors.append(float(tones[member, cell] - predicted[pair, cell]))
        total += np.cov(values, aweights=weights, ddof=0)
        left += np.cov(errors, aweights=weights, ddof=0)
    share = explained_share(tones, labels, predicted, pairs, trust)
    assert share == pytest.approx(1 - left / total)


def test_a_rule_that_all_follow_explains_everything_and_equal_tones_nothing():
    labels = np.array([0, 0, 3, 3])
    predicted = torch.tensor([[0.2, 0.4], [0.6, 0.1]], dtype=torch.float64)
    tones = predicted.repeat_interleave(2, dim=0)
    trust = torch.ones(2, dtype=torch.float64)
    assert explained_share(tones, labels, predicted, np.array([0, 3]), trust) == pytest.approx(1)
    assert explained_share(tones.fill_(0.5), labels, predicted, np.array([0, 3]), trust) == 0


def test_the_share_does_not_depend_on_how_many_tracklets_are_averaged():
    generator = torch.Generator().manual_seed(0)
    shares = []
    for each in (3, 30):
        rule = torch.rand(400, 2, generator=generator).double()
        tones = rule.repeat_interleave(each, dim=0)
        tones = tones + torch.randn(tones.shape, generator=generator).double() * 12**-0.5  # as much as people differ
        labels = np.arange(400).repeat(each)
        shares.append(explained_share(tones, labels, rule, np.arange(400), torch.ones(400).double()))
    assert shares == pytest.approx([0.5, 0.5], abs=0.03)


@pytest.mark.parametrize('shapes', [((0, 2, 3), (0, 2)), ((4, 2, 3), (4, 3)), ((4, 2), (4, 2))])
def test_shapes_that_do_not_fit_are_refused(shapes):
    with pytest.raises(ValueError, match='colors and tones of at least one pair'):
        fit_tones(*(torch.zeros(shape) for shape in shapes))


def test_only_clusters_of_both_modalities_are_paired():
    rng = np.random.default_rng(3)
    visible, infrared = torch.from_numpy(rng.random((30, 2, 4))), torch.from_numpy(rng.random((25, 2)))
    rgb, ir = rng.integers(-1, 8, 30), rng.integers(-1, 6, 25)
    colors, tones, labels = paired_cells(visible, infrared, rgb, ir)
    assert labels.tolist() == sorted((set(rgb.tolist()) & set(ir.tolist())) - {-1})
    for row, label in enumerate(labels):
        torch.testing.assert_close(colors[row], visible[torch.from_numpy(rgb == label)].mean(0))
        torch.testing.assert_close(tones[row], infrared[torch.from_numpy(ir == label)].mean(0))


def test_without_a_common_cluster_there_is_no_pair():
    colors, tones, labels = paired_cells(torch.ones(2, 1, 3), torch.ones(2, 1), np.array([0, -1]), np.array([1, -1]))
    assert (colors.shape, tones.shape, labels.tolist()) == ((0, 1, 3), (0, 1), [])


def test_translation_shows_the_tones_of_the_table():
    palette = Palette(CORNERS, 0.6)
    tones = torch.rand(8, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    frames = random_frames(5)
    found = translated(frames, tone_table(palette, tones))
    exact = palette.shares(frames.movedim(2, -1).double()) @ tones
    assert found.shape == frames.shape
    assert (found == found[:, :, :1]).all()
    torch.testing.assert_close(found[:, :, 0].double(), exact, atol=2e-3, rtol=0)


def test_nodes_of_the_table_are_exact_and_tones_stay_in_range():
    palette, tones = Palette(CORNERS, 0.3), torch.linspace(-0.5, 1.5, 8)
    shown = translated(CORNERS.view(1, 1, 8, 3, 1).movedim(3, 2), tone_table(palette, tones))[0, 0, 0, :, 0]
    torch.testing.assert_close(shown, (palette.shares(CORNERS.double()) @ tones.double()).clamp(0, 1).float())


def test_before_anything_is_known_colors_have_their_luminance():
    frames = random_frames(6)
    red, green, blue = frames.unbind(2)
    expected = 0.2989 * red + 0.587 * green + 0.114 * blue
    torch.testing.assert_close(translated(frames, luminance_table())[:, :, 0], expected, atol=1e-5, rtol=0)
