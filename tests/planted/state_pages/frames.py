"""The places where frameworks keep a page's text, one function for each: `Content` in, page out."""

from __future__ import annotations

import html
import json
from typing import Any
from urllib.parse import quote

from tests.planted.state_pages.content import Content, code, data, dump, page

LD = "application/ld+json"


def noise(c: Content) -> dict[str, Any]:
    """What stands in every state beside the text: settings, keys, addresses, labels."""
    labels = {
        "en": {"login": "Sign in to continue", "share": "Share this story with your friends"},
        "zh": {"login": "登录后继续", "share": "把这篇文章分享给好友"},
    }
    return {
        "buildId": "f3a91c7e",
        "locale": c.lang,
        "flags": {"newNav": True, "ads": False},
        "cdn": "https://cdn.example/assets/",
        "labels": labels[c.lang],
    }


def json_ld(c: Content) -> str:
    """schema.org's articleBody, plain."""
    body = {
        "@context": "https://schema.org",
        "@type": "NewsArticle",
        "headline": c.title,
        "datePublished": "2021-05-04",
        "author": {"@type": "Person", "name": "A. N."},
        "articleBody": c.plain,
    }
    return page(c, "", data(LD, dump(body, safe=False)))


def json_ld_graph(c: Content) -> str:
    """The same within @graph, with a site and an organization before it, the body as HTML, all but ASCII escaped."""
    graph = [
        {"@type": "WebSite", "name": "Lantern", "description": "A site."},
        {"@type": "Organization", "name": "Lantern"},
        {"@type": "BlogPosting", "headline": c.title, "articleBody": c.html},
    ]
    return page(c, "", data(LD, dump({"@context": "https://schema.org", "@graph": graph}, ascii_only=True)), heading=False)


def json_ld_product(c: Content) -> str:
    """A product's description."""
    body = {
        "@context": "https://schema.org/",
        "@type": "Product",
        "name": c.title,
        "sku": "A-118",
        "offers": {"@type": "Offer", "price": "39.90"},
        "description": c.plain,
    }
    return page(c, '<div class="price">39.90</div>', data(LD, dump(body)))


def json_ld_thread(c: Content) -> str:
    """A question with answers, or a thread with comments."""
    first, *others = c.posts
    said = [{"@type": "Comment", "author": {"@type": "Person", "name": u}, "datePublished": d, "text": t} for u, d, t in others]
    body = {
        "@context": "https://schema.org",
        "@type": "DiscussionForumPosting",
        "headline": c.title,
        "text": first[2],
        "author": {"name": first[0]},
        "comment": said,
    }
    return page(c, "", data(LD, dump(body)))


def next_data(c: Content) -> str:
    """Next.js with pages: the post in __NEXT_DATA__."""
    post = {"id": 81, "slug": "a-b-c", "title": c.title, "content": c.html, "tags": ["life"], "cover": "/c.jpg"}
    state = {
        "props": {"pageProps": {"post": post, **noise(c)}},
        "page": "/post/[slug]",
        "query": {"slug": "a-b-c"},
        "isFallback": False,
    }
    return page(c, '<div id="__next"></div>', data("application/json", dump(state), ' id="__NEXT_DATA__"'), heading=False)


def next_blocks(c: Content) -> str:
    """Next.js with an editor's blocks: each paragraph is an object of its own."""
    blocks = [
        {"_type": "block", "style": "normal", "_key": f"k{n}", "children": [{"_type": "span", "marks": [], "text": t}]}
        for n, t in enumerate(c.lines)
    ]
    state = {"props": {"pageProps": {**noise(c), "article": {"title": c.title, "body": blocks}}}, "page": "/a"}
    return page(c, '<div id="__next"></div>', data("application/json", dump(state, ascii_only=True), ' id="__NEXT_DATA__"'))


def nuxt(c: Content) -> str:
    """Nuxt 2: a function whose arguments are the repeated values."""
    body = f'window.__NUXT__=(function(a,b,c,d){{return {{layout:"default",data:[{{article:{{title:a,content:b,author:c,hot:d}}}}],error:c,state:{{user:{{name:c}},ok:d}},serverRendered:d}}}}({dump(c.title)},{dump(c.html)},null,true));'
    return page(c, '<div id="__nuxt"></div>', code(body))


def nuxt3(c: Content) -> str:
    """Nuxt 3: a flat array in which numbers point to other places."""
    flat = [
        ["Reactive", 1],
        {"data": 2, "state": 3},
        ["ShallowReactive", 4],
        {},
        {"article-81": 5},
        {"title": 6, "content": 7, "views": 8, "tags": 9},
        c.title,
        c.html,
        1290,
        [10],
        "life",
    ]
    return page(c, '<div id="__nuxt"></div>', data("application/json", dump(flat), ' id="__NUXT_DATA__" data-ssr="true"'))


def apollo(c: Content) -> str:
    """A cache of GraphQL: entities by key, references between them."""
    state = {
        "ROOT_QUERY": {'post({"id":"81"})': {"__ref": "Post:81"}},
        "User:3": {"name": "n", "bio": ""},
        "Post:81": {"__typename": "Post", "id": "81", "title": c.title, "bodyHtml": c.html, "author": {"__ref": "User:3"}},
    }
    return page(c, "", code(f"window.__APOLLO_STATE__={dump(state)};"))


def redux(c: Content) -> str:
    """A store that is written into the page, with a function around it."""
    state = {
        "session": {"user": None},
        "ui": noise(c),
        "entities": {"articles": {"81": {"title": c.title, "text": c.plain, "paragraphs": len(c.lines)}}},
    }
    return page(
        c,
        "",
        code(
            f"window.__PRELOADED_STATE__ = {dump(state)}\n;(function(){{var e=document.currentScript;e.parentNode.removeChild(e)}}());"
        ),
        heading=False,
    )


def discourse(c: Content) -> str:
    """Discourse: JSON within JSON within an attribute."""
    posts = [
        {"id": n, "username": u, "created_at": d, "cooked": t, "post_number": n + 1, "reads": 17}
        for n, (u, d, t) in enumerate(c.posts)
    ]
    topic = json.dumps(
        {"title": c.title, "posts_count": len(posts), "post_stream": {"posts": posts, "stream": list(range(len(posts)))}},
        ensure_ascii=False,
    )
    state = {
        "currentUser": "null",
        "siteSettings": json.dumps({"title": "Board", "site_description": "A place to talk"}),
        "topic_4711": topic,
    }
    return page(
        c,
        f'<div class="hidden" id="data-preloaded" data-preloaded="{html.escape(json.dumps(state, ensure_ascii=False))}"></div>',
        heading=False,
    )


def noscript(c: Content) -> str:
    """The text for readers without scripts."""
    return page(c, f"<noscript><article>{c.html}</article></noscript>")


def template(c: Content) -> str:
    """A shadow root that is written in the page."""
    return page(
        c,
        f'<story-body><template shadowrootmode="open"><style>p{{margin:0}}</style><div class="story">{c.html}</div></template></story-body>',
    )


def attribute(c: Content) -> str:
    """Inertia: the page's properties in an attribute of the root."""
    state = {
        "component": "Articles/Show",
        "props": {**noise(c), "article": {"title": c.title, "content": c.html}},
        "url": "/articles/81",
        "version": "9c1",
    }
    return page(c, f'<div id="app" data-page="{html.escape(json.dumps(state, ensure_ascii=False))}"></div>', heading=False)


def comment(c: Content) -> str:
    """Markup within a comment that a script unpacks."""
    return page(c, f'<div class="hidden_elem"><code id="u_0_a"><!-- <div class="story">{c.html}</div> --></code></div>')


def flight(c: Content) -> str:
    """React Server Components: rows of a stream, pushed as strings; each paragraph is an element of the row."""
    elements = [["$", "p", str(n), {"className": "text-lg", "children": t}] for n, t in enumerate(c.lines)]
    row = json.dumps(["$", "article", None, {"children": [["$", "h1", None, {"children": c.title}], elements]}], ensure_ascii=False)
    rows = ['1:HL["/_next/static/css/a.css","style"]\n2:I[5751,["51","static/chunks/51.js"],"default"]\n', f"5:{row}\n"]
    half = len(rows[1]) // 2
    pushed = [rows[0], rows[1][:half], rows[1][half:]]
    scripts = "(self.__next_f=self.__next_f||[]).push([0])"
    return page(c, "", code(scripts) + "".join(code(f"self.__next_f.push([1,{dump(p)}])") for p in pushed), heading=False)


def flight_text(c: Content) -> str:
    """The same with the article's HTML as one text row, as `dangerouslySetInnerHTML` sends it."""
    size = len(c.html.encode())
    rows = [f"7:T{size:x},", c.html, '5:["$","div",null,{"className":"prose","dangerouslySetInnerHTML":{"__html":"$7"}}]\n']
    return page(
        c,
        "",
        code("(self.__next_f=self.__next_f||[]).push([0])") + "".join(code(f"self.__next_f.push([1,{dump(p)}])") for p in rows),
    )


def svelte(c: Content) -> str:
    """SvelteKit: the answer of a request, as a string, in an element of its own."""
    answer = json.dumps({"title": c.title, "html": c.html}, ensure_ascii=False)
    return page(
        c,
        "",
        data(
            "application/json",
            dump({"status": 200, "statusText": "OK", "headers": {}, "body": answer}),
            ' data-sveltekit-fetched data-url="/api/81"',
        ),
        heading=False,
    )


def gatsby(c: Content) -> str:
    """Gatsby: the result of the page's query."""
    state = {
        "componentChunkName": "component---post",
        "result": {
            "data": {
                "markdownRemark": {"html": c.html, "frontmatter": {"title": c.title}},
                "site": {"siteMetadata": {"title": "Lantern"}},
            }
        },
    }
    return page(
        c, '<div id="___gatsby"></div>', code(f'/*<![CDATA[*/window.pagePath="/81";window.___pageData={dump(state)};/*]]>*/')
    )


def astro(c: Content) -> str:
    """Astro: properties of an island, each value with a number for its type."""
    props = {"title": [0, c.title], "body": [0, c.html], "open": [0, True], "tags": [1, [[0, "life"]]]}
    return page(
        c,
        f'<astro-island uid="Z1" component-url="/_astro/P.js" props="{html.escape(json.dumps(props, ensure_ascii=False))}" ssr client="only"></astro-island>',
        heading=False,
    )


def remix(c: Content) -> str:
    """Remix: the data of the routes' loaders."""
    state = {
        "state": {
            "loaderData": {"root": noise(c), "routes/posts.$id": {"post": {"title": c.title, "markdown": "\n\n".join(c.lines)}}},
            "actionData": None,
            "errors": None,
        }
    }
    return page(c, "", code(f"window.__remixContext = {dump(state)};"))


def initial_state(c: Content) -> str:
    """The name that many Chinese sites use; the object is followed by other statements."""
    state = {
        "common": noise(c),
        "detail": {"articleInfo": {"title": c.title, "content": c.html, "readCount": 3021}, "recommend": []},
    }
    return page(
        c,
        '<div id="app"></div>',
        code(
            f"window.__INITIAL_STATE__={dump(state, safe=False)};(function(){{var s;(s=document.currentScript||document.scripts[document.scripts.length-1]).parentNode.removeChild(s);}}());"
        ),
        heading=False,
    )


def initial_thread(c: Content) -> str:
    """Entities by number: a question and its answers."""
    first, *others = c.posts
    answers = {str(900 + n): {"author": {"name": u}, "content": t, "voteupCount": n * 31} for n, (u, _, t) in enumerate(others)}
    state = {
        "initialState": {"entities": {"questions": {"77": {"title": c.title, "detail": first[2]}}, "answers": answers, "users": {}}}
    }
    return page(c, '<div id="root"></div>', data("text/json", dump(state), ' id="js-initialData"'), heading=False)


def render_data(c: Content) -> str:
    """JSON that is escaped as an address is."""
    state = {"_location": "/article/81", "app": {"data": {"title": c.title, "content": c.html}, **noise(c)}}
    return page(c, "", data("application/json", quote(json.dumps(state, ensure_ascii=False)), ' id="RENDER_DATA"'))


def script_string(c: Content) -> str:
    """Markup as a string of a script, with \\x3c for <."""
    text = c.html.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n").replace("<", "\\x3c").replace(">", "\\x3e")
    return page(
        c,
        '<div id="js_content"></div>',
        code(f"var msg_title = '{c.title}'.html(false);\nvar cgiData = {{ content_noencode: '{text}', scene: 90 }};"),
    )


ARTICLES = (
    json_ld, json_ld_graph, next_data, next_blocks, nuxt, nuxt3, apollo, redux, noscript, template, attribute, comment, flight, flight_text, svelte,
    gatsby, astro, remix, initial_state, render_data, script_string,
)  # fmt: skip
PRODUCTS = (json_ld_product,)
THREADS = (json_ld_thread, discourse, initial_thread)
