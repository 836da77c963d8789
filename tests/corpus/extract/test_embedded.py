"""Text that a thin page holds for its scripts is found, wherever the frameworks of the web put it."""

from __future__ import annotations

import html
import json

import pytest
from tests.corpus.extract.kinds import TEXTS

from skyloom.corpus.extract.stage import extract_html


def _shapes(texts: list[str]) -> dict[str, str]:
    """Pages in the shapes of frameworks, each with the texts somewhere."""
    marked = "".join(f"<p>{text}</p>" for text in texts)
    app = '<div id="root"></div>'

    def script(value: object, attributes: str = 'type="application/json"', before: str = "") -> str:
        return f"{app}<script {attributes}>{before}{json.dumps(value, ensure_ascii=False)}</script>"

    article = {"@context": "https://schema.org", "@type": "NewsArticle", "headline": "x", "datePublished": "2022-11-05"}
    rich = [
        {
            "type": "paragraph",
            "children": [{"text": t[:9]}, {"type": "link", "url": "/a", "children": [{"text": t[9:20]}]}, {"text": t[20:]}],
        }
        for t in texts
    ]
    posts = {
        "topic_1": json.dumps(
            {"post_stream": {"posts": [{"id": n, "username": "ann", "cooked": f"<p>{t}</p>"} for n, t in enumerate(texts)]}}
        )
    }
    return {
        "json-ld": script(article | {"articleBody": " ".join(texts)}, 'type="application/ld+json"'),
        "json-ld graph": script({"@graph": [{"@type": "WebSite", "name": "x"}, article | {"articleBody": "\n\n".join(texts)}]}, 'type="application/ld+json"'),
        "questions": script({"@type": "FAQPage", "mainEntity": [{"@type": "Question", "name": f"Why {n}?", "acceptedAnswer": {"text": t}} for n, t in enumerate(texts)]}, 'type="application/ld+json"'),
        "recipe": script({"@type": "HowTo", "step": [{"@type": "HowToStep", "text": t} for t in texts]}, 'type="application/ld+json"'),
        "next, html": script({"props": {"pageProps": {"post": {"title": "x y", "slug": "/x", "content": marked}}}}, 'id="__NEXT_DATA__" type="application/json"'),
        "next, rich": script({"props": {"pageProps": {"post": {"blocks": rich}}}}, 'id="__NEXT_DATA__" type="application/json"'),
        "next, list": script({"props": {"pageProps": {"paragraphs": texts}}}, 'id="__NEXT_DATA__" type="application/json"'),
        "state": script({"article": {"body": marked, "tags": ["a", "b"]}}, "", "window.__INITIAL_STATE__ = "),
        "state, escaped": script(json.dumps({"detail": {"content": "\n".join(texts)}}), "", "window.__DATA__ = JSON.parse(") .replace("</script>", ")</script>"),
        "discourse": f'{app}<div class="hidden" id="data-preloaded" data-preloaded="{html.escape(json.dumps(posts))}"></div>',
        "inertia": f'<div id="app" data-page="{html.escape(json.dumps({"component": "Post", "props": {"post": {"body": marked}}}))}"></div>',
        "attribute": f'<div id="app" data-content="{html.escape(marked)}"></div>',
        "noscript": f"{app}<noscript><article><h1>x</h1>{marked}</article></noscript>",
        "template": f"{app}<template id=t><article><h1>x</h1>{marked}</article></template>",
        "comment": f'{app}<code class="pagelet_html" id="p1" style="display:none;"><!-- <div class="p_postlist">{marked.replace("p>", "div>")}</div> --></code>',
        "comment, bare": f"{app}<!-- <article>{marked}</article> -->",
    }  # fmt: skip


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize("shape", list(_shapes(["x" * 30])))
def test_text_for_scripts_is_found(lang: str, shape: str) -> None:
    inner = _shapes(TEXTS[lang])[shape]
    found = extract_html(f"<html><head><meta charset='utf-8'><title>Slow water</title></head><body>{inner}</body></html>")
    assert all(text in found.text for text in TEXTS[lang])
    assert all(found.text.count(text) == 1 for text in TEXTS[lang])
    assert found.title == "Slow water" and "schema.org" not in found.text
    if shape == "json-ld":
        assert found.date == "2022-11-05"


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_what_a_page_shows_is_not_replaced(lang: str) -> None:
    texts = TEXTS[lang]
    shown = f"<article>{''.join(f'<p>{t}</p>' for t in texts)}</article>"
    state = json.dumps({"related": [{"content": f"<p>{t} 7</p>"} for t in texts * 3]})
    found = extract_html(
        f"<html><body>{shown}<script type='application/json'>{state}</script><noscript><p>Please enable it.</p></noscript></body></html>"
    )
    assert list(found.blocks) == texts


@pytest.mark.parametrize("page", [
    "<script type='application/json'>{\"a\": [1, 2</script>", "<noscript></noscript>", "<!-- <p> -->", "<div data-x='{&quot;a'></div>" * 3,
    "<script>window.__STATE__ = {" + "[" * 5000 + "</script>", "<script type='application/ld+json'>" + '{"a":' * 3000 + "</script>", "<template>",
])  # fmt: skip
def test_broken_state_is_no_error(page: str) -> None:
    assert extract_html(f"<html><body><p>x</p>{page}{' ' * 600}</body></html>").reason in (None, "no passages")


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize("key", ["i18n", "translations", "cookieConsent"])
def test_texts_of_the_interface_are_not_the_page(lang: str, key: str) -> None:
    """A thin page whose state holds long texts under a key that says they are the site's."""
    shown, texts = ("The clinic opens at eight.", TEXTS["en"]) if lang == "en" else ("门诊早上八点开始。", TEXTS["zh"])
    state = json.dumps({key: {"terms": "\n".join(texts)}, "page": {"id": 3}}, ensure_ascii=False)
    script = f"<script>window.__STATE__={state}</script>"
    found = extract_html(f"<html><head><meta charset=utf-8></head><body><article><p>{shown}</p></article>{script}</body></html>")
    assert texts[0] not in found.text
