"""Shapes of Chinese forums and of sites of questions and answers: the text is the title and every post."""

from __future__ import annotations

from tests.planted.pages_zh.sheet import Sheet

JAM = "abcdefghijkmnpqrstuvwxyz0123456789"


def discuz_old(s: Sheet) -> str:
    """The first templates of Discuz!: tables, signatures, floor numbers, GBK."""
    title, rows = s.title(), []
    for n, post in enumerate(s.text.posts):
        posts = s.draw.randint(3, 4000)
        user = (
            f'<td class="postauthor" width="18%"><cite><a href="space.php?uid={n}">{post.user}</a></cite><br>{s.no("新手上路") if n % 2 else s.no("金牌会员")}'
            f"<br><img src=avatar.gif><dl><dt>UID</dt><dd>{posts * 7}</dd><dt>帖子</dt><dd>{posts}</dd><dt>积分</dt><dd>{posts * 3}</dd></dl></td>"
        )
        sign = f'<div class="signatures">{s.no("人生如逆旅，我亦是行人。")}</div>' if n % 3 == 0 else ""
        quote = s.body(post.parts, br="<br />\n")
        s.not_gold += ["只看该作者"]
        rows.append(
            f'<table cellspacing="0" class="viewthread"><tr>{user}<td class="postcontent"><div class="postinfo"><strong>{n + 1}<sup>#</sup></strong> '
            f'<em onclick="setcopy()">大 中 小</em> 发表于 {post.date} <a href=#>只看该作者</a></div>'
            f'<div class="postmessage">{"" if n else s.no("[广告] 本站招商位，月付八折")}<div class="t_msgfont">{quote}</div></div>{sign}'
            f'<div class="postactions"><a href=#>{s.no("引用 使用道具 报告")}</a> <a href=#>回复</a> <a href="#top">TOP</a></div></td></tr></table>'
        )
    nav = f'<div id="nav"><a href="index.php">江畔社区</a> &raquo; <a>休闲生活</a> &raquo; {s.text.title}</div>'
    reply = (
        f"<form><h5>{s.no('快速回复主题')}</h5><textarea></textarea><button>发表帖子</button> [完成后可按 Ctrl+Enter 发布]</form>"
    )
    foot = f"<div id=footer><p>Powered by Board 5.0 &copy; 2001-2009</p><p>{s.no('Processed in 0.018 second(s), 7 queries.')} 浙ICP备00000000号</p></div>"
    return (
        f"<html>{s.head('江畔社区', ' - 休闲生活 - ', charset='gbk')}<body><div class=wrap><div id=header><h2>江畔社区</h2></div><div id=menu><ul>"
        f"{s.links('注册 登录 搜索 统计 帮助')}</ul></div>{nav}<div class=pages_btns><span class=postbtn>发新话题</span></div>"
        f"<div class=mainbox><h3>投票 交易 悬赏 活动</h3>{title}{''.join(rows)}</div>{reply}{foot}</div></body></html>"
    )


def discuz_x(s: Sheet) -> str:
    """Discuz! X: t_f cells, jammer characters that a style hides, ratings, share buttons."""
    title, posts = s.say(s.text.title), []
    for n, post in enumerate(s.text.posts):
        jam = "".join(s.draw.choices(JAM, k=8))
        s.not_gold += [jam] if n == 0 else []
        lines = [f'{s.say(p.text)}<font class="jammer">{jam}</font><br />\n' for p in post.parts]
        rate = f'<h3 class="psth xs1">{s.no("评分 参与人数 2 金钱 +15 理由")}</h3>' if n == 0 else ""
        locked = (
            f'<div class="attach_nopermission">{s.no("您需要登录才可以下载或查看附件。没有帐号？立即注册")}</div>' if n == 0 else ""
        )
        floor = ["楼主", "沙发", "板凳", "地板"][n] if n < 4 else f"{n + 1}#"
        posts.append(
            f'<div id="post_{n}"><table class="plhin"><tr><td class="pls"><div class="authi"><a class="xw1">{post.user}</a></div><p>主题 12 | 帖子 {n * 31 + 7} | 积分 '
            f'{n * 97 + 20}</p><p>发消息</p></td><td class="plc"><div class="pi"><strong><a>{floor}</a></strong><div class="pti"><em>发表于 {post.date}</em> | '
            f'只看该作者</div></div><div class="pct"><div class="pcb"><div class="t_fsz"><table><tr><td class="t_f" id="postmessage_{n}">{"".join(lines)}</td></tr></table>'
            f'</div>{locked}{rate}</div></div><div class="po"><div class="pob"><em><a class="fastre">回复</a></em><p><a>{s.no("使用道具")}</a><a>举报</a></p></div></div></td></tr></table></div>'
        )
    share = f'<div id="p_btn"><a>{s.no("分享到：空间 微群 好友")}</a><a>收藏 3</a><a>支持</a><a>反对</a></div>'
    return (
        f"<!DOCTYPE html><html>{s.head('话匣子论坛', ' - 生活 - ')}<style>.jammer{{display:none}}</style><body><div id=toptb><a>设为首页</a><a>收藏本站</a></div>"
        f"<div id=hd><form>用户名 <input> 密码 <input> <label>自动登录</label> <a>找回密码</a> <a>立即注册</a></form><ul>{s.links('门户 论坛 群组 家园 排行榜 导读')}</ul></div>"
        f'<div id="pt"><div class="z"><a>话匣子论坛</a><em>›</em><a>论坛</a><em>›</em><a>生活</a></div></div><div id="postlist"><table><tr><td class="pls">查看: '
        f'<span>{s.draw.randint(200, 9000)}</span>|回复: <span>{len(posts) - 1}</span></td><td class="plc"><h1 class="ts"><a>[交流]</a> <span id="thread_subject">{title}'
        f"</span></h1><span>[复制链接]</span></td></tr></table>{posts[0]}{share}{''.join(posts[1:])}</div><div id=f_pst>{s.no('高级模式 B Color Image Link Quote Code Smilies')}"
        f"<div>您需要登录后才可以回帖 登录 | 立即注册</div><button>发表回复</button> 本版积分规则</div><div id=ft><p>小黑屋|手机版|Archiver|话匣子论坛 ( 苏ICP备00000000号 )</p>"
        f"<p>GMT+8, 2022-5-6 10:12 , Processed in 0.043 second(s)</p></div></body></html>"
    )


def tieba(s: Sheet) -> str:
    """A bar of threads: floors with nested replies, data in attributes, a list of hot threads at the side."""
    title, floors = s.say(s.text.title), []
    for n, post in enumerate(s.text.posts):
        text = s.body(post.parts, p="{}", br="<br>")
        floors.append(
            f'<div class="l_post l_post_bright" data-field=\'{{"author":{{"user_id":{n * 91}}},"content":{{"post_no":{n + 1}}}}}\'><div class=d_author><ul class=p_author>'
            f"<li class=d_name><a>{post.user}</a></li><li class=l_badge><div class=d_badge_title>{s.no('初级粉丝')}</div><div class=d_badge_lv>{n + 3}</div></li></ul></div>"
            f'<div class="d_post_content_main"><div class=p_content><cc><div class="d_post_content j_d_post_content">{text}</div></cc></div><div class="core_reply">'
            f'<div class="post-tail-wrap"><span class=tail-info>{s.no("来自手机客户端")}</span><span class=tail-info>{n + 1}楼</span><span class=tail-info>{post.date}</span>'
            f"</div><a class=lzl_link_unfold>回复</a> <a>收起回复</a> <a>举报</a></div></div></div>"
        )
    side = f"<div class=right_section><h4>{s.no('贴吧热议榜')}</h4><ul>{s.titles(3)}</ul><p>{s.no('签到排名：今日本吧第1289个签到')}</p></div>"
    return (
        f"<!doctype html><html>{s.head('闲话吧', '_')}<body><div id=com_userbar><ul>{s.links('登录 注册 会员 玩乐')}</ul></div><div class=search_bright><a>进入贴吧</a> <a>全吧搜索</a></div>"
        f"<div class=card_title><a>闲话吧</a> 关注：20,113 贴子：381,204</div><div class=nav_list>{s.links('看贴 图片 精品 视频 群组')}</div><div class=left_section>"
        f'<div class=core_title><h3 class="core_title_txt" title="{s.text.title}">{title}</h3><ul><li>只看楼主</li><li>收藏</li><li>回复</li></ul></div>'
        f"<ul class=l_posts_num><li>{len(floors)}回复贴，共<span>1</span>页</li></ul><div class=p_postlist>{''.join(floors)}</div></div>{side}"
        f"<div class=edui><h3>发表回复</h3><div>{s.no('发贴请遵守贴吧协议及“七条底线”')}</div><a>发表</a> <a>保存至快速回贴</a></div><div class=footer>吧主 3 会员 反馈 使用协议</div></body></html>"
    )


def phpwind(s: Sheet) -> str:
    """phpWind: read_t tables, tips of points, a table of smileys, related threads at the end."""
    title, floors = s.say(s.text.title), []
    for n, post in enumerate(s.text.posts):
        tip = f"<div class=tips>{s.no('本帖被 管理员 设置为精华')}</div>" if n == 0 else ""
        floors.append(
            f'<div class="read_t"><table width="100%"><tr><td rowspan="2" class="floot_left"><div class="readName"><a>{post.user}</a></div><div class="user-info2">级别: '
            f"{s.no('侠客') if n else s.no('论坛版主')}<br>精华: <span>{n}</span><br>威望: {n * 12} 点<br>在线时间: {n * 40 + 3}(小时)<br>注册时间: 2008-0{n % 9 + 1}-11</div></td>"
            f'<td class="floot_right"><div class="tipTop s6"><span>{"楼主" if n == 0 else f"{n}楼"}</span> 发表于: <span title="{post.date}">{post.date}</span> <a>小 中 大</a></div>{tip}'
            f'<div class="tpc_content"><div class="f14" id="read_{n}">{s.body(post.parts, br="<br /><br />")}</div></div></td></tr><tr><td><div class="sigline"></div><div class="signature">'
            f'{s.no("多一份宽容，少一份争执") if n == 1 else ""}</div><div class="readbot"><span>顶端</span> <a>回复</a> <a>引用</a> <a>分享</a> <a>举报</a></div></td></tr></table></div>'
        )
    return (
        f"<html>{s.head('乡音网', '|乡音论坛 - ')}<body><div class=wrap><div id=top>{s.links('登录 注册 社区服务 银行 勋章中心', 'span')}</div><div class=crumbs>&gt;&gt; <a>乡音网</a> &raquo; "
        f'<a>田间地头</a> &raquo; {s.text.title}</div><div class="pages"><a>新帖</a> 1 Pages: ( 1/1 total )</div><table><tr><th><h1 id="subject_tpc" class="read_h1">{title}'
        f"</h1></th><td>浏览: {s.draw.randint(99, 9999)} 回复: {len(floors) - 1} <a>打印</a> <a>加为IE收藏</a> <a>复制链接</a></td></tr></table>{''.join(floors)}"
        f"<div class=t3><h4>{s.no('相关主题')}</h4><ul>{s.titles(3)}</ul></div><div class=tal>{s.no('描述 快速回复 内容 使用签名 Html代码不可用')}</div>"
        f"<div class=bottom>Total 0.031 query 4, Time now is:03-09 09:24, Gzip enabled 皖ICP备00000000号</div></div></body></html>"
    )


def zhihu(s: Sheet) -> str:
    """A question, its answers with votes and authors' lines, and a card that asks for a login."""
    first, *answers = s.text.posts
    made = []
    title = s.title(more=' class="QuestionHeader-title"')
    question = f'<div class="QuestionRichText"><span class="RichText ztext">{s.body(first.parts)}</span></div>'
    for n, post in enumerate(answers):
        votes = s.draw.randint(12, 9000)
        made.append(
            f'<div class="List-item"><div class="ContentItem AnswerItem"><div class="AuthorInfo"><span class="UserLink">{post.user}</span><div class="AuthorInfo-badgeText">'
            f'{s.no("话题优秀答主") if n == 0 else s.no("不写代码的时候写字")}</div></div><span class="Voters"><button>{votes:,} 人赞同了该回答</button></span><div class="RichContent">'
            f'<span class="RichText ztext CopyrightRichText-richText">{s.body(post.parts)}</span><div class="ContentItem-time"><a>编辑于 {post.date}</a></div>'
            f'<div class="ContentItem-actions"><button>赞同 {votes}</button><button>{n * 7 + 3} 条评论</button><button>分享</button><button>收藏</button><button>喜欢</button></div></div></div></div>'
        )
    side = f"<div class=Question-sideColumn><div class=Card><h3>{s.no('被浏览')}</h3><b>{votes * 31:,}</b></div><div class=Card><div>{s.no('相关问题')}</div>{s.titles(3, 'div')}</div><footer>{s.no('站点指南 应用 工作 申请开通机构号')}</footer></div>"
    return (
        f'<!doctype html><html>{s.head("问海", " - ")}<body><div id="root"><header class="AppHeader"><ul>{s.links("首页 会员 发现 等你来答")}</ul><button>提问</button></header>'
        f'<div class="QuestionHeader"><div class="QuestionHeader-topics">{s.links("生活 经验 文化", "div")}</div>{title}{question}<button>关注问题</button><button>写回答</button><button>邀请回答</button></div>'
        f'<div class="Question-main"><div class="ListShortcut"><h4 class="List-headerText">{len(answers)} 个回答</h4>{"".join(made)}</div>{side}</div>'
        f'<div class="Modal" style="display:none"><p>{s.no("登录后可查看全部回答，与百万用户讨论")}</p></div></div></body></html>'
    )


def zhidao(s: Sheet) -> str:
    """A service of short questions: a best answer, others, and adverts that look like answers."""
    first, best, *others = s.text.posts
    title = f'<h1 class="ask-title">{s.say(s.text.title)}</h1>'
    ask = f'<div class="q-content"><span class="con-all">{s.body(first.parts, p="{}", br="<br>")}</span></div>'
    body = s.body(best.parts)
    rest = "".join(
        f'<div class="bd answer"><div class="answer-text line">{s.body(o.parts, p="<span>{}</span>")}</div><div class="wgt-replyer"><span>{o.user}</span> <span>{o.date}</span></div>'
        f"<a>本回答被网友采纳</a> <a>赞 {n + 2}</a> <a>踩</a> <a>评论</a></div>"
        for n, o in enumerate(others)
    )
    advert = f'<div class="wgt-ads"><a>{s.no("专业师傅上门，三十分钟到家，点击咨询")}</a><span>广告</span></div>'
    return (
        f'<!DOCTYPE html><html>{s.head("百问", "_")}<body><div id="userbar">{s.links("网页 资讯 视频 图片 知道 文库", "span")}</div><div class="search-box"><button>搜索答案</button><button>我要提问</button></div>'
        f'<nav class="wgt-nav">{s.links("首页 问题 知道团队 合伙人认证")}</nav><article class="qb-content"><div class="wgt-ask">{title}{ask}<div class="ask-info">'
        f'<span>{first.date}</span> <span>我来答</span> <span>分享</span> <span>举报</span></div></div><div class="wgt-best"><div class="hd"><h2>{s.no("最佳答案")}</h2></div>'
        f'<div class="wgt-replyer-all"><a>{best.user}</a><span class="wgt-replyer-special">推荐于 {best.date} · {s.no("超过64用户采纳过TA的回答")}</span></div><div class="best-text mb-10">{body}</div>'
        f'<div class="qb-zan"><span>已赞过</span><span>你对这个回答的评价是？</span><a>评论</a><a>收起</a></div></div>{advert}<div class="wgt-answers"><h2>其他{len(others)}条回答</h2>{rest}</div></article>'
        f'<aside><h3>{s.no("更多相关问题")}</h3><ul>{s.titles(4)}</ul></aside><div class="wgt-footer"><p>{s.no("为你推荐：特别推荐")}</p>{s.links("新手帮助 如何答题 意见反馈 投诉建议", "span")}</div></body></html>'
    )
