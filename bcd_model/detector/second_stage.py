"""The second stage: the detector's marks are scored again by features of an ImageNet network.

It reduces the false positives. The scanning network sees one window of 48x48 pixels. The second stage takes
its most suspicious marks and the strongest clusters of bright spots (``detector.spots``), and describes each
by frozen ImageNet features (``detector.backbone``) in three ways: near, the square 2.67 times as wide as the
lesion the mark's level is meant for; wide, 4 times as wide; across, wide less the same place of the other
breast. One linear head each makes a score of the network's own score, the strength of a cluster there and
the features, and their mean is the mark's new score; clusters have heads of their own. A film without the
other breast does without the last head.

At last the two breasts are weighed against each other: where the other one has something as suspicious, as
in breasts of much bright tissue, a film's marks count for less.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from bcd_model.detector.backbone import Backbone
from bcd_model.detector.calibration import fit_logistic
from bcd_model.detector.marks import Mark, merge
from bcd_model.detector.pyramid import MARGIN, STRIDE, Level, Pyramid
from bcd_model.errors import TruthError
from bcd_model.words import Pixels, Point

MARKS = 25
"""Marks of the network on a film that are scored again, the most suspicious ones."""

CLUSTERS_DESCRIBED = 8
"""Clusters of bright spots that are scored, the strongest ones; weaker ones only raise marks there."""

VIEWS = ("near", "wide", "across")

RECIPE = 2
"""One more with each change of the features, or of how many marks are scored."""

_NEAR = (64, 96)  # pixels of the level, pixels of the picture
_WIDE = (96, 128)
_RANGE = 3.0
_COMPONENTS = 60
_PENALTY = 30.0
_LEAST_DEVIATION = 1e-3
_KINDS = 2
_OTHER = 0.3  # of the other breast's highest score, taken off each mark's
_AT_ONCE = 8  # pictures: more do not fit the processor's cache, and take longer each

Features = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Heads:
    """What is fitted to marks with known truth; marks of the network and of clusters have heads of their own.

    Attributes:
        weight: (2, 3, 2 + features): of the network's marks and of clusters, for each of ``VIEWS``, of the
            network's score, the logarithm of the strength of the cluster there, and the features. nan for
            heads that could not be fitted: they have no say.
        bias: (2, 3).
        usual: highest new score of a film, on average.
    """

    weight: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32]
    usual: float

    def scores(self, marks: Sequence[Mark], features: Features) -> npt.NDArray[np.float64]:
        """Return (n,) the mean score of the heads whose features are known; nan if none is.

        Args:
            features: (n, 3, features) from :func:`describe`.
        """
        own = np.broadcast_to(_own(marks)[:, None], (*features.shape[:2], 2))
        inputs = np.concatenate([own, features], axis=2)
        kind = _kind(marks)
        each = np.einsum("nvf,nvf->nv", inputs, self.weight[kind].astype(np.float64)) + self.bias[kind]
        has = np.isfinite(each)
        total = np.where(has, each, 0).sum(axis=1)
        return np.where(has.any(axis=1), total / np.maximum(has.sum(axis=1), 1), np.nan)

    def rescore(self, marks: Sequence[Mark], features: Features) -> list[Mark]:
        """Return the marks with their new scores, one a place, the most suspicious first."""
        if not marks:
            return []
        scores = self.scores(marks, features)
        rescored = [
            replace(mark, score=float(score))
            for mark, score in zip(marks, scores, strict=True)
            if np.isfinite(score)
        ]
        return merge(rescored, len(rescored))

    def weigh(self, marks: Sequence[Mark], other: Sequence[Mark] | None) -> list[Mark]:
        """Return rescored marks with their final scores: less a part of what the other breast has.

        Args:
            other: the rescored marks of the other breast; None, if there is no film of it, or none
                on it, changes nothing.
        """
        if not other:
            return list(marks)
        less = _OTHER * (max(mark.score for mark in other) - self.usual)
        return [replace(mark, score=mark.score - less) for mark in marks]


def candidates(marks: Sequence[Mark]) -> list[Mark]:
    """Return a film's marks that are scored again: the network's best, one a place, and the clusters'."""
    clusters = sorted((mark for mark in marks if mark.by_spots), key=lambda m: (-m.spots, m.center))
    return [*merge([mark for mark in marks if not mark.by_spots], MARKS), *clusters[:CLUSTERS_DESCRIBED]]


def _own(marks: Sequence[Mark]) -> npt.NDArray[np.float64]:
    """(n, 2) what is known of marks before: the network's score, the logarithm of a cluster's strength."""
    return np.array([(mark.score, np.log(mark.spots) if mark.spots > 0 else 0.0) for mark in marks]).reshape(
        -1, 2
    )


def _kind(marks: Sequence[Mark]) -> npt.NDArray[np.intp]:
    """(n,) which heads marks have: 0 of the network, 1 of clusters."""
    return np.array([mark.by_spots for mark in marks], dtype=np.intp)


class SecondStage(nn.Module):
    """The backbone and the heads that make new scores of marks."""

    def __init__(self, backbone: Backbone, heads: Heads | None = None) -> None:
        super().__init__()
        self.backbone = backbone
        if heads is None:
            shape = (_KINDS, len(VIEWS))
            heads = Heads(
                np.zeros((*shape, 2 + Backbone.features), np.float32), np.zeros(shape, np.float32), 0
            )
        self.weight = nn.Parameter(torch.from_numpy(heads.weight), requires_grad=False)
        self.bias = nn.Parameter(torch.from_numpy(heads.bias), requires_grad=False)
        self.usual = nn.Parameter(torch.tensor(heads.usual, dtype=torch.float32), requires_grad=False)

    @property
    def heads(self) -> Heads:
        """What it was given, or has loaded."""
        return Heads(self.weight.numpy(), self.bias.numpy(), float(self.usual))

    def rescore(self, marks: Sequence[Mark], film: Pyramid, other: Pyramid | None) -> list[Mark]:
        """Return the marks with their new scores, the most suspicious first; not yet weighed."""
        return self.heads.rescore(marks, describe(self.backbone, marks, film, other)) if marks else []


def describe(backbone: Backbone, marks: Sequence[Mark], film: Pyramid, other: Pyramid | None) -> Features:
    """Return (n, 3, features) of ``VIEWS``; the last is NaN if there is no other breast.

    Args:
        other: the other breast in the same view, with the same levels.
    """
    levels = [_level_of(film, mark) for mark in marks]
    near = _describe_squares(backbone, film, levels, [mark.place_mm for mark in marks], _NEAR)
    wide = _describe_squares(backbone, film, levels, [mark.place_mm for mark in marks], _WIDE)
    across = np.full_like(wide, np.nan)
    if other is not None and other.windows:
        mirror = _Mirror(film, other)
        places = [mirror.place(mark.place_mm) for mark in marks]
        across = wide - _describe_squares(backbone, other, levels, places, _WIDE, flipped=mirror.flipped)
    return np.stack([near, wide, across], axis=1)


def fit_heads(
    marks: Sequence[Mark],
    features: Features,
    on_lesion: npt.NDArray[np.bool_],
    film: npt.NDArray[np.int64],
) -> Heads:
    """Return the heads fitted to marks with known truth.

    Each is a ridge logistic regression on what is known of the marks before (the network's score, and a
    cluster's strength) and the 60 largest principal components of its view's features, all brought to unit
    variance. The marks must be of films that the network was not trained on.

    Args:
        marks: n, with the network's scores.
        features: (n, 3, features) from :func:`describe`.
        on_lesion: (n,).
        film: (n,) a number for each film, the same for all its marks.

    Raises:
        TruthError: only one kind of the network's marks, true or false, or none.
    """
    weight = np.full((_KINDS, len(VIEWS), 2 + features.shape[2]), np.nan, dtype=np.float32)
    bias = np.full((_KINDS, len(VIEWS)), np.nan, dtype=np.float32)
    own, kind = _own(marks), _kind(marks)
    if len(set(on_lesion[kind == 0])) < 2:
        raise TruthError("the second stage needs true and false marks, one kind is missing", "use more films")
    for which in range(_KINDS):
        for view in range(len(VIEWS)):
            there = np.isfinite(features[:, view, 0]) & (kind == which)
            # Too few films have another breast beside them, or clusters: such a head has no say.
            if len(set(on_lesion[there])) == 2:
                weight[which, view], bias[which, view] = _fit_head(
                    own[there], features[there, view].astype(np.float64), on_lesion[there]
                )
    heads = Heads(weight, bias, 0.0)
    new = heads.scores(marks, features)
    highest = [np.nanmax(new[film == each]) for each in np.unique(film[np.isfinite(new)])]
    return replace(heads, usual=float(np.float32(np.mean(highest))))


def _fit_head(
    own: npt.NDArray[np.float64], features: npt.NDArray[np.float64], on_lesion: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.float32], float]:
    middle, scale = features.mean(axis=0), features.std(axis=0) + _LEAST_DEVIATION
    _, values, axes = np.linalg.svd((features - middle) / scale, full_matrices=False)
    kept = min(_COMPONENTS, int((values > values[0] * 1e-9).sum()))
    axes = axes[:kept].T * (np.sqrt(len(features)) / values[:kept])  # (features, kept), to unit variance
    level, spread = own.mean(axis=0), own.std(axis=0) + _LEAST_DEVIATION
    design = np.column_stack([(own - level) / spread, ((features - middle) / scale) @ axes])
    ridge = np.append(np.full(design.shape[1], _PENALTY), 1e-6)
    inputs = np.column_stack([design, np.ones(len(design))])
    beta = fit_logistic(inputs, on_lesion.astype(np.float64), ridge)
    on_features = (axes @ beta[own.shape[1] : -1]) / scale
    on_own = beta[: own.shape[1]] / spread
    head = np.concatenate([on_own, on_features]).astype(np.float32)
    return head, float(beta[-1] - on_own @ level - on_features @ middle)


def _level_of(film: Pyramid, mark: Mark) -> int:
    return min(range(len(film.levels)), key=lambda index: abs(film.levels[index].radius - mark.radius_mm))


def _describe_squares(
    backbone: Backbone,
    film: Pyramid,
    levels: Sequence[int],
    places: Sequence[Point],
    size: tuple[int, int],
    *,
    flipped: bool = False,
) -> Features:
    """Return (n, features) of the squares around places in mm."""
    side, picture = size
    crops = np.stack(
        [_square(film.levels[at], place, side) for at, place in zip(levels, places, strict=True)]
    )
    if flipped:
        crops = crops[:, :, ::-1]
    images = torch.from_numpy(np.ascontiguousarray(crops))[:, None] / _RANGE
    images = functional.interpolate(images, (picture, picture), mode="bilinear", align_corners=False)
    with torch.inference_mode():
        found = [_turned(backbone, some) for some in torch.split(images.clamp(-1, 1), _AT_ONCE)]
    return torch.cat(found).numpy()


def _turned(backbone: Backbone, images: Tensor) -> Tensor:
    """Return (n, features): the mean over four ways to turn each image."""
    turned = (images, images.flip(3), images.rot90(1, (2, 3)), images.flip(3).rot90(1, (2, 3)))
    total: Tensor = sum((backbone(each) for each in turned), torch.zeros(()))
    return total / len(turned)


def _square(level: Level, place: Point, side: int) -> Pixels:
    """Return (side, side) of the level's pixels around a place in mm; 0 beyond the film."""
    row, column = (round(x / level.step) + MARGIN - side // 2 for x in place)
    crop = np.zeros((side, side), dtype=np.float32)
    rows, columns = level.pixels.shape
    top, left, bottom, right = max(row, 0), max(column, 0), min(row + side, rows), min(column + side, columns)
    if top < bottom and left < right:
        crop[top - row : bottom - row, left - column : right - column] = level.pixels[top:bottom, left:right]
    return crop


class _Mirror:
    """From a place in one breast to the same place in the other: by the middles of the two breasts.

    Films of the two sides are mirror images of each other, unless their maker has turned one: then
    the chest wall is on the same side of both.
    """

    def __init__(self, film: Pyramid, other: Pyramid) -> None:
        (self._from, own), (self._to, across) = _middle_and_wall(film), _middle_and_wall(other)
        self.flipped = own != across

    def place(self, place: Point) -> Point:
        """Return (row, column) in mm in the other film."""
        row, column = place[0] - self._from[0], place[1] - self._from[1]
        return self._to[0] + row, self._to[1] + (-column if self.flipped else column)


def _middle_and_wall(film: Pyramid) -> tuple[Point, bool]:
    """The middle of the breast in mm, and whether the chest wall is on the left.

    The breast is widest at the wall: there is more of it on the wall's side of half its width.
    """
    finest = film.levels[0]
    places = np.argwhere(finest.inside) * (STRIDE * finest.step)
    middle = places.mean(axis=0)
    left, right = float(places[:, 1].min()), float(places[:, 1].max())
    return (float(middle[0]), float(middle[1])), bool(middle[1] < (left + right) / 2)
