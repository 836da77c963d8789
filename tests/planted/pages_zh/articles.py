"""Shapes of Chinese articles: accounts, notices, old tables, blogs, code, novels, portals, recipes, an encyclopedia."""

from __future__ import annotations

from itertools import groupby

from tests.planted.pages_zh.sheet import Sheet


def wechat(s: Sheet) -> str:
    """An account's article: the body is hidden until a script shows it; what follows it is furniture."""
    section = '<section style="margin:0 8px;line-height:1.75em;"><span style="font-size:15px;">{}</span></section><p><br></p>\n'
    title = s.title(more=' class="rich_media_title" id="activity-name"')
    body = s.body(p=section, h='<section style="text-align:center"><strong><span>{}</span></strong></section>')
    after = (
        f'<div class="rich_media_tool"><span>阅读原文</span><span>{s.no("阅读 10万+")}</span><span>在看 318</span></div><div class="reward_area"><p>{s.no("喜欢作者")}</p><p>7人喜欢</p></div>'
        f'<div id="js_pc_qr_code" class="qr_code_pc" style="display:none"><p>{s.no("微信扫一扫关注该公众号")}</p></div><div class="article-tag__list"><span>#专栏</span><span>32个内容</span></div>'
        f'<div class="discuss_container" style="display:none"><h3>精选留言</h3><ul>{s.remarks(2, "<li><strong>{name}</strong><div>{text}</div><span>赞 {n}</span></li>")}</ul></div>'
    )
    return (
        f'<!DOCTYPE html><html>{s.head("")}<body id="activity-detail"><script>window.logs={{pagetime:{{}}}};document.getElementById("js_content").style.visibility="visible";</script>'
        f'<div class="rich_media"><div class="rich_media_inner"><div id="page-content"><div id="img-content">{title}<div id="meta_content"><span>原创</span> <span>{s.text.one("作者")}</span> '
        f'<a id="js_name">{s.text.one("作者")}</a> <em id="publish_time">{s.text.one("日期")}</em></div>'
        f'<div class="rich_media_content js_underline_content" id="js_content" style="visibility: hidden; opacity: 0;">{body}</div></div>{after}</div></div></div></body></html>'
    )


def gov_notice(s: Sheet) -> str:
    """A government notice: a table of the document's data, tools for the font size, an attachment."""
    title = s.title(more=' class="xxgk_title"')
    body = s.body(p='<p style="text-indent: 2em;">{}</p>\n', h='<p style="text-indent: 2em;"><strong>{}</strong></p>')
    number = s.draw.randint(3, 90)
    return (
        f"<!DOCTYPE html><html>{s.head('政府信息公开', ' - ')}<body><div class=top-bar>{s.links('无障碍阅读 长者模式 繁體 登录', 'span')}<a>{s.no('本站支持IPv6')}</a></div><div class=logo><img alt=国徽>"
        f"人民政府门户网站</div><ul class=nav>{s.links('首页 政务公开 政务服务 互动交流 走进本地 数据开放')}</ul><div class=position>当前位置： <a>首页</a> &gt; <a>政务公开</a> &gt; <a>通知公告</a></div>"
        f"<table class=xxgk_table><tr><td>索 引 号：</td><td>00{number}31/2020-00{number}</td><td>主题分类：</td><td>综合政务</td></tr><tr><td>发布机构：</td><td>{s.text.one('作者')}</td>"
        f"<td>成文日期：</td><td>{s.text.one('日期')}</td></tr></table><div class=article>{title}<div class=info>发布时间：{s.text.one('日期')} 来源：{s.text.one('作者')} 浏览次数：{number * 13} "
        f'字体：【<a>大</a> <a>中</a> <a>小</a>】 <a>打印</a></div><div class="TRS_Editor" id="zoom">{body}</div><div class=fj>{s.no("附件：任务分解表.xls 下载")}</div>'
        f"<div class=share>{s.no('分享到： 微博 微信 扫一扫在手机打开当前页')}</div><div>上一篇：{s.titles(1, 'span')}</div></div><div class=footer>{s.no('主办单位：县人民政府办公室 政府网站标识码：0000000000')}"
        f"<p>网站地图 | 关于我们 | 联系我们</p><p>公安备 00000000000000号</p></div></body></html>"
    )


def news_table(s: Sheet) -> str:
    """Nested tables with FONT elements and line breaks, GB2312: schools, factories and hospitals about the year 2005."""
    title = f'<font color="#CC0000" size="4"><b>{s.say(s.text.title)}</b></font>'
    body = s.body(p="{}", br="<br>\n<br>\n&nbsp;&nbsp;&nbsp;&nbsp;")
    menu = "".join(
        f"<TR><TD height=22 background=bg.gif><A href=list.asp?id={n}><FONT color=#ffffff>{w}</FONT></A></TD></TR>"
        for n, w in enumerate("单位概况 新闻动态 机构设置 规章制度 光荣榜 下载中心 留言簿".split())
    )
    spam = (
        f'<div style="display:none"><a href="http://bet.example/">{s.no("真人棋牌官网注册送彩金")}</a></div>'
        if s.number % 2
        else ""
    )
    return (
        f"<HTML>{s.head('', charset='gb2312')}<BODY bgColor=#ffffff topMargin=0><TABLE cellSpacing=0 width=760 align=center><TR><TD colSpan=2><IMG src=banner.jpg><MARQUEE>"
        f"{s.no('热烈欢迎各位领导莅临指导！')}</MARQUEE></TD></TR><TR><TD colSpan=2 align=right><FONT size=2>今天是<SCRIPT>document.write(new Date())</SCRIPT> <A>设为首页</A> <A>加入收藏</A></FONT></TD></TR>"
        f"<TR><TD width=160 vAlign=top><TABLE width=160>{menu}<TR><TD><FONT size=2>{s.no('站内搜索')}<INPUT><BR>友情链接</FONT></TD></TR></TABLE></TD><TD width=600 vAlign=top><TABLE width=96%>"
        f"<TR><TD><FONT size=2>您现在的位置：首页 &gt;&gt; 新闻动态 &gt;&gt; 正文</FONT></TD></TR><TR><TD align=middle>{title}</TD></TR><TR><TD align=middle><FONT color=#999999 size=2>作者：{s.text.one('作者')} "
        f"发布时间：{s.text.one('日期')} 点击数：<SCRIPT src=hits.asp></SCRIPT></FONT></TD></TR><TR><TD style='line-height:180%'><FONT size=3>&nbsp;&nbsp;&nbsp;&nbsp;{body}</FONT></TD></TR>"
        f"<TR><TD align=right><FONT size=2>【<A>打印本页</A>】【<A>关闭窗口</A>】</FONT></TD></TR><TR><TD><FONT size=2>上一篇：{s.titles(1, 'span')}<BR>{s.no('相关文章：')} 没有相关文章</FONT></TD></TR></TABLE></TD></TR>"
        f"<TR><TD colSpan=2 align=middle bgColor=#336699><FONT color=#ffffff size=2>版权所有 {s.no('技术支持：信息中心 建议使用800*600分辨率浏览')}</FONT></TD></TR></TABLE>{spam}</BODY></HTML>"
    )


def wordpress(s: Sheet) -> str:
    """A personal blog: categories, a licence box, a reward button, related posts, comments with avatars."""
    title = s.title(more=' class="entry-title"')
    body = s.body(h="<h3>{}</h3>\n")
    comment = '<li class="comment"><article class="comment-body"><b class="fn">{name}</b><time>{n}天前</time><div class="comment-content"><p>{text}</p></div><a>回复</a></article></li>'
    return (
        f'<!DOCTYPE html><html lang="zh-CN">{s.head("半间小屋", " | ")}<body class="post-template-default single single-post"><a class="skip-link screen-reader-text">跳至内容</a><header class="site-header">'
        f"<p class=site-title>半间小屋</p><p class=site-description>{s.no('慢慢走，看见什么写什么')}</p><nav><ul class=menu>{s.links('首页 随笔 手工 读书 关于 友链')}</ul></nav></header><main><article "
        f'class="post type-post hentry category-life">{title}<div class="entry-meta">由 <a>{s.text.one("作者")}</a> 发布于 <time>{s.text.one("日期")}</time> · {s.draw.randint(2, 40)} 条评论 · 分类：<a>生活</a></div>'
        f'<div class="entry-content">{body}<div class="post-copyright"><p>{s.no("本文链接转载请注明出处，采用署名-非商业性使用许可协议")}</p></div><div class="sharedaddy"><h3>共享此文章：</h3>'
        f"<ul><li>点击以发送到微博</li><li>{s.no('点击以通过电子邮件发送给朋友')}</li></ul></div></div><footer class=entry-footer>标签：<a>日常</a>、<a>记录</a></footer></article>"
        f'<div class="author-box"><h4>关于{s.text.one("作者")}</h4><p>{s.no("写字的人，养了一只不理人的猫。")}</p></div><nav class="post-navigation">{s.titles(2, "div")}</nav><div class="related">'
        f'<h3>您可能也喜欢</h3><ul>{s.titles(3)}</ul></div><div id="comments"><h2>评论</h2><ol class=comment-list>{s.remarks(4, comment)}</ol><div id=respond><h3>发表回复</h3><p>'
        f"{s.no('您的邮箱地址不会被公开。 必填项已用 * 标注')}</p></div></div></main><aside class=widget-area><h2>近期文章</h2><ul>{s.titles(4)}</ul><h2>归档</h2>{s.links('2019年5月 2019年4月 2019年3月')}</aside>"
        f"<footer class=site-footer>自豪地采用建站程序 | 沪ICP备00000000号-1</footer></body></html>"
    )


def csdn(s: Sheet) -> str:
    """A programmers' blog: code with line numbers beside it, a copyright line, a column advert, hidden login walls."""
    title = s.title(more=' class="title-article" id="articleContentId"')
    notice = f'<div class="article-copyright"><div>{s.no("版权声明：本文为博主原创文章，遵循版权协议，转载请附上原文出处链接和本声明。")}</div></div>'
    pre = '<div class="hide-preCode-box"><pre class="prettyprint"><code class="has-numbering">{}</code><ul class="pre-numbering"></ul></pre><div class="hljs-button" data-title="复制"></div></div>'
    body = s.body(h='<h2><a name="t1"></a>{}</h2>', pre=pre)
    author = f'<div class="asideProfile"><a>{s.text.one("作者")}</a><p>码龄7年</p><dl><dt>原创</dt><dd>131</dd><dt>粉丝</dt><dd>2,041</dd><dt>获赞</dt><dd>980</dd></dl><button>关注</button><button>私信</button></div>'
    return (
        f'<!DOCTYPE html><html>{s.head("码农笔记", "_" + s.text.one("作者") + "的博客-")}<body><div id="csdn-toolbar"><ul>{s.links("博客 下载 学习 社区 会员中心")}</ul><input placeholder="搜索"></div><div class="blog-content-box">'
        f'<div class="article-header">{title}<div class="article-info-box"><span>原创</span> <a>{s.text.one("作者")}</a> <span>最新推荐文章于 {s.text.one("日期")} 发布</span><span>阅读量{s.draw.randint(500, 20000)}</span>'
        f'<a>收藏 41</a><span>点赞数 17</span><span>分类专栏：<a>踩坑记录</a></span><span>文章标签：<a>编程</a></span></div></div>{notice}<div id="article_content"><div id="content_views" class="htmledit_views">{body}</div>'
        f'</div><div class="more-toolbox">点赞 踩 评论 分享 <span>{s.no("打赏作者 你的鼓励将是我创作的最大动力")}</span></div></div><div class="recommend-box"><h3>相关推荐</h3>{s.titles(4, "h4")}<p>{s.no("02-14 在这篇文章里，我们将学习如何…")}'
        f'</p></div><div class="comment-box">{s.remarks(2, "<ul><li><a>{name}:</a><span>{text}</span><span>回复</span></li></ul>")}</div><aside>{author}<h3>热门文章</h3><ul>{s.titles(3)}</ul><h3>最新评论</h3></aside>'
        f'<div class="login-mark" style="display:none">{s.no("登录后复制 请扫码登录")}</div></body></html>'
    )


def novel(s: Sheet) -> str:
    """A chapter of a novel: line breaks with ideographic spaces, adverts of the site within, keys for pages."""
    title = s.title()
    lines = s.text.parts
    half = len(lines) // 2
    first = s.body(lines[:half], p="　　{}<br />\n<br />\n")
    advert = f'<div class="gg">{s.no("记住本站最新网址，防止迷路，手机阅读更方便")}</div>'
    second = s.body(lines[half:], p="　　{}<br />\n<br />\n")
    return (
        f"<!DOCTYPE html><html>{s.head('墨香书阁', '_无弹窗_')}<body><div class=ywtop><a>将本站设为首页</a> <a>收藏墨香书阁</a> <form>用户名：<input> 密码：<input><button>登录</button></form></div>"
        f"<div class=nav><ul>{s.links('首页 我的书架 玄幻小说 都市小说 科幻小说 排行榜单 完本小说')}</ul></div><div class=content_read><div class=box_con><div class=con_top><a>墨香书阁</a> &gt; <a>连载</a> &gt; {s.text.title}"
        f"</div><div class=bookname>{title}<div class=bottem1><a>投推荐票</a> <a>上一章</a> &larr; <a>章节列表</a> &rarr; <a>下一章</a> <a>加入书签</a></div><div class=lm>&nbsp;热门推荐：{s.titles(3, 'span')}</div></div>"
        f'<div id="content">{first}{advert}{second}</div><script>chaptererror();</script><div class=bottem2><a>上一章</a> <a>章节目录</a> <a>下一章</a> <p>{s.no("(快捷键 ← )上一章 章节目录 下一章(快捷键 → )")}</p></div></div></div>'
        f"<div class=footer><p>{s.no('本站所有小说为转载作品，所有章节均由网友上传')}</p></div></body></html>"
    )


def portal(s: Sheet) -> str:
    """A news portal: an app banner, a summary of counts, editors' line, hot lists at the side, a comment box without comments."""
    title = s.title(more=' class="main-title"')
    body = s.body(p="<p>　　{}</p>\n")
    hot = "".join(f'<li><i>{n + 1}</i><a href="#">{t}</a></li>' for n, t in enumerate(s.others))
    return (
        f'<!DOCTYPE html><html>{s.head("江城网", "_新闻频道_")}<body><div class="app-banner"><a>{s.no("打开客户端，体验更佳")}</a></div><div class="top-nav"><ul>{s.links("首页 新闻 财经 体育 娱乐 科技 教育 汽车 房产 视频 更多")}</ul></div>'
        f'<div class="channel-path"><a>新闻中心</a> &gt; <a>社会</a> &gt; 正文</div><div class="main-content">{title}<div class="top-bar"><span class="date">{s.text.one("日期")}</span> <span class=source>{s.text.one("作者")}</span>'
        f'<ul class="share"><li>微博</li><li>微信</li><li>空间</li></ul></div><div class="article-content-left"><div class="article" id="article">{body}<p class="show_author">责任编辑：七号</p></div><div class="article-bottom">'
        f'<div class="keywords">关键字 : <a>民生</a> <a>观察</a></div><a>我要反馈</a><div class="app-kaihu"><h4>{s.no("新闻早知道，扫码关注江城网公众号")}</h4></div></div><div class="blk-related"><h3>相关新闻</h3><ul>{s.titles(3)}</ul></div>'
        f'<div class="comment"><h3>我有话说</h3><p>{s.no("请遵守法律法规，文明发言")}</p></div></div><div class="article-content-right"><div class="hot"><h3>24小时热文</h3><ol>{hot}</ol></div><div class="ad">{s.no("招商加盟 低投入 高回报")}</div>'
        f'</div></div><div class="page-footer"><p><a>江城网简介</a> | <a>广告服务</a> | <a>招聘信息</a> | <a>律师</a></p><p>京网文〔0000〕0000-000号 违法和不良信息举报电话</p></div></body></html>'
    )


def recipe(s: Sheet) -> str:
    """A recipe: ingredients as a table, steps as items with pictures, dishes that others made."""
    title = s.title()
    desc = f'<div class="desc mt30">{s.say(s.text.one("简介"))}</div>'
    need = f"<h2>{s.say('用料')}</h2>{s.table(s.pairs('用料'))}"
    steps = f"<h2>{s.say(s.text.title + '的做法')}</h2>" + "".join(
        f'<li class="container"><p class="text">{s.say(t)}</p><img src="/s{n}.jpg" alt="步骤{n + 1}"></li>'
        for n, t in enumerate(s.text.fields["步骤"])
    )
    tip = f'<h2>{s.say("小贴士")}</h2><div class="tip">{s.say(s.text.one("贴士"))}</div>'
    cooks = s.remarks(3, "<li><a>{name}</a><p>{text}</p><span>{n}个赞</span></li>")
    return (
        f'<!doctype html><html>{s.head("下灶房", "的做法_")}<body><div class="page-top-bar"><ul>{s.links("首页 菜谱分类 菜单 作品动态 市集")}</ul><a>登录</a><a>注册</a></div><div class="page-container"><div class="main-panel">{title}'
        f'<div class="cover"><img></div><div class="stats"><span>{s.draw.randint(60, 97) / 10}</span> 综合评分 <span>{s.draw.randint(30, 9000)}</span> 人做过这道菜</div><div class="author"><a>{s.text.one("作者")}</a></div>'
        f'{desc}<div class="collect"><a>收藏</a> <span>{s.no("丢进 菜篮子")}</span></div><div class="ings">{need}</div><div class="steps"><ol>{steps}</ol></div>{tip}<div class="time">创建于 {s.text.one("日期")} '
        f'<a>举报</a></div><div class="copyright">{s.no("该菜谱发布于本站，保留所有权利，未经许可不得转载")}</div><h2>这道菜的作品</h2><ul class="dishes">{cooks}</ul></div><div class="right-panel"><h3>{s.no("人气菜谱")}</h3><ul>{s.titles(4)}</ul>'
        f"<p>{s.no('下载客户端，随时随地看菜谱')}</p></div></div></body></html>"
    )


def baike(s: Sheet) -> str:
    """An encyclopedia's entry: a summary, a box of facts, a table of contents, numbers and edit links at headings."""
    title = s.title(more=' class="lemmaWgt-lemmaTitle-title"')
    summary = (
        f'<div class="lemma-summary"><div class="para">{s.say(s.text.one("简介"))}<sup class="sup--normal">[1]</sup></div></div>'
    )
    facts = "".join(
        f'<dt class="basicInfo-item name">{s.say(a)}</dt><dd class="basicInfo-item value">{s.say(b)}</dd>'
        for a, b in s.pairs("信息")
    )
    heads = [p.text for p in s.text.parts if p.kind == "h"]
    toc = "".join(f'<li><span>{n + 1}</span><a href="#{n}">{h}</a></li>' for n, h in enumerate(heads))
    made = []
    for is_head, run in groupby(s.text.parts, key=lambda p: p.kind == "h"):
        if is_head:
            made += [
                f'<div class="para-title level-2"><h2 class="title-text">{s.say(p.text)}</h2><a class="edit-icon">编辑</a><a>播报</a></div>'
                for p in run
            ]
        else:
            made.append(s.body(list(run), p='<div class="para" label-module="para">{}</div>\n'))
    return (
        f'<!DOCTYPE html><html>{s.head("众识百科", "_")}<body><div class="header-wrapper"><ul>{s.links("网页 新闻 贴吧 知道 图片 百科")}</ul><button>进入词条</button><button>全站搜索</button></div><div class="body-wrapper"><div class="top-tool">'
        f'<a>收藏</a><a>查看我的收藏</a><span>{s.draw.randint(0, 999)}</span><a>有用+1</a></div><div class="main-content">{title}<a>编辑</a><a>讨论</a><a>上传视频</a>{summary}<div class="basic-info"><dl>{facts}</dl></div><div class="lemma-catalog">'
        f'<h2>目录</h2><ol>{toc}</ol></div>{"".join(made)}<dl class="lemma-reference"><dt>参考资料</dt><dd>1. {s.no("地方文献汇编．县志办公室[引用日期2018-03-02]")}</dd></dl></div><div class="side-content"><dl><dt>词条统计</dt>'
        f"<dd>{s.no('浏览次数：33105次')}</dd><dd>编辑次数：17次历史版本</dd></dl></div></div><div class=footer>{s.no('新手上路 成长任务 编辑入门 编辑规则')}</div></body></html>"
    )
