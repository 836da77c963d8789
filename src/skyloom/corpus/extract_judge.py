"""Which blocks of a page are its text: the second half of structural extraction (report 3.1).

What enters is a `Layout`, what leaves is a score per block (positive: part of the text). The report keeps "contiguous
medium-to-long passages" and drops navigation bars, contact information and disjoint titles. We say this as a linear score
over what a reader would look at: how long a block is and how much of it is links, what its tag and the names of the
elements around it say (in English and in the pinyin that Chinese sites use), and how much prose and how many links the
elements around it hold. Lengths are in units (a Han character or a word), so that one set of weights serves both languages.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from skyloom.core.units import count_units
from skyloom.corpus.extract_blocks import HEADINGS, Context, Layout

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

PROSE_UNITS = 15
_STOPS = '。！？；.!?;：:…」”"'
_PAUSES = str.maketrans(dict.fromkeys(",，、。.;；!！?？", "\x01"))

_WEIGHT = {
    "bias": -3.85, "log_units": 0.31, "link_density": 0.36, "linked_long": -0.64, "ends_like_sentence": 0.67, "pauses": 0.16,
    "p": 1.04, "heading": 1.14, "li": 0.74, "cell": 1.02, "div": 0.22, "negative": -0.29, "positive": 0.25, "comment": 0.17,
    "boiler_tag": -1.32, "article_tag": 0.96, "parent_links": -0.08, "parent_prose": 0.69, "parent_share": 0.78,
    "grand_prose": -0.59, "grand_share": 1.15, "third_links": -0.35, "third_share": -0.65, "best_score": 0.99,
    "in_main": 1.53, "distance_to_prose": 0.38, "around_prose": 0.16, "around_links": -1.36, "position": -1.04, "contact": -3.19,
}  # fmt: skip
"""Logistic regression on the marked pages of four permissively licensed collections, rounded; a block's label is whether most
of its 4-grams of units stand in the text that people marked, its weight the root of its length."""

FEATURES = tuple(_WEIGHT)


_WEIGHTS = np.array([_WEIGHT[name] for name in FEATURES])
COMMENTS_AFTER = 150  # units of text
GAP_MARGIN = -1.5
HEADING_MARGIN = -1.0  # a heading with text below it needs less


def features(page: Layout) -> tuple[Floats, Ints]:
    """One line of `FEATURES` for each block, float64[blocks, len(FEATURES)], and the units of each block, int64[blocks]."""
    size = count_units(pa.array(page.texts, pa.string()))
    units = np.maximum(size, 1).astype(np.float64)
    characters = np.array([len(t) for t in page.texts], np.float64)
    density = np.minimum(np.array(page.linked, np.float64) / np.maximum(characters, 1), 1.0)
    tags = np.array([_KIND.get(t, 0) for t in page.tags], np.int64)
    prose = ((units >= PROSE_UNITS) & (density < 0.35) & (tags != _KIND["pre"])) * units

    columns = _own_features(page, units, density, tags) | _tree_features(page, units, density, prose, tags)
    before, after, near_links = _neighbours(prose, units * density, units)
    columns |= {
        "distance_to_prose": np.log1p(_distance(prose)),
        "around_prose": np.minimum(before, after),
        "around_links": near_links,
        "position": np.cumsum(units) / units.sum(),
    }
    return np.stack([np.asarray(columns[name], np.float64) for name in FEATURES], axis=1), size


def _own_features(page: Layout, units: Floats, density: Floats, tags: Ints) -> dict[str, npt.NDArray[Any]]:
    """What a block itself says, and the names of the elements that it stands in."""
    context = np.array([page.context[o] for o in page.owner], np.int64)
    named = dict(zip(Context._fields, context.T, strict=True))
    pauses = np.array([t.translate(_PAUSES).count("\x01") for t in page.texts], np.float64)
    return {
        "bias": np.ones(len(units)),
        "log_units": np.log(units),
        "link_density": density,
        "linked_long": density * np.log(units),
        "ends_like_sentence": np.array([t[-1] in _STOPS for t in page.texts]),
        "pauses": np.log1p(pauses),
        "p": tags == _KIND["p"],
        "heading": tags == _KIND["h"],
        "li": tags == _KIND["li"],
        "cell": tags == _KIND["td"],
        "div": tags == 0,
        "negative": np.minimum(named["negative"], 3),
        "positive": np.minimum(named["positive"], 3),
        "comment": named["comment"] > 0,
        "boiler_tag": named["boiler"] > 0,
        "article_tag": named["article"] > 0,
        "contact": np.array([_is_contact(t) for t in page.texts]),
    }


def _tree_features(page: Layout, units: Floats, density: Floats, prose: Floats, tags: Ints) -> dict[str, npt.NDArray[Any]]:
    """How much prose and how many links the elements around a block hold."""
    first, last = np.array(page.first, np.int64), np.array(page.last, np.int64)
    total = _sums(units, first, last)
    links = _sums(units * density, first, last) / np.maximum(total, 1)
    total_prose = _sums(prose, first, last)
    density_of_prose, share = total_prose / np.maximum(total, 1), total_prose / max(prose.sum(), 1)

    owner, up = np.array(page.owner, np.int64), np.maximum(np.array(page.parent, np.int64), 0)
    parent = np.where(tags > 0, up[owner], owner)  # a <p> is its block and says nothing about what is around it
    grand, third = up[parent], up[up[parent]]

    weight = np.zeros(len(up))
    for place, part in ((parent, 1.0), (grand, 0.5), (third, 0.25)):
        np.add.at(weight, place, prose * part)
    best = (weight * (1 - links)).tolist()
    highest = max(best)
    for element, above in enumerate(page.parent):
        if above >= 0 and best[above] > best[element]:
            best[element] = best[above]

    holders = np.flatnonzero(share >= 0.6)
    main = holders[np.argmin(total[holders])] if len(holders) else 0
    here = np.arange(len(units))
    return {
        "parent_links": links[parent],
        "parent_prose": density_of_prose[parent],
        "parent_share": share[parent],
        "grand_prose": density_of_prose[grand],
        "grand_share": share[grand],
        "third_links": links[third],
        "third_share": share[third],
        "best_score": np.array(best)[parent] / max(highest, 1),
        "in_main": (here >= first[main]) & (here < last[main]),
    }


def select(page: Layout) -> npt.NDArray[np.bool_]:
    """Which blocks are the page's text, bool[blocks]."""
    if not page.texts:
        return np.zeros(0, np.bool_)
    lines, units = features(page)
    score = lines @ _WEIGHTS
    keep: npt.NDArray[np.bool_] = score > 0
    _fill_gaps(page, keep, score)
    _keep_code(page, keep)
    _drop_comments(page, keep, units)
    _settle_headings(page, keep, score)
    return keep


def _fill_gaps(page: Layout, keep: npt.NDArray[np.bool_], score: Floats) -> None:
    """Passages are contiguous: a doubtful block between two that stay (a step of a list, a label) stays too."""
    for place in range(1, len(keep) - 1):
        if not keep[place] and keep[place - 1] and keep[place + 1] and score[place] > GAP_MARGIN:
            keep[place] = 2 * page.linked[place] < len(page.texts[place])


def _keep_code(page: Layout, keep: npt.NDArray[np.bool_]) -> None:
    """Listings have no sentences to be judged by: they follow the blocks around them."""
    for place, tag in enumerate(page.tags):
        if tag == "pre":
            keep[place] |= keep[max(place - 1, 0)] or keep[min(place + 1, len(keep) - 1)]


def _drop_comments(page: Layout, keep: npt.NDArray[np.bool_], units: Ints) -> None:
    """Readers' comments below an article are not its text; where there is no article, they are the page."""
    comment = np.array([page.context[o].comment > 0 for o in page.owner])
    text = np.cumsum(keep * units * ~comment)
    if text[-1] >= COMMENTS_AFTER:
        keep &= ~(comment & (text >= COMMENTS_AFTER))


def _settle_headings(page: Layout, keep: npt.NDArray[np.bool_], score: Floats) -> None:
    """A heading stays if text that stays follows it before the next heading of its rank or above."""
    followed = 0  # rank of the deepest heading that the text below us still belongs to; 0: no text below us
    for place in range(len(keep) - 1, -1, -1):
        tag = page.tags[place]
        if tag not in HEADINGS:
            if keep[place]:
                followed = 7
        elif int(tag[1]) < followed:
            keep[place] |= score[place] > HEADING_MARGIN
            followed = int(tag[1]) if keep[place] else followed
        else:
            keep[place] = False


_KIND = {"p": 1, "li": 3, "dt": 3, "dd": 3, "td": 4, "th": 4, "pre": 5, "h": 2} | dict.fromkeys(HEADINGS, 2)


def _sums(values: Floats, first: Ints, last: Ints) -> Floats:
    bounds = np.concatenate([[0.0], np.cumsum(values)])
    return np.asarray(bounds[last] - bounds[first])


def _neighbours(prose: Floats, linked: Floats, units: Floats) -> tuple[Floats, Floats, Floats]:
    """Log of the prose in the two blocks before and the two after each block, and the share of links in those four."""
    pad = np.zeros(2)
    p, k, u = (np.concatenate([pad, x, pad]) for x in (prose, linked, units))
    before, after = p[:-4] + p[1:-3], p[3:-1] + p[4:]
    near, size = k[:-4] + k[1:-3] + k[3:-1] + k[4:], u[:-4] + u[1:-3] + u[3:-1] + u[4:]
    return np.log1p(before), np.log1p(after), near / np.maximum(size, 1)


def _distance(prose: Floats) -> Floats:
    """Blocks between each block and the nearest block of prose, at most 30."""
    places = np.flatnonzero(prose > 0)
    if not len(places):
        return np.full(len(prose), 30.0)
    here = np.arange(len(prose))
    right = np.searchsorted(places, here)
    gap_right = np.abs(places[np.minimum(right, len(places) - 1)] - here)
    gap_left = np.abs(places[np.maximum(right - 1, 0)] - here)
    return np.asarray(np.minimum(np.minimum(gap_left, gap_right), 30), np.float64)


_CONTACT = re.compile(
    "copyright|©|all rights reserved|contact us|privacy policy|terms of|click here|sign up|log in|follow us|subscribe|read more"
    "|related articles|share this|powered by|cookie|版权所有|版權所有|icp[备証证]|公网安备|责任编辑|责编|联系我们|聯絡我們|电话："
    "|地址：|邮编|转载请注明|未经授权|免责声明|扫一扫|二维码|关注微信|点击查看更多|相关阅读|相关新闻|相关推荐|推荐阅读|上一篇"
    "|下一篇|返回顶部"
)


def _is_contact(text: str) -> bool:
    """Short text that speaks of the site and not of its subject."""
    if len(text) > 300:
        return False
    return _CONTACT.search(text.lower()) is not None
