"""Pages whose visible text is whole while their state holds other things: `Content` and those of other pages in; out come the page and its gold lines."""

from __future__ import annotations

import html
import json
from dataclasses import replace

from tests.planted.state_pages.content import Content, code, data, dump, page
from tests.planted.state_pages.frames import LD, noise

Made = tuple[str, list[str]]


def shown(c: Content) -> str:
    return f'<article class="story">{c.html}</article>'


def with_state(c: Content, others: list[Content]) -> Made:
    """The text once more, and three related articles in full."""
    related = [{"title": o.title, "content": o.html} for o in others]
    state = {"props": {"pageProps": {**noise(c), "post": {"title": c.title, "content": c.html}, "related": related}}}
    return page(c, shown(c), data("application/json", dump(state), ' id="__NEXT_DATA__"'), shell=False), c.gold


def with_excerpt(c: Content, others: list[Content]) -> Made:
    """JSON-LD with a summary, the publisher's long description, and a carousel of other articles."""
    listed = [
        {"@type": "ListItem", "position": n, "item": {"@type": "Article", "headline": o.title, "articleBody": o.plain}}
        for n, o in enumerate(others)
    ]
    first = {
        "@context": "https://schema.org",
        "@type": "Article",
        "headline": c.title,
        "description": others[0].lines[0],
        "publisher": {"@type": "Organization", "description": others[1].plain},
    }
    return page(
        c,
        shown(c),
        data(LD, dump(first)) + data(LD, dump({"@context": "https://schema.org", "@type": "ItemList", "itemListElement": listed})),
        shell=False,
    ), c.gold


def with_thread(c: Content, others: list[Content]) -> Made:
    """A thread that is shown, beside a state of suggested topics with their text."""
    posts = "".join(
        f'<div class="post"><b>{u}</b> <time>{d}</time><div class="cooked">{t}</div><button>Reply</button></div>'
        for u, d, t in c.posts
    )
    state = {"suggested": json.dumps([{"title": o.title, "cooked": o.html} for o in others], ensure_ascii=False)}
    return page(
        c,
        f'<section class="topic">{posts}</section><div id="data-preloaded" data-preloaded="{html.escape(json.dumps(state, ensure_ascii=False))}"></div>',
        shell=False,
    ), c.gold


def with_furniture(c: Content, others: list[Content]) -> Made:
    """A dialog in a template, a tracker and a notice in noscript, an old version in a comment, an advert in an attribute."""
    more = (
        f'<template id="dialog"><h2>{others[0].title}</h2><p>{others[0].lines[0]}</p></template><noscript><img src="https://track.example/p?1"><p>{others[1].lines[0]}</p></noscript>'
        f'<!-- old version: {others[2].html} --><div class="ad-slot" data-creative="{html.escape(others[0].html)}"></div>'
    )
    return page(c, shown(c) + more, shell=True), c.gold


def with_short_text(c: Content, others: list[Content]) -> Made:
    """A short page, complete as it is, with a dictionary of labels and terms of use in the state."""
    short = Content(replace(c.text, parts=c.text.parts[:2]), c.lang)
    state = {"i18n": {"terms": others[0].plain, "cookies": others[1].plain}, "page": {"id": 3}}
    return page(short, shown(short), code(f"window.__INITIAL_STATE__={dump(state)};"), shell=False), short.gold


def with_list(c: Content, others: list[Content]) -> Made:
    """A list of entries with abstracts, and their full texts in the state."""
    entries = "".join(f'<li><h3><a href="/{n}">{o.title}</a></h3><p>{o.lines[0]}</p></li>' for n, o in enumerate(others))
    state = {"entries": [{"title": o.title, "body": o.html} for o in others]}
    made = page(c, f'<ul class="entries">{entries}</ul>', code(f"window.__NUXT__={dump(state)};"), shell=False)
    return made, [c.title, *(line for o in others for line in (o.title, o.lines[0]))]


ARTICLES = (with_state, with_excerpt, with_furniture, with_short_text)
