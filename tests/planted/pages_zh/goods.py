"""Shapes of Chinese products, listings and collections: shops, machines, houses, jobs, headlines, feeds, reviews."""

from __future__ import annotations

from tests.planted.pages_zh.sheet import Sheet


def shop_detail(s: Sheet) -> str:
    """A shop's page of one article: prices and buttons, parameters, a detail tab, reviews in another tab."""
    title = s.title("h1", ' class="tb-detail-hd"')
    sell = f'<p class="newp">{s.say(s.text.one("卖点"))}</p>'
    facts = "".join(f'<li title="{b}">{s.say(a)}: {s.say(b)}</li>' for a, b in s.pairs("参数"))
    body = s.body(p='<p style="text-align:center;font-size:16px">{}</p>\n')
    reviews = "".join(
        f'<div class="rate-item"><span>{s.draw.choice("张王李赵刘")}***{n}（匿名）</span><p>{s.no(t)}</p><span>颜色分类：默认</span></div>'
        for n, t in enumerate(s.text.fields["评价"])
    )
    return (
        f'<!DOCTYPE html><html>{s.head("百货集", "-")}<body><div class="sn-container"><p>您好，欢迎来到百货集！</p>{s.links("请登录 免费注册 我的订单 购物车0件 收藏夹 商家支持 网站导航")}</div><div class="shop-head"><a>进店逛逛</a><a>收藏店铺</a><span>描述 4.9 服务 4.8 '
        f'物流 4.9</span></div><div class="detail">{title}{sell}<div class="price"><span>促销价</span>￥{s.text.one("价格")}</div><dl><dt>运费</dt><dd>{s.no("快递: 0.00 满88元包邮")}</dd><dt>月销量</dt><dd>{s.draw.randint(20, 3000)}</dd><dt>数量</dt>'
        f'<dd><input value=1>件 (库存{s.draw.randint(9, 999)}件)</dd></dl><button>立即购买</button><button>加入购物车</button><div>{s.no("七天无理由退换 正品保证 极速退款")}</div></div><div class="look">看了又看{s.titles(2, "div")}</div><ul class="tabbar"><li>商品详情</li>'
        f'<li>累计评价 {s.draw.randint(40, 900)}</li><li>手机购买</li></ul><div id="attributes"><ul id="J_AttrUL">{facts}</ul></div><div id="description"><div class="content">{body}</div></div><div id="J_Reviews" style="display:none">{reviews}</div>'
        f'<div class="notice"><h4>价格说明</h4><p>{s.no("划线价格：指商品的专柜价、吊牌价等参考价，并非原价")}</p></div><div class="footer">关于我们 {s.no("增值电信业务经营许可证 营业执照公示")}</div></body></html>'
    )


def b2b(s: Sheet) -> str:
    """A maker's product on a trade site: a contact card, a table of parameters, other products, an enquiry form."""
    title = s.title("h1", ' class="d-title"')
    lead = f'<div class="short">{s.say(s.text.one("导语"))}</div>'
    cells = s.pairs("参数")
    facts = "".join(
        "<tr>"
        + "".join(f'<td class="de-feature">{s.say(a)}</td><td class="de-value">{s.say(b)}</td>' for a, b in cells[n : n + 2])
        + "</tr>"
        for n in range(0, len(cells), 2)
    )
    body = s.body(h='<p><span style="font-size:18px"><strong>{}</strong></span></p>', p="<p><span>{}</span></p>")
    return (
        f'<html>{s.head("供应商之家", "_厂家批发价格_", charset="gbk")}<body><div id="topbar">{s.links("首页 找产品 找公司 采购信息 商机发布 展会", "span")}</div><table class="contact"><tr><td><b>{s.no("第6年会员 已通过企业认证")}</b></td></tr><tr><td>联系人：陆经理（先生）</td></tr>'
        f'<tr><td>电话：<a>点击查看</a></td></tr><tr><td>手机网站 <a>给我留言</a></td></tr></table><div class="mod-detail">{title}{lead}<div class="obj"><span>价格</span> 面议 <span>起批量</span> ≥1台 <span>发货期限</span> 自买家付款之日起7天内发货</div><a>立即询价</a>'
        f'<div id="mod-detail-attributes"><table>{facts}</table></div><div id="desc-lazyload-container">{body}</div></div><div class="enquiry"><h3>{s.no("在线询盘，厂家两小时内回复")}</h3><textarea>我对贵公司的产品感兴趣，请发详细资料</textarea></div>'
        f'<div class="more"><h3>该公司其他产品</h3><ul>{s.titles(4)}</ul></div><div class="disclaimer">{s.no("免责声明：以上信息由企业自行提供，内容的真实性由发布企业负责")}</div></body></html>'
    )


def house_detail(s: Sheet) -> str:
    """One house or flat: a summary of facts, the agent's card, the owner's words, a calculator of loans."""
    title = s.title("h1", ' class="main"')
    sell = f'<div class="sub">{s.say(s.text.one("卖点"))}</div>'
    facts = "".join(f'<li><span class="label">{s.say(a)}</span>{s.say(b)}</li>' for a, b in s.pairs("参数"))
    body = s.body(p='<div class="content">{}</div>')
    return (
        f'<!DOCTYPE html><html>{s.head("安居有房", "_")}<body><div class="header"><div class="nav">{s.links("首页 二手房 新房 租房 商业办公 小区 经纪人")}</div><div class="ana-search"><input placeholder="输入区域、小区名开始找房"></div></div><div class="bread"><a>安居有房</a> &gt; <a>全部房源</a></div>'
        f'<div class="sellDetailHeader">{title}{sell}<button>关注房源</button></div><div class="overview"><div class="img"><ul><li>户型图</li><li>卧室</li></ul></div><div class="price"><span class="total">{s.text.one("价格")}</span><p>{s.no("首付及月供以实际为准，房贷计算器")}</p></div>'
        f'<div class="agent"><a>置业顾问 小高</a><span>评分:4.8/{s.draw.randint(9, 300)}人评价</span><p>{s.no("电话咨询更快了解房源")}</p></div></div><div class="introContent"><h3>基本信息</h3><ul>{facts}</ul></div><div class="showbasemore"><h3>房源介绍</h3>{body}</div>'
        f'<div class="seen"><h3>看过此房的人还看了</h3><ul>{s.titles(3)}</ul></div><div class="feedback">{s.no("房源信息有误？点此举报，核实后奖励")}</div><div class="footer">{s.no("城市房源导航 隐私协议")}</div></body></html>'
    )


def jobs(s: Sheet) -> str:
    """A list of jobs: name, pay, place and requirement in each, filters above, pages below."""
    head = f'<h1>{s.title("span")}</h1><p class="tip">{s.say(s.text.one("简介"))}</p>'
    items = []
    for n, p in enumerate(s.text.parts):
        name, pay, place, need = p.cells
        items.append(
            f'<li class="job-primary"><div class="info-primary"><h3><a href="/job/{n}.html">{s.say(name)}</a><span class="red">{s.say(pay)}</span></h3><p>{s.say(place)}</p><div class="detail">{s.say(need)}</div></div>'
            f'<div class="info-publis"><p>发布于{n % 9 + 1}月{n * 3 + 1}日</p><a class="btn">{s.no("投递简历")}</a><a>收藏</a></div></li>'
        )
    flt = "".join(
        f"<dl><dt>{k}</dt>{s.links(v, 'dd')}</dl>"
        for k, v in (
            ("工作经验：", "不限 应届生 1年以内 1-3年"),
            ("学历要求：", "不限 初中及以下 大专 本科"),
            ("薪资待遇：", "不限 3k以下 3-5k 5-10k"),
        )
    )
    return (
        f'<!DOCTYPE html><html>{s.head("职路网", "-")}<body><div id="header"><a>我要招人</a><a>登录</a>{s.links("首页 职位 公司 校园 资讯")}</div><div class="filter-box">{flt}<a>清空筛选条件</a></div><div class="job-box">{head}<div class="sort">{s.no("默认排序 最新发布 离我最近")}</div>'
        f'<ul class="job-list">{"".join(items)}</ul><div class="page"><a>上一页</a><a class=cur>1</a><a>2</a><a>3</a><a>下一页</a></div></div><div class="sider"><h4>{s.no("热门搜索职位")}</h4>{s.links("会计 司机 文员 保安 店员")}<h4>看看别的</h4>{s.titles(3)}</div>'
        f'<div class="safe">{s.no("防骗提示：凡收取费用的招聘均为诈骗，请及时举报")}</div><footer>人力资源服务许可证 {s.no("客服热线 工作日8:00-22:00")}</footer></body></html>'
    )


def houses(s: Sheet) -> str:
    """A list of houses: pictures, facts, prices, one line of praise; a map link, subscriptions."""
    head = f'<h2 class="total">{s.say(s.text.title)}</h2><div>{s.say(s.text.one("简介"))}</div>'
    items = []
    for p in s.text.parts:
        name, facts, price, praise = p.cells
        items.append(
            f'<li class="clear"><a class="img"><img class="lj-lazy" alt=""></a><div class="info clear"><div class="title"><a>{s.say(name)}</a></div><div class="houseInfo"><span class="icon"></span>{s.say(facts)}</div>'
            f'<div class="priceInfo"><span>{s.say(price)}</span></div><div class="tag"><span>{s.say(praise)}</span></div><div class="followInfo">{s.draw.randint(1, 90)}人关注 / {s.draw.randint(1, 30)}天以前发布</div><div class="listButtonContainer"><a>加入对比</a></div></div></li>'
        )
    return (
        f'<!DOCTYPE html><html>{s.head("安居有房", "_")}<body class="ershoufang"><div class="nav">{s.links("首页 二手房 新房 租房 地图找房 查房价")}</div><div class="position">区域 {s.links("不限 河东 河西 南湖 老城", "a")} 售价 {s.links("50万以下 50-80万 80-100万", "a")} 户型 一室 两室 三室</div>'
        f'<div class="leftContent"><div class="resultDes">{head}<a>清空条件</a> <a>{s.no("保存搜索，有新房源通知我")}</a></div><ul class="sellListContent">{"".join(items)}</ul><div class="contentBottom"><div class="page-box">1 2 3 下一页</div></div></div>'
        f'<div class="rightContent"><h4>{s.no("猜你喜欢")}</h4>{s.titles(2, "p")}<a>{s.no("我是业主，我要卖房")}</a></div><div class="footer">{s.no("本站房源信息由网友发布，请自行核实")}</div></body></html>'
    )


def news_list(s: Sheet) -> str:
    """A column of headlines with abstracts and dates, a list of hits at the side, pages below."""
    title = s.title("h2", ' class="lanmu"')
    items = []
    for n, p in enumerate(s.text.parts):
        name, date, abstract = p.cells
        items.append(
            f'<li><span class="date">{date}</span><a href="t{n}.htm" title="{name}"><h4>{s.say(name)}</h4></a><p>{s.say(abstract)} <a class="more">[详细]</a></p></li>'
        )
    s.not_gold.append("[详细]")
    menu = s.links("首页 要闻 通知公告 科研 文化 视频 图片 下载")
    return (
        f'<!DOCTYPE html><html>{s.head("石桥资讯", "-", charset="gb2312")}<body><div class="top"><span>{s.no("欢迎访问本站，今天也要开心")}</span><form><input><button>搜索</button></form></div><div class="menu"><ul>{menu}</ul></div><div class="main"><div class="left">'
        f'<h3>栏目导航</h3><ul>{s.titles(4)}</ul><h3>{s.no("点击排行")}</h3></div><div class="right"><div class="pos">当前位置：首页 &gt;&gt; 列表</div>{title}<ul class="list">{"".join(items)}</ul><div class="pages">共{s.draw.randint(40, 900)}条 1/{s.draw.randint(5, 90)} '
        f'<a>首页</a> <a>上页</a> <a>下页</a> <a>尾页</a> 转到<input>页</div></div></div><div class="foot">{s.no("未经许可不得镜像 法律顾问")} <a>联系我们</a></div></body></html>'
    )


def weibo(s: Sheet) -> str:
    """A user's feed: whole posts, each with its time, source and buttons; cards of other users."""
    title = f'<h1 class="username">{s.say(s.text.title)}</h1>'
    cards = []
    for n, post in enumerate(s.text.posts):
        cards.append(
            f'<div class="WB_cardwrap WB_feed_type" action-type="feed_list_item" mid="{n}"><div class="WB_face"><img></div><div class="WB_detail"><div class="WB_info"><a>{post.user}</a><i title="认证"></i></div><div class="WB_from">'
            f'<a title="{post.date}">{post.date}</a> 来自 <a>{s.no("随手拍手机")}</a></div><div class="WB_text W_f14" node-type="feed_list_content">{s.body(post.parts, p="{}", br="<br>")}</div><div class="WB_media_wrap"></div></div>'
            f'<div class="WB_handle"><ul><li><a>收藏</a></li><li><a>转发 {s.draw.randint(0, 300)}</a></li><li><a>评论 {s.draw.randint(0, 90)}</a></li><li><a>赞 {s.draw.randint(3, 4000)}</a></li></ul></div></div>'
        )
    return (
        f'<!doctype html><html>{s.head("微语", "的微语_")}<body class="B_page"><div class="WB_global_nav">{s.links("首页 视频 发现 游戏 注册 登录")}</div><div class="PCD_header">{title}<div class="pf_intro">{s.no("认证：生活领域创作者")}</div><div class="pf_opt"><a>+关注</a><a>私信</a></div></div>'
        f'<div class="WB_frame_b"><table class="tb_counter"><tr><td><strong>{s.draw.randint(20, 400)}</strong><span>关注</span></td><td><strong>{s.draw.randint(900, 90000)}</strong><span>粉丝</span></td></tr></table><div>{s.no("微关系 他的关注")}</div>'
        f'<h4>可能感兴趣的人</h4>{s.titles(3, "div")}</div><div class="WB_frame_c"><div class="tab">全部 热门 视频 相册</div>{"".join(cards)}<div class="W_loading">{s.no("正在加载中，请稍候...")}</div></div><div class="WB_footer">{s.no("微语客服 意见反馈 开放平台")}</div></body></html>'
    )


def douban(s: Sheet) -> str:
    """Short reviews of one work: stars, votes, folded parts, facts of the work at the side."""
    title = s.title()
    items = []
    for n, p in enumerate(s.text.parts):
        user, star, date, said = p.cells
        items.append(
            f'<div class="comment-item" data-cid="{n * 117}"><div class="avatar"><a><img></a></div><div class="comment"><h3><span class="comment-vote"><span class="votes">{s.draw.randint(0, 900)}</span><a class="vote-comment">有用</a></span><span class="comment-info">'
            f'<a>{user}</a><span>看过</span><span class="allstar40 rating" title="{star}"></span><span class="comment-time">{date}</span></span></h3><p class="comment-content"><span class="short">{s.say(said)}</span></p><a class="report">举报</a></div></div>'
        )
    facts = s.text.one("条目")
    return (
        f'<!DOCTYPE html><html>{s.head("豆荚", " - ")}<body><div id="db-global-nav">{s.links("读书 电影 音乐 同城 小组 市集")}<a>下载客户端</a><a>登录/注册</a></div><div id="content">{title}<div class="article"><div class="clearfix Comments-hd"><ul class="CommentTabs">'
        f'<li>看过({s.draw.randint(99, 9999)})</li><li>想看</li></ul><a class="comment_btn">我来写短评</a></div><div class="comment-filter">{s.no("热门 最新 好友 全部 好评 一般 差评")}</div><div id="comments">{"".join(items)}</div><div id="paginator"><a>首页</a>'
        f'<a>后页 &gt;</a></div></div><div class="aside"><p class="pl2"><a>&gt; 去条目页面</a></p><ul>{"".join(f"<li>{s.no(f)}</li>" for f in facts.split("；"))}</ul>{s.titles(2, "p")}</div></div><div id="footer">{s.no("豆荚公司，客服，移动应用，广告")}</div></body></html>'
    )


def shop_grid(s: Sheet) -> str:
    """A category of a shop: a grid of names, prices and lines of praise, filters, a basket that is hidden."""
    title = s.title("h1", ' class="collection-title"')
    desc = f'<div class="collection-desc">{s.say(s.text.one("简介"))}</div>'
    cells = []
    for n, p in enumerate(s.text.parts):
        name, price, praise = p.cells
        cells.append(
            f'<div class="grid__item"><a class="product-card" href="/p/{n}"><div class="img"></div><div class="product-name">{s.say(name)}</div><div class="product-price">{s.say(price)}</div></a><div class="desc">{s.say(praise)}</div>'
            f"<button>{s.no('加入购物车')}</button><span>已售{s.draw.randint(3, 4000)}</span></div>"
        )
    return (
        f'<!DOCTYPE html><html>{s.head("小物铺子", " – ")}<body><div class="announce">{s.no("全场满99元包邮，新用户立减10元")}</div><header>{s.links("新品 厨房 家居 服饰 礼物 清仓")}<a>搜索</a><a>购物车 (0)</a></header><div id="cart-drawer" aria-hidden="true" hidden><h2>购物车</h2>'
        f'<p>{s.no("您的购物车是空的，快去挑选吧")}</p></div><main>{title}{desc}<div class="filters">筛选：<select><option>价格从低到高</option><option>销量</option></select></div><div class="grid">{"".join(cells)}</div></main><section class="recent"><h2>{s.no("最近浏览")}</h2>{s.titles(2, "div")}'
        f"</section><footer>{s.links('关于我们 售后政策 联系客服 加盟')}<p>{s.no('订阅邮件，获取新品消息')}</p></footer></body></html>"
    )
