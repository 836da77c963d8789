"""Shapes of Chinese documentation and of services: manuals, a wiki, departments of hospitals, companies, guides to formalities."""

from __future__ import annotations

from tests.planted.pages_zh.sheet import Sheet
from tests.planted.pages_zh.text import Part


def vuepress(s: Sheet) -> str:
    """A static manual: a menu of pages and of headings at the side, anchors, notices, copy buttons, an edit link."""
    heads = [p.text for p in s.text.parts if p.kind == "h"]
    side = "".join(f'<li><a class="sidebar-link" href="#{h}">{h}</a></li>' for h in heads)
    title = f'<h1 id="top"><a href="#top" class="header-anchor">#</a> {s.say(s.text.title)}</h1>'
    body = s.body(
        h='<h2><a href="#" class="header-anchor" aria-hidden="true">#</a> {}</h2>\n',
        pre='<div class="language-js extra-class"><pre class="language-js"><code>{}</code></pre><button class="copy-code-button">复制</button></div>',
        tip='<div class="custom-block tip"><p>{}</p></div>',
    )
    return (
        f'<!DOCTYPE html><html lang="zh-CN">{s.head("木兰", " | ")}<body><div id="app"><header class="navbar"><div class="sidebar-button"></div><span class="site-name">木兰</span><div class="search-box"><input></div><nav class="nav-links">'
        f'{s.links("指南 参考 插件 生态系统 更新日志", "div")}<span>选择语言</span></nav></header><aside class="sidebar"><ul class="sidebar-links"><li><p class="sidebar-heading">{s.text.one("栏目")}</p><ul>{side}</ul></li>{s.titles(4)}</ul></aside>'
        f'<main class="page"><div class="theme-default-content content__default">{title}{body}</div><footer class="page-edit"><div class="edit-link"><a>{s.no("在代码仓库上编辑此页")}</a></div><div class="last-updated">'
        f'<span>{s.no("上次更新:")}</span> <span>2021/9/14 下午3:22:08</span></div></footer><div class="page-nav">{s.titles(2, "span")}</div></main></div></body></html>'
    )


def gitbook(s: Sheet) -> str:
    """A book of chapters: the whole contents at the side, utility class names, questions about the page."""
    title = f'<header class="max-w-3xl mx-auto mb-6"><h1 class="text-4xl font-bold">{s.say(s.text.title)}</h1></header>'
    body = s.body(
        p='<p class="w-full max-w-3xl mx-auto">{}</p>\n',
        h='<h3 class="max-w-3xl mx-auto text-2xl"><div>{}</div></h3>',
        pre='<div class="group/codeblock"><pre class="overflow-auto"><code>{}</code></pre></div>',
    )
    chapters = s.titles(4, "li") + f"<li>{s.no('附录 A 材料清单与购买建议')}</li><li>附录 C 图纸</li>"
    return (
        f'<html>{s.head(s.text.one("栏目"), " - ")}<body><div class="flex"><header class="sticky top-0"><a class="text-base">{s.text.one("栏目")}</a><button>搜索 Ctrl K</button></header><aside class="w-72 shrink-0"><ul class="flex flex-col">'
        f'{chapters}</ul><a class="text-xs">{s.no("由文档平台提供支持")}</a></aside><main class="flex-1 relative py-8">{title}<div class="grid">{body}</div><div class="flex gap-2"><a>上一页</a><a>下一页</a></div><div class="text-xs">'
        f'最后更新于3个月前</div><div class="mt-6">{s.no("这有帮助吗？")} <button>😞</button><button>😐</button><button>😊</button></div></main><aside class="hidden xl:flex"><div>{s.no("在本页")}</div><button>复制链接</button><button>导出为文件</button>'
        f"</aside></div></body></html>"
    )


def wiki(s: Sheet) -> str:
    """MediaWiki in Chinese: edit links, a contents box, navigation boxes, tools at the side, a notice for editors."""
    title = s.title(more=' id="firstHeading" class="firstHeading"')
    heads = [p.text for p in s.text.parts if p.kind == "h"]
    toc = "".join(
        f'<li class="toclevel-1"><a href="#{h}"><span>{n + 1}</span> <span>{h}</span></a></li>' for n, h in enumerate(heads)
    )
    box = f'<div id="toc" class="toc"><div class="toctitle"><h2>目录</h2></div><ul>{toc}</ul></div>'
    h = '<h2><span class="mw-headline">{}</span><span class="mw-editsection">[<a>编辑</a>|<a>编辑源代码</a>]</span></h2>\n'
    first = 1
    top = s.body(s.text.parts[:first])
    rest = s.body(s.text.parts[first:], h=h)
    return (
        f'<!DOCTYPE html><html class="client-nojs">{s.head("山海旅人维基", " - ")}<body class="mediawiki ltr ns-0"><div id="content"><div id="siteNotice">{s.no("本站正在招募编辑者，欢迎加入讨论组！")}</div>{title}<div id="bodyContent"><div id="siteSub">'
        f'来自山海旅人维基</div><div id="jump-to-nav">跳到导航 跳到搜索</div><div id="mw-content-text"><div class="mw-parser-output"><div class="notice noprint">{s.no("本页面内容可能随版本更新而过时，请协助完善")}</div>{top}{box}{rest}'
        f'<table class="navbox"><tr><th>建筑与系统</th></tr><tr><td>{s.titles(4, "span")}</td></tr></table></div></div><div id="catlinks"><a>分类</a>：<a>系统</a> <a>待完善条目</a></div></div></div><div id="mw-navigation"><ul>'
        f'{s.links("首页 最近更改 随机页面 帮助 链入页面 相关更改 特殊页面 可打印版本 固定链接 页面信息")}</ul></div><div id="footer"><li>{s.no("本页面最后编辑于2021年11月3日 (星期三) 14:07。")}</li><li>除非另有声明，内容在知识共享协议下提供</li></div></body></html>'
    )


def hospital(s: Sheet) -> str:
    """A department of a hospital: a banner, a menu of departments, doctors' cards without text, a map of the site."""
    title = s.title("h2", ' class="ksmc"')
    lead = f'<p class="ks_js">{s.say(s.text.one("导语"))}</p>'
    body = s.body(h='<div class="bt"><span>{}</span></div>', p='<p class="nr">{}</p>')
    doctors = "".join(f"<li><img><a>{n}医师</a><span>主治医师</span><a>预约挂号</a></li>" for n in ("陈", "陆", "高", "方"))
    return (
        f'<!DOCTYPE html><html>{s.head("怀溪县人民医院", "-科室导航-")}<body><div class="header"><div class="tel">急救电话：120 {s.no("咨询电话：见门诊大厅公示")}</div><ul class="nav">{s.links("首页 医院概况 就医指南 科室导航 专家介绍 预约挂号 党建园地")}</ul></div>'
        f'<div class="banner"><img><img></div><div class="w1200"><div class="left_menu"><h3>科室导航</h3><ul>{s.links("心血管内科 骨科 眼科 皮肤科 中医科 急诊科")}</ul>{s.titles(3)}</div><div class="right_con"><div class="wz">您当前的位置：首页 &gt; 科室导航</div>'
        f'{title}{lead}<div class="ks_nr">{body}</div><div class="zj"><h3>{s.no("专家团队")}</h3><ul>{doctors}</ul></div></div></div><div class="float_right"><a>在线咨询</a><a>报告查询</a><a>{s.no("返回顶部")}</a></div>'
        f'<div class="foot"><p>地址：怀溪县人民路1号 乘车路线：1路、3路</p><p>{s.no("鲁ICP备00000000号 网站建设：某某科技")}</p></div></body></html>'
    )


def company(s: Sheet) -> str:
    """A company's page of one service: sections like cards, calls to action, partners, a floating form."""
    title = f'<section class="hero"><div class="container"><h1>{s.say(s.text.title)}</h1><p class="lead">{s.say(s.text.one("导语"))}</p><a class="btn btn-primary">{s.text.one("按钮")}</a></div></section>'
    sections: list[list[Part]] = [[]]
    for part in s.text.parts:
        if part.kind == "h":
            sections.append([])
        sections[-1].append(part)
    body = "".join(
        f'<section class="py-5"><div class="container"><div class="row"><div class="col-md-12">{s.body(some)}</div></div></div></section>'
        for some in sections
        if some
    )
    return (
        f'<!DOCTYPE html><html>{s.head("好帮手生活服务", " - ")}<body><nav class="navbar navbar-expand-lg"><a class="navbar-brand">好帮手</a><ul class="navbar-nav">{s.links("首页 服务项目 价格表 客户案例 加入我们 关于我们")}</ul></nav>{title}{body}'
        f'<section class="cta"><h3>{s.no("还在犹豫？让顾问给您回电话")}</h3><form><input placeholder="您的称呼"><input placeholder="手机号码"><button>{s.text.one("按钮")}</button></form></section><section class="partners"><h3>{s.no("合作伙伴")}</h3></section>'
        f'<section class="other"><h3>其他服务</h3>{s.titles(3, "div")}</section><footer><div class="row"><div class="col">{s.links("常见问题 服务条款 隐私政策")}</div><div class="col"><p>{s.no("服务时间：每天8:00—20:00")}</p></div></div><p>粤ICP备00000000号</p>'
        f'</footer><div class="kefu" style="position:fixed">{s.no("您好，请问有什么可以帮您？")}</div></body></html>'
    )


def guide(s: Sheet) -> str:
    """A guide to a formality: tabs of which only the first is visible, tables of materials, steps, questions."""
    title = s.title(more=' class="item-name"')
    org = f'<div class="org">实施主体：{s.text.one("部门")} 办件类型：承诺件</div>'
    tabs = "".join(
        f'<li class="{"on" if n == 0 else ""}">{w}</li>'
        for n, w in enumerate("受理条件 申请材料 办理流程 收费标准 常见问题".split())
    )
    cond = f"<h3>{s.say('受理条件')}</h3><p>{s.say(s.text.one('条件'))}</p>"
    rows = "".join(
        f"<tr><td>{n + 1}</td><td>{s.say(m)}</td><td><a>样表</a></td></tr>" for n, m in enumerate(s.text.one("材料").split("；"))
    )
    flow = "".join(f"<li><i>{n + 1}</i><span>{s.say(m)}</span></li>" for n, m in enumerate(s.text.one("流程").split("；")))
    rest = "".join(
        f"<h3>{s.say(name)}</h3><p>{s.say(s.text.one(key))}</p>" for name, key in (("办理时限", "时限"), ("收费标准", "收费"))
    )
    asked = "".join(
        f"<dl><dt>{s.say(q)}</dt><dd>{s.say(a)}</dd></dl>" for q, a in (line.split("=", 1) for line in s.text.fields["问答"])
    )
    hidden = ' style="display:none"'
    return (
        f'<!DOCTYPE html><html>{s.head("政务服务网", "-办事指南-")}<body><div class="gov-top"><a>用户登录</a> <a>法人登录</a> <a>{s.no("智能客服小助手")}</a></div><div class="nav">{s.links("首页 个人服务 法人服务 部门服务 好差评 我的空间")}</div><div class="item-head">'
        f'{title}{org}<a>在线办理</a><a>收藏</a><a>评价</a></div><ul class="tab">{tabs}</ul><div class="tab-con"><div class="tab-pane">{cond}</div><div class="tab-pane"{hidden}><table class="cl">{rows}</table></div><div class="tab-pane"{hidden}><ul class="flow">'
        f'{flow}</ul></div><div class="tab-pane"{hidden}>{rest}</div><div class="tab-pane"{hidden}>{asked}</div></div><div class="side">{s.no("我要咨询 我要投诉 扫码办")}<h4>相关事项</h4><ul>{s.titles(3)}</ul></div><div class="footer">'
        f"{s.no('主办：政务服务管理办公室 建议使用新版浏览器')}</div></body></html>"
    )
