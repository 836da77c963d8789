"""Planted templates for distribution filtering: one meaning, many wordings and slot values, in English and Chinese.

Input: a seed and a few sizes. Output: documents of two blocks that say one thing in as many ways as the
chosen spread allows, and hard negatives: prose by hand on the same topics, places and goods that follows no template. All text
was written for this file. It was frozen before the detector was written; thresholds were chosen on the families in `DEV`
only, and the ones in `TEST` are what is reported.

Spreads, each with what those before it vary:
    slots      names, places, dates and numbers
    words      words and phrases of each sentence (3 or so choices at several places)
    sentences  each sentence has three wordings of different build
    spun       sentences change their order, and one of the five may be missing

    python -m tests.planted.distribution [--lang zh] [--spread spun] [--count 3]      prints examples
"""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass

import numpy as np

SPREADS = ("slots", "words", "sentences", "spun")
LANGS = ("en", "zh")


@dataclass(frozen=True)
class Planted:
    """A document of two blocks. `family` names its meaning; hard negatives have the family `<topic>, prose`."""

    lang: str
    family: str
    spread: str
    blocks: tuple[str, ...]


_SLOTS: dict[str, dict[str, str]] = {
    "en": {
        "city": "Leeds Porto Austin Denver Galway Turin Oslo Perth Lagos Quito Busan Haifa Lyon Krakow Tampa Omaha Bergen Dundee "
        "Nantes Malmo Split Cadiz Boise Tampere Utrecht Halifax",
        "month": "January February March April May June July August September October November December",
        "person": "Harper Okafor Lindqvist Moreau Tanaka Castillo Novak Brandt Ferrari Walsh Abbasi Kowalski Hughes Duarte Petrov Singh",
        "street": "Mill Church Station Harbour Park King Queen Chapel Garden Castle River Market Abbey Orchard Bridge Grove",
        "film": "Harvest of Glass;The Ninth Ferry;Paper Kings;Low Tide;A Winter Loan;Salt Road;The Quiet Signal;Iron Orchard;"
        "Two Moons East;Borrowed Light;The Last Ledger;Copper Rain;North of Morning;Blue Static;The Clockmaker;Hollow Coast",
        "role": "accountant nurse electrician bookkeeper welder translator driver chemist planner surveyor baker editor mechanic cashier",
        "app": "PixelSorter NoteBarn TuneVault ClipForge MapLark DiskBroom FontNest MailOtter ChatLoom ZipHerald TaskHeron SnapKiln",
        "dish": "lentil soup;apple crumble;fish pie;mushroom risotto;beef stew;carrot cake;chicken curry;onion tart;rice pudding;"
        "bean chili;potato gratin;plum jam;pea soup;lemon slice;pork dumplings;egg noodles",
        "food": "butter garlic thyme flour celery ginger cream pepper parsley sugar milk salt",
        "coin": "dollar;euro;yen;pound;franc;krone;rupee;peso;won;lira;baht;zloty",
        "sky": "sunshine;light rain;heavy showers;thick cloud;fog;snow;drizzle;clear skies",
    },
    "zh": {
        "city": "兰州 洛阳 温州 襄阳 绵阳 桂林 烟台 泉州 遵义 大同 保定 九江 岳阳 柳州 赣州 临沂 湛江 宜昌 玉溪 嘉兴 常德 衡水 延安 丽水 漳州 株洲",
        "month": "一月 二月 三月 四月 五月 六月 七月 八月 九月 十月 十一月 十二月",
        "person": "陈国栋 林晓燕 王志远 李思敏 赵海峰 周雅琴 孙建业 吴佳宁 郑文博 冯秀兰 蒋立群 韩雪梅 杨振华 沈若云 曹永年 许婉清",
        "street": "人民 解放 中山 建设 和平 新华 文昌 青年 长江 环城 学府 滨河 朝阳 胜利 东风 光明",
        "film": "玻璃收成;第九渡口;纸上王朝;退潮;冬天的借据;盐路;沉默信号;铁果园;东边两个月亮;借来的光;最后的账本;铜雨;清晨以北;蓝色杂音;钟表匠;空海岸",
        "role": "会计 护士 电工 出纳 焊工 翻译 司机 化验员 规划师 测量员 面包师 编辑 修理工 收银员",
        "app": "图片整理 便签仓库 音乐保险箱 剪辑工坊 云雀地图 磁盘扫帚 字体之家 水獭邮箱 织聊 压缩先锋 苍鹭任务 快照窑",
        "dish": "红烧排骨;番茄炒蛋;清蒸鲈鱼;麻婆豆腐;土豆炖牛肉;糖醋里脊;莲藕汤;葱油饼;凉拌黄瓜;香菇鸡;炸酱面;银耳羹;回锅肉;蒜蓉茄子;虾仁蒸饺;豆沙包",
        "food": "生姜 大蒜 小葱 面粉 芹菜 白糖 料酒 胡椒 香菜 生抽 淀粉 食盐",
        "coin": "美元;欧元;日元;英镑;瑞士法郎;挪威克朗;卢比;比索;韩元;里拉;泰铢;兹罗提",
        "sky": "晴;小雨;阵雨;多云;大雾;小雪;毛毛雨;阴",
    },
}

_EN_DEV: dict[str, list[list[str]]] = {
    "weather": [
        [
            "Here is the [weather|weather forecast|weather outlook] for <city> on <day> <month>: [expect|look for|get ready for] <sky>.",
            "On <day> <month> people in <city> will [see|wake up to|meet] <sky>, [our|the latest] forecast says.",
            "<sky> [is|will be] what the [models|charts|stations] promise to <city> for <day> <month>.",
        ],
        [
            "The [highest|top|maximum] temperature [reaches|will be|climbs to] <n> degrees and the night [falls|drops|cools] to <m>.",
            "With <n> degrees by day and <m> after dark, it is [about average|normal|nothing unusual] for the season.",
            "Thermometers [stop at|touch|show] <n> in the afternoon before they [sink|go down] to <m> at night.",
        ],
        [
            "Wind [blows|comes] from the west at <n> kilometres an hour and humidity [stands at|is] <m> percent.",
            "[A breeze|A light wind|A wind] of <n> km/h and air with <m> percent moisture [complete|round off] the picture.",
            "Humidity of <m> percent meets a westerly of <n> kilometres an hour.",
        ],
        [
            "[Remember|Do not forget] to [take|bring|carry] an umbrella if you [go out|leave home|travel] in <city>.",
            "Whoever has [plans|errands] outdoors in <city> [should|had better] pack [a raincoat|something waterproof|an umbrella].",
            "Our [tip|advice] for a day out in <city>: [dress in layers|wear several layers] and keep an umbrella [near|at hand].",
        ],
        [
            "[Check|Visit|See] this page [again|daily|every hour] for the [newest|latest|updated] forecast for <city>.",
            "We [update|refresh|renew] our figures for <city> every [hour|morning], so [come back|return|look in] soon.",
            "The next [report|bulletin|update] for <city> appears [here|on this site] within [an hour|sixty minutes].",
        ],
    ],
    "hotel": [
        [
            "[Looking|Searching|Hunting] for a [cheap|budget|good value] hotel in <city>? The <person> Inn on <street> Street is [waiting|ready] for you.",
            "The <person> Inn, a [pleasant|friendly|cosy] house on <street> Street, is among the [favourite|best loved|most booked] hotels of <city>.",
            "Travellers who [come|go] to <city> [often|like to] choose the <person> Inn on <street> Street.",
        ],
        [
            "It has <n> [rooms|bedrooms], [each|all] with free wireless internet, a [flat|large] screen and a private bathroom.",
            "All <n> rooms [offer|come with|provide] a bathroom of their own, television and [wifi|internet] at no [charge|cost].",
            "Guests [sleep|stay] in one of <n> rooms where a bath, a television and [fast internet|wifi] are [included|standard].",
        ],
        [
            "[Prices|Rates] [start|begin] at <n> dollars a night, breakfast [included|and taxes included].",
            "For <n> dollars you [get|receive] a night and a [full|hearty|generous] breakfast.",
            "A night with breakfast [costs|is yours for] as little as <n> dollars.",
        ],
        [
            "The [railway station|airport] of <city> is [only|just] <m> minutes away and [parking|a car park] is [free|available].",
            "You [reach|get to] the station in <m> minutes, and drivers [park|leave their cars] for free.",
            "Free parking and a way of <m> minutes to the [airport|main station] make [arrival|getting there] easy.",
        ],
        [
            "[Book|Reserve] [now|today|online] and [save|keep] up to <m> percent on your [stay|room] in <city>.",
            "Those who [reserve|book] with us [today|early] pay up to <m> percent less in <city>.",
            "[Secure|Claim] a discount of <m> percent in <city> by [booking|reserving] [here|on this page].",
        ],
    ],
    "job": [
        [
            "Our client in <city> is [looking for|seeking|hiring] [an experienced|a skilled|a reliable] <role> to [join|strengthen] the team.",
            "[Vacancy|Job offer|Open position]: <role> in <city>, [full time|permanent], to [start|begin] in <month>.",
            "Would you like to [work|earn your living] as a <role>? A [growing|family owned|well known] firm in <city> [wants to meet you|has a place].",
        ],
        [
            "You [bring|have|offer] at least <m> years of experience and [enjoy|like] working [in a team|with others].",
            "[Candidates|Applicants] should have [worked|practised] for <m> years and be [good|strong] team players.",
            "[Team spirit|A cooperative manner] and <m> years in the trade are what the [employer|company] [asks for|expects].",
        ],
        [
            "The salary is <n> thousand a year [with|plus] <m> days of [holiday|paid leave] and a pension.",
            "In return you [receive|are paid] <n> thousand a year, a pension and <m> [vacation|free] days.",
            "[Pay|Compensation] of <n> thousand, <m> days off and a [retirement|pension] plan [await|are offered to] you.",
        ],
        [
            "[Send|Email|Forward] your CV and a [cover|short] letter to <person> [by|before|no later than] <day> <month>.",
            "<person> [accepts|collects|reads] applications with a CV until <day> <month>.",
            "If this [suits|interests] you, [write|apply] to <person> before <day> <month> and attach your CV.",
        ],
        [
            "We are an equal opportunity [employer|agency] and [welcome|encourage] applications from everyone in <city>.",
            "Everybody in <city> is [invited|welcome] to apply, [whatever|regardless of] age, origin or belief.",
            "[Diversity|Fairness] matters to us: [all|any] applicants from <city> are [considered|treated] equally.",
        ],
    ],
    "download": [
        [
            "[Download|Get|Grab] <app> <m>.<d> for [free|Windows and Mac|your computer] from our [fast|secure|trusted] servers.",
            "<app> [is now out|has arrived] in version <m>.<d>, and [you can fetch it here|our servers have it] [free of charge|at no cost].",
            "Here you [find|have] the [setup|installer] of <app> <m>.<d>, [checked for viruses|tested and safe].",
        ],
        [
            "This [version|release] [fixes|repairs|corrects] <n> [bugs|errors|problems] and [starts|loads|opens] faster than before.",
            "[Among the changes are|The developers list] <n> [repaired|fixed] bugs and a shorter start.",
            "It [opens|launches] more quickly and <n> [known|reported] faults are [gone|solved].",
        ],
        [
            "The file is <n> megabytes [large|in size] and has been downloaded <k> times [so far|this month|already].",
            "[About|More than] <k> [people|users] [fetched|have taken] the <n> megabytes before you.",
            "With <k> downloads, the <n> MB package is [among our most popular|a favourite of our visitors].",
        ],
        [
            "To install <app>, [run|open|start] the file, [accept|agree to] the licence and [follow|go through] the steps.",
            "[Setting up|Installing] <app> is [simple|easy]: a double click, a yes to the licence, and [a short wait|it is done].",
            "After you have [agreed to|accepted] the terms, the wizard [sets up|installs] <app> [by itself|in a minute].",
        ],
        [
            "If the link [does not work|is broken|fails], please [tell|contact|write to] us and we will [repair|replace] it.",
            "[Dead|Broken] links can be [reported|announced] to our team, which [renews|replaces] them [soon|within a day].",
            "Should nothing [happen|start], [choose|try] another mirror or [let us know|send a note].",
        ],
    ],
}

_EN_TEST: dict[str, list[list[str]]] = {
    "film": [
        [
            "[Watch|Stream|See] <film> online in full HD with [subtitles|English subtitles] on [any device|phone or television].",
            "<film> is [ready|available] for streaming here, [in high definition|in HD] and with subtitles.",
            "On our site fans can [enjoy|view] <film> [without|free of] interruptions, subtitled and in [sharp|HD] quality.",
        ],
        [
            "Directed by <person>, this [gripping|moving|thrilling] [drama|movie|picture] [came out|was released|premiered] in <month>.",
            "It [reached|opened in] cinemas in <month> and is the [work|debut|masterpiece] of director <person>.",
            "Since its [premiere|opening] in <month>, the [movie|feature] by <person> has [delighted|won over] audiences.",
        ],
        [
            "The [story|plot|action] lasts <k> minutes and [viewers|users|our readers] [rate|score] it <m> out of ten.",
            "<m> points of ten is what [spectators|visitors] [give|grant] the <k> minute film.",
            "[Our community|Our audience] [awards|votes] <m> of ten [stars|points] to these <k> minutes.",
        ],
        [
            "[Sign up|Register|Create an account] [free|today|now] to [watch|stream] <film> without [advertising|ads|waiting].",
            "[Members|Registered users] see <film> with no [adverts|commercials]; [joining|membership] costs nothing.",
            "An account, [made|opened] in a minute and free, [removes|switches off] the ads around <film>.",
        ],
        [
            "If you [liked|enjoyed|loved] it, you may also [like|want to see|try] <film>.",
            "[Next|Afterwards] we [recommend|suggest] <film> to [everyone|all] who had [fun|a good time].",
            "[Similar|Related] titles such as <film> are [one click away|in our catalogue].",
        ],
    ],
    "property": [
        [
            "For sale: a [bright|charming|spacious] <m> bedroom [flat|apartment|house] on <street> Road in <city>.",
            "On <street> Road, <city>, we [offer|present|list] a home with <m> bedrooms and [plenty of light|much charm].",
            "[Discover|View] this [lovely|inviting] property of <m> bedrooms, [found|located] on <street> Road in <city>.",
        ],
        [
            "It [covers|measures|extends over] <k> square metres and [was built|dates from] in nineteen <n>.",
            "The [building|house] from nineteen <n> [gives|has] its owner <k> square metres [of living space|to live on].",
            "<k> square metres, a [solid|well kept] structure of nineteen <n>: that is [the home|what you get].",
        ],
        [
            "The kitchen [was renewed|is modern|has been refitted] and the [living room|lounge] [opens|leads] to a [sunny|quiet] garden.",
            "A garden [in full sun|without noise] lies behind the lounge, and the kitchen is [new|recent].",
            "[Cooks|Families] will [like|love] the new kitchen, [everyone|children] the garden beyond the sitting room.",
        ],
        [
            "Schools, shops and the [bus|tram] are within <m> minutes [on foot|of walking].",
            "You [walk|need] <m> minutes to [the nearest school|the tram], to shops and the bus.",
            "[Everyday needs|Shopping, schools and transport] can be [met|reached] in <m> minutes.",
        ],
        [
            "[Call|Contact|Phone] <person> today to [arrange|book|fix] a viewing; the price is <k> thousand.",
            "At <k> thousand it will not [wait|stay] long: [ask|ring] <person> for [a viewing|an appointment].",
            "<person> [shows|presents] the home by appointment; <k> thousand is [asked|the asking price].",
        ],
    ],
    "exchange": [
        [
            "Today one <coin> [equals|buys|is worth] <m>.<n> <coin> at the [mid market|interbank] rate.",
            "The [exchange|conversion] rate [stands|was last seen] at <m>.<n> <coin> for [a|every] <coin>.",
            "Whoever [changes|converts] a <coin> now [receives|gets] <m>.<n> <coin>.",
        ],
        [
            "[Over|During|In] the last <n> days the <coin> [gained|rose by|climbed] <d> percent.",
            "[Compared with|Against] <n> days ago the <coin> is [dearer|stronger] by <d> percent.",
            "The chart [shows|reveals] a [rise|gain] of <d> percent for the <coin> in <n> days.",
        ],
        [
            "[Use|Try] our [calculator|converter] to [convert|turn] any [amount|sum] into <coin> [instantly|in a second].",
            "Our converter [works out|computes] what your [money|sum] is in <coin>.",
            "[Type|Enter] a figure above and [read off|see] its value in <coin>.",
        ],
        [
            "Banks [may|often] [charge|ask] up to <d> percent more, so [compare|check] fees before you [send|transfer] money.",
            "[Beware|Mind] that transfers [through banks|at a counter] can cost <d> percent [extra|on top].",
            "A [comparison|glance at the fees] pays off, for [some|many] banks add <d> percent.",
        ],
        [
            "Rates are [for information only|not binding] and [were updated|were refreshed] on <day> <month>.",
            "[Figures|Numbers] of <day> <month>, [given|published] without [guarantee|liability].",
            "We [cannot vouch|take no responsibility] for these rates, [last renewed|fetched] on <day> <month>.",
        ],
    ],
    "recipe": [
        [
            "This [easy|simple|quick] recipe for <dish> is [ready|done|on the table] in <n> minutes and serves <m>.",
            "In [just|only] <n> minutes you [cook|make] <dish> for <m> [people|guests].",
            "<m> [hungry people|portions] and <n> minutes: that is all our <dish> [asks|needs].",
        ],
        [
            "You [need|will need] <k> grams of <food>, some <food> and a [pinch|little|handful] of <food>.",
            "[Ingredients|What goes in]: <food>, <k> grams of <food>, and <food> [to taste|as you like].",
            "[Put|Set] out <k> grams of <food> together with <food> and <food>.",
        ],
        [
            "[Heat|Warm] the pan, [add|stir in] the <food> and [let it cook|simmer] for <m> minutes.",
            "For <m> minutes the <food> [cooks|simmers] in a hot pan [while you stir|under a lid].",
            "[Start|Begin] with the <food>: into the hot pan [it goes|with it], <m> minutes [are enough|will do].",
        ],
        [
            "[Serve|Enjoy] it [hot|warm|at once] with [bread|a salad|rice] and [tell|show] us how it [turned out|tasted].",
            "It [tastes|is] best [warm|fresh] beside [bread|a green salad]; [post|leave] a photo below.",
            "[Bring|Carry] it to the table [steaming|straight away] and [write|share] a comment [later|below].",
        ],
        [
            "[Save|Pin|Bookmark] this page and [subscribe|sign up] for more [recipes|dishes] like <dish>.",
            "More [ideas|recipes] in the manner of <dish> [arrive|come] with our [newsletter|weekly letter].",
            "Our [newsletter|mailing list] [brings|sends] you dishes [as good as|like] <dish> every week.",
        ],
    ],
}

_ZH_DEV: dict[str, list[list[str]]] = {
    "weather": [
        [
            "<city><month><day>日天气[预报|情况|播报]：<sky>，[请市民留意|敬请关注|请大家注意]。",
            "据[气象台|本站|气象部门][预测|预计]，<month><day>日<city>将以<sky>为主。",
            "<sky>——这是<city><month><day>日的[天气|主要天气|总体天气]。",
        ],
        [
            "[白天|全天]最高[气温|温度]<n>摄氏度，夜间最低[气温|温度]<m>摄氏度。",
            "气温[介于|处在]<m>到<n>摄氏度之间，与往年[同期|此时][相当|差不多]。",
            "午后[升至|可达]<n>度，入夜[降到|回落至]<m>度，[温差明显|早晚偏凉]。",
        ],
        [
            "西风<m>级，空气[相对湿度|湿度]百分之<n>，空气质量[良好|尚可|优良]。",
            "湿度约为百分之<n>，[吹|刮]<m>级偏西风，[污染较轻|适合开窗]。",
            "风力<m>级，风向偏西，[水汽|湿度]达到百分之<n>。",
        ],
        [
            "[出门|外出][请|记得]带[伞|好雨具]，并[适当|及时]增减衣物，祝<city>的朋友[愉快|顺心]。",
            "在<city>[出行|户外活动]的朋友[最好|建议]备一把[雨伞|伞]，多[穿|加]一件外套。",
            "给<city>居民的[提醒|建议]：衣服[分层穿|多备几件]，[雨具|雨伞]随身带。",
        ],
        [
            "[更多|最新]<city>天气[信息|资讯]请[随时|继续|每日][关注|收藏|查看]本页。",
            "本站每[小时|天][更新|刷新]<city>的数据，欢迎[再来|常来]查询。",
            "下一次<city>天气[通报|预报]将在[一小时|六十分钟]内[发布|推出]。",
        ],
    ],
    "hotel": [
        [
            "想在<city>[找|订|预订]一家[实惠|便宜|划算]的酒店吗？<street>路的<person>旅馆[等着您|欢迎您|期待您的光临]。",
            "<person>旅馆[位于|坐落在|地处]<city><street>路，是[深受好评|人气很高|口碑不错]的住处。",
            "来<city>的[旅客|游客|客人][常常|多半|往往]选择<street>路上的<person>旅馆。",
        ],
        [
            "[全店|酒店]共有<n>间客房，[均配有|都带有]独立卫浴、[平板电视|大屏电视]和免费[无线网络|上网]。",
            "<n>间房[里|内][无线上网|网络]不收费，[浴室|卫生间]和电视一应俱全。",
            "住客可在<n>间[房|客房]中挑选，[电视|彩电]、浴室、[宽带|网络]都[齐备|包含在内]。",
        ],
        [
            "房价每晚<n>元[起|左右]，[含|包括]双人早餐。",
            "只要<n>元就能[住|入住]一晚，还[送|附赠][丰盛|热腾腾]的早餐。",
            "[早餐加住宿|连住带吃]一晚[低至|仅需]<n>元。",
        ],
        [
            "[距离|离]<city>[火车站|机场][仅|只有]<m>分钟[车程|路程]，停车[免费|方便]。",
            "<m>分钟即可[到达|抵达][车站|机场]，自驾的客人[免费|可以随意]停车。",
            "[车位|停车位]不收钱，到[高铁站|车站]也不过<m>分钟，[交通|出行]十分便利。",
        ],
        [
            "[现在|即刻|马上][预订|下单]可[享受|获得]<city>住宿最高百分之<m>的[优惠|折扣]。",
            "[提前|今天]在本站订房的[客人|会员]最多[省|节省]百分之<m>，仅限<city>。",
            "[点击|按下]下方按钮，[领取|锁定]<city>酒店百分之<m>的[折扣|立减]。",
        ],
    ],
    "job": [
        [
            "<city>一家公司[诚聘|急招|招聘]<role>一名，[要求|希望][认真负责|踏实肯干]。",
            "[招聘|职位|岗位]：<role>，工作地点<city>，[全职|长期]，<month>[到岗|上班]。",
            "您想[从事|做]<role>吗？<city>[一家老牌企业|一个发展中的团队][正等您加入|虚位以待]。",
        ],
        [
            "[应聘者|求职者][须|应]有<m>年以上[工作经验|从业经历]，[善于|乐于]团队合作。",
            "<m>年[经验|经历]和[协作精神|合作意识]是[用人单位|公司][看重|要求]的。",
            "我们[看重|需要]能与同事[配合|合作]、干过<m>年的[人选|人才]。",
        ],
        [
            "[月薪|待遇]<n>百元，[另有|外加]五险一金和每年<m>天[年假|带薪假]。",
            "[报酬|工资]为每月<n>百元，<m>天假期，社保[齐全|按规定缴纳]。",
            "[公司|单位]提供五险一金、<m>天休假以及<n>百元的[月工资|月收入]。",
        ],
        [
            "[有意者|感兴趣的朋友]请于<month><day>日前将简历[发给|寄给|交给]<person>。",
            "<person>[负责接收|统一受理]简历，[截止|报名截至]<month><day>日。",
            "如果[合适|感兴趣]，[请|欢迎]在<month><day>日以前带上简历[联系|找]<person>。",
        ],
        [
            "[本公司|我们][不限|不问]性别、年龄和籍贯，<city>的朋友都[欢迎|可以]报名。",
            "[机会均等|公平录用]，<city>的每位[申请人|应聘者]都会得到[同样|平等]的对待。",
            "无论[来自哪里|年纪大小]，凡在<city>[求职|找工作]的人均可[应聘|投递]。",
        ],
    ],
    "download": [
        [
            "[免费|立即|高速]下载<app><m>.<d>版，[支持|适用于][电脑和手机|各种系统]，[安全无毒|放心使用]。",
            "<app>[已更新到|推出了]<m>.<d>版本，本站[提供|带来][官方|绿色]安装包。",
            "[这里|本页][为您|给大家]准备了<app><m>.<d>的安装程序，[经过杀毒|安全可靠]。",
        ],
        [
            "[新版|本次更新][修复|解决]了<n>处[错误|问题]，[启动|打开]速度更快。",
            "[开发者|作者]称[改正|修补]了<n>个[漏洞|毛病]，[运行|启动]也[更流畅|更省时间]。",
            "启动[变快了|时间缩短]，<n>个[已知|用户反映]的故障不再[出现|存在]。",
        ],
        [
            "文件[大小|体积]为<n>兆，[累计|目前]下载<k>次。",
            "[已有|超过]<k>位[用户|网友]下载了这个<n>兆的[软件|安装包]。",
            "<n>兆的[压缩包|软件]，<k>次下载，[人气|热度][居高不下|名列前茅]。",
        ],
        [
            "安装<app>时[双击|运行]文件，[同意|接受][许可协议|条款]，按[提示|步骤]完成即可。",
            "<app>的安装[十分简单|并不复杂]：[打开|双击]文件，[勾选|同意]协议，[稍候片刻|等待结束]。",
            "[接受|同意]协议之后，向导会[自动|一步步]把<app>[装好|安装完毕]。",
        ],
        [
            "如果链接[失效|打不开|不能用]，请[留言|联系我们]，我们会[尽快|及时][补上|修复]。",
            "[发现|遇到]死链可以[反馈给|告诉]本站，[一天内|很快]就会[更换|更新]。",
            "[下载没有反应|点了没动静]的话，[换一个|另选]镜像，或者给我们[留个言|写信]。",
        ],
    ],
}

_ZH_TEST: dict[str, list[list[str]]] = {
    "film": [
        [
            "[在线观看|免费观看|高清播放]《<film>》完整版，[中文字幕|双语字幕]，[手机电脑|各种设备]都能看。",
            "《<film>》[已上线|现已开播]，本站[提供|带来]高清[画质|片源]和字幕。",
            "[影迷|观众]可在这里[欣赏|收看]《<film>》，画面清晰，[没有卡顿|播放流畅]。",
        ],
        [
            "影片由<person>[执导|导演]，<month>[上映|公映]，[剧情扣人心弦|情节感人|故事精彩]。",
            "[导演|名导]<person>的这部[新作|力作|代表作]于<month>[登陆影院|与观众见面]。",
            "自<month>[首映|上映]以来，<person>的[这部电影|作品][打动|征服]了许多人。",
        ],
        [
            "片长<k>分钟，[网友|观众][评分|打分]<m>分（满分十分）。",
            "[看过的人|网友]给这<k>分钟的[影片|故事]打了<m>分，十分为满。",
            "十分里[得到|拿下]<m>分，[时长|全片]共<k>分钟。",
        ],
        [
            "[注册|加入]会员[即可|就能][无广告|跳过广告]观看《<film>》，[完全免费|不花一分钱]。",
            "[会员|登录用户]看《<film>》没有[广告|插播]，[申请|开通]不收费。",
            "[花一分钟|现在]开个账号，《<film>》前后的广告就[消失|关闭]了，[分文不取|全程免费]。",
        ],
        [
            "[喜欢|看完]本片的朋友[还可以|不妨]看看《<film>》。",
            "[接下来|随后]我们向[各位|大家][推荐|介绍]《<film>》。",
            "[同类|相关]影片如《<film>》也在[片库|目录]里，[一点就看|点击即播]。",
        ],
    ],
    "property": [
        [
            "[出售|急售|转让]：<city><street>路<m>室[住宅|公寓|套房]，[采光好|南北通透|户型方正]。",
            "<city><street>路[现有|新上]一套<m>居室，[阳光充足|明亮宽敞]，[诚意|低价]出让。",
            "[欢迎|诚邀]看房：这套<m>室的[房子|好房]就在<city><street>路。",
        ],
        [
            "[建筑面积|面积]<k>平方米，[建于|竣工于]一九<n>年。",
            "一九<n>年的[楼龄|房子]，[使用|居住]面积有<k>平方米。",
            "<k>平方米，一九<n>年[落成|交房]，[结构|质量][结实|可靠]。",
        ],
        [
            "厨房[全新|刚装修]，客厅[外面|连着][花园|小院]，[安静|向阳]。",
            "[小院|花园]就在客厅[后面|旁边]，[做饭的地方|厨房]也[翻新|换新]过。",
            "[爱下厨的人|一家人]会喜欢[新厨房|翻新的厨房]，[孩子|老人]可以在院子里[玩|散步]。",
        ],
        [
            "[步行|走路]<m>分钟到学校、[超市|商场]和[公交站|地铁站]。",
            "[上学|买菜]、坐车都在<m>分钟[之内|以内]。",
            "[周边|附近]配套[齐全|完善]，<m>分钟[可达|走到][学校|公交站]与[商店|菜场]。",
        ],
        [
            "[售价|要价]<k>万，[看房|详情]请[致电|联系]<person>。",
            "[找|联系]<person>[约时间|预约]看房，<k>万[即可成交|就能拿下]。",
            "<person>[随时|按预约]带看，[总价|标价]<k>万，[欲购从速|先到先得]。",
        ],
    ],
    "exchange": [
        [
            "今日汇率：一<coin>[兑换|兑|合]<m>.<n><coin>，[按中间价|以市场价]计算。",
            "[最新|当前]牌价显示，[每|一]<coin>可[换|兑]<m>.<n><coin>。",
            "现在[拿|用]一<coin>去换，能[得到|拿到]<m>.<n><coin>。",
        ],
        [
            "[最近|过去]<n>天，<coin>[上涨|升值]了百分之<d>。",
            "与<n>天前[相比|比较]，<coin>[贵了|走强]百分之<d>。",
            "[走势图|曲线]上看，<n>天里<coin>的[涨幅|升幅]是百分之<d>。",
        ],
        [
            "[使用|试试]我们的换算器，[任意|任何]金额[立刻|一秒]换成<coin>。",
            "[换算器|计算工具]会[算出|告诉您]这笔钱[等于|值]多少<coin>。",
            "在上方[输入|填写]数字，[即可|马上]看到折合多少<coin>。",
        ],
        [
            "银行[可能|往往]多收百分之<d>，[汇款|转账]之前请[比较|核对]手续费。",
            "[注意|提醒您]：[柜台|通过银行]汇款会[贵|多花]百分之<d>。",
            "[货比三家|比较一下]总是[值得|划算]的，[有些|不少]银行要加收百分之<d>。",
        ],
        [
            "[数据|汇率]仅供参考，[更新|刷新]于<month><day>日。",
            "<month><day>日的[数字|牌价]，[本站不作保证|不构成建议]。",
            "[以上|这些]汇率[取自|截至]<month><day>日，本站[概不负责|不承担责任]。",
        ],
    ],
    "recipe": [
        [
            "这道[简单|家常|快手]<dish>只要<n>分钟就能[做好|上桌]，够<m>个人吃。",
            "[花|用]<n>分钟，您就可以为<m>位[客人|家人][端出|做出]<dish>。",
            "<m>人份，<n>分钟，这就是<dish>的[全部要求|做法所需]。",
        ],
        [
            "[准备|需要]<food><k>克、<food>[少许|适量]和一[点|撮]<food>。",
            "[用料|材料]：<food>，<food><k>克，<food>[随口味|按喜好]添加。",
            "[备好|取出]<k>克<food>，再[配上|加上]<food>与<food>。",
        ],
        [
            "[锅烧热|热锅]，[下|放入]<food>，[炒|煮]<m>分钟。",
            "<food>在[热锅|油锅]里[翻炒|焖]<m>分钟，[不停|不时]搅动。",
            "先[处理|来做]<food>：[倒进|放入]烧热的锅，<m>分钟[就够|即可]。",
        ],
        [
            "[趁热|马上][享用|上桌]，配[米饭|馒头]更[香|好吃]，做完[记得|欢迎]告诉我们[味道|结果]。",
            "[热着|刚出锅]最[美味|可口]，[就着|搭配]米饭，[晒|发]一张照片在下面吧。",
            "[端上|送到]餐桌，[热气腾腾|香味扑鼻]，[回头|之后]别忘了[留言|评论]。",
        ],
        [
            "[收藏|保存]本页并[订阅|关注]我们，[学习|获取]更多像<dish>这样的[菜谱|做法]。",
            "想要[更多|其他]<dish>一类的[点子|食谱]，[每周|定期][推送|来信]会带给您。",
            "我们的[周报|公众号]每星期[送上|介绍]和<dish>一样[好做|好吃]的菜。",
        ],
    ],
}

_PROSE: dict[str, dict[str, str]] = {
    "en": {
        "weather": """My grandmother judged a day by the smell of the harbour. If Bergen reeked of kelp before breakfast she hung the washing indoors, and no forecast ever talked her out of it.
The storm that took the roof of the boathouse in Galway had been announced for three days, yet nobody had moved the nets, because the same voice had cried wolf all autumn.
Meteorologists measure humidity with a strip of treated hair even now; it lengthens when the air is damp, and a lever turns that tiny stretch into a reading.
Fog is cheap theatre. It hid the cranes at Dundee so completely that the ferry sounded as if it were arriving from another century.""",
        "hotel": """The night clerk kept a parrot behind the desk and blamed it for every wrong bill. We forgave him, mostly for the soup he brought up when my fever would not break.
Hotels changed when the railway came to Turin: rooms were suddenly let by the night to strangers, and porters learned to read a traveller by the state of his boots.
I asked for a quiet room and got the one above the bakery. At four the ovens roared, at five the smell was so good that I stopped being angry.
A breakfast buffet is an exam in character. Watch who takes the last pear, who counts the rolls, and who folds a napkin round an egg for the train.""",
        "job": """After eleven years as a welder my father could tell steel from the sound it made falling. He never wrote a letter of application in his life and distrusted those who did.
The first translator hired by the port of Haifa was paid by the word, which explains why the early contracts are so splendidly long.
Unemployment figures count those who seek; they say nothing about the ones who have stopped looking, or about the cashier who would gladly work twice her hours.
She had prepared answers about her weaknesses and was asked instead to sharpen a pencil with a knife. They hired her before the shavings hit the floor.""",
        "download": """The patch that broke our payroll was eleven bytes long. Someone had corrected the spelling of a field name, and forty machines forgot how to divide.
Before networks reached us, programs travelled in shoeboxes. A friend in Utrecht would copy a disk, post it, and telephone a week later to ask which of the games had survived.
Installers ask for consent the way waiters ask whether everything is fine: the answer is expected to be yes, and nobody has read the terms.
Checksums are promises about sameness. They cannot tell you that a file is good, only that it is the file somebody once meant.""",
        "film": """What stays with me from the picture is not its ending but a kettle. It boils through the whole quarrel and nobody gets up, and you understand that the marriage is over.
The projectionist in Cadiz cut out every kiss and kept them in a tin; when he died his nephew ran the tin from end to end, forty minutes of strangers embracing.
Critics praised the long take, yet the long take was an accident: the second camera had jammed and the director was too proud to shout.
Subtitles taught me Danish swearing and nothing else, which turned out to be enough for a summer in the shipyard.""",
        "property": """They bought the house for its pear tree and lost the tree in the first winter. For years afterwards they quarrelled about the kitchen when they meant the tree.
Surveyors in Krakow found that no two walls of the old granary met at a right angle, and that this was precisely why it had not fallen.
Rent control began as a wartime measure against speculation and outlived the war, the government that wrote it and most of the first tenants.
My uncle sold flats by saying little. He opened the window, waited until the buyer heard the river, and only then mentioned the stairs.""",
        "exchange": """During the inflation my great-aunt was paid twice a day so that she could shop at noon. She kept one banknote with eleven zeros as a bookmark in her hymnal.
A currency peg is a promise that invites a bet against it. The bank must be right every morning; the speculator needs to be right once.
At the border the money changer weighed our coins instead of counting them, then paid us in stamps, which were, he explained, steadier than the crown.
Economists still argue whether the devaluation helped exporters at all, since most of what they sold contained parts bought abroad.""",
        "recipe": """Nobody in the family has the recipe for the plum jam, because there was none. Grandfather stirred until the spoon stood, and he was the only one who knew how a spoon should stand.
Salt was dearer than meat in that valley, so the dumplings were boiled in broth from the smoked ham and nobody missed what they had never tasted.
The chemistry of caramel is badly understood for something children can make. Hundreds of compounds form, and a good half of them have no name yet.
I burnt the risotto on the evening I meant to propose. We ate bread and pickled onions on the fire escape, and she asked me instead.""",
    },
    "zh": {
        "weather": """外婆看云不看电视。她说云脚发毛就要收被子，有一年全村都信了广播，只有我家的被子是干的。
那场台风预报了三天，渔民却没有收网，因为整个秋天广播里喊了太多次“狼来了”。
古人用木炭测湿度：天平一头放土，一头放炭，空气一潮，炭就沉下去，简单得让人佩服。
雾把江上的吊车全遮住了，汽笛声像从上个世纪传来，我在码头站了很久，忘了自己要坐哪班船。""",
        "hotel": """夜里值班的老头养了一只八哥，算错了账就赖它。我们都不计较，因为我发烧那晚他端来过一碗姜汤。
铁路修通以后，洛阳的大车店才变成了按夜收钱的旅社，跑堂的也学会了看鞋子猜客人的来路。
我要了一间安静的屋子，结果楼下是豆腐坊，凌晨三点开始磨豆子，五点飘上来的豆香让我没了脾气。
看一个人怎样吃自助早餐，大概就能知道他怎样过日子：有人先拿水果，有人数包子，有人偷偷包一个鸡蛋带上车。""",
        "job": """父亲做了十一年焊工，听铁块落地的声音就知道是什么钢。他一辈子没写过简历，也不大信得过写简历的人。
清末海关雇的第一批翻译按字数领钱，难怪早年的合同都写得又长又漂亮。
失业率只统计正在找工作的人，那些已经不找的，还有想多干几个钟头而不得的收银员，都不在数里。
她准备了一肚子关于缺点的回答，对方却只递来一把小刀让她削铅笔，木屑还没落地，人就录用了。""",
        "download": """让工资系统瘫痪的那个补丁只有十一个字节：有人改正了一个字段的拼写，四十台机器便忘了怎么做除法。
没有网络的年代，程序是装在鞋盒里旅行的。朋友拷好一张盘寄来，一个星期后再打电话问哪几个游戏还活着。
安装程序问你同不同意，就像服务员问菜合不合口味，谁都知道该点头，谁也没有看过条文。
校验和只能担保文件没有变，不能担保文件是好的，这一点连许多工程师也常常忘记。""",
        "film": """这部电影留给我的不是结局，而是一把水壶。夫妻吵架时水一直开着，没有人起身，于是你明白这个家已经散了。
县城的放映员把所有接吻的镜头剪下来存在铁盒里，他去世以后侄子把胶片接起来放了一遍，全是陌生人的拥抱。
评论家夸那个长镜头大胆，其实那是一次事故：副机卡住了，导演又拉不下脸喊停。
我从字幕里只学会了骂人的丹麦话，没想到在船厂打工的那个夏天，这些竟然够用了。""",
        "property": """他们为了一棵梨树买下那个院子，头一年冬天树就冻死了。后来几年他们总为厨房争吵，其实争的是那棵树。
测绘的人发现老粮仓没有两面墙是垂直的，而这恰恰是它没有倒的原因。
租金管制本是战时为了防止囤积，后来战争结束了，写法令的政府也不在了，它却活了下来。
舅舅卖房子话很少，他推开窗，等客人听见河水声，才慢慢提起楼梯有点陡。""",
        "exchange": """通货膨胀最厉害的时候，姑婆一天领两次工钱，中午就得把它花掉。她留着一张十一个零的票子夹在书里当书签。
固定汇率是一句引人下注的诺言：央行必须每天早上都对，投机的人只要对一次。
边境上换钱的人不数硬币，只用秤称，然后付给我们邮票，他说邮票比纸币稳当。
贬值到底有没有帮到出口商，经济学家至今没有吵完，因为他们卖的东西里一大半零件是进口的。""",
        "recipe": """家里没有人知道那坛酱的方子，因为根本没有方子。爷爷搅到筷子能立住为止，而筷子该怎么立只有他知道。
那个山谷里盐比肉贵，饺子便用熏腿的汤来煮，没尝过咸味的人也就不觉得缺了什么。
焦糖的化学到今天也没弄清楚，几百种化合物里有一半还没有名字，而三岁小孩都会把糖熬黄。
打算求婚的那天晚上我把饭烧糊了，两个人坐在楼梯上啃馒头就咸菜，最后是她先开的口。""",
    },
}

DEV = tuple(_EN_DEV)
TEST = tuple(_EN_TEST)
_WORDINGS: dict[str, dict[str, list[list[str]]]] = {"en": _EN_DEV | _EN_TEST, "zh": _ZH_DEV | _ZH_TEST}
_CHOICE, _SLOT = re.compile(r"\[([^\]]+)\]"), re.compile(r"<(\w+)>")


def families(part: str) -> tuple[str, ...]:
    """The families of a part: "dev", "test" or "all"."""
    return {"dev": DEV, "test": TEST, "all": DEV + TEST}[part]


def planted(family: str, lang: str, spread: str, count: int, seed: int) -> list[Planted]:
    """`count` documents that say what `family` says, each drawn on its own; the same arguments give the same documents."""
    named = (*DEV, *TEST).index(family) * 8 + LANGS.index(lang) * 4 + SPREADS.index(spread)
    random = np.random.default_rng([seed, named])
    return [Planted(lang, family, spread, _document(_WORDINGS[lang][family], lang, spread, random)) for _ in range(count)]


def prose(family: str, lang: str) -> list[Planted]:
    """Hard negatives: each a block of its own about the family's topic that shares no wording with the template."""
    return [Planted(lang, f"{family}, prose", "", (line,)) for line in _PROSE[lang][family].splitlines()]


def _document(moves: list[list[str]], lang: str, spread: str, random: np.random.Generator) -> tuple[str, ...]:
    order = list(range(len(moves)))
    if spread == "spun":
        order = random.permutation(order)[: len(moves) - int(random.integers(2))].tolist()
    sentences = []
    for move in order:
        wording = moves[move][int(random.integers(len(moves[move]))) if spread in ("sentences", "spun") else 0]
        sentences.append(_fill(wording, lang, spread != "slots", random))
    join = " " if lang == "en" else ""
    return join.join(sentences[:2]), join.join(sentences[2:])


def _fill(wording: str, lang: str, vary: bool, random: np.random.Generator) -> str:
    def choose(match: re.Match[str]) -> str:
        options = match[1].split("|")
        return options[int(random.integers(len(options)))] if vary else options[0]

    def value(match: re.Match[str]) -> str:
        ranges = {"n": (11, 99), "m": (2, 9), "d": (1, 9), "k": (101, 990), "day": (1, 28)}
        if match[1] in ranges:
            return str(random.integers(*ranges[match[1]]))
        pool = _SLOTS[lang][match[1]]
        values = pool.split(";") if ";" in pool else pool.split()
        return values[int(random.integers(len(values)))]

    text = _SLOT.sub(value, _CHOICE.sub(choose, wording))
    return text[0].upper() + text[1:]


def main() -> None:
    parser = argparse.ArgumentParser(description="Print planted templates and hard negatives.")
    parser.add_argument("--lang", choices=LANGS, default="en")
    parser.add_argument("--spread", choices=SPREADS, default="spun")
    parser.add_argument("--count", type=int, default=2, help="documents of each family")
    options = parser.parse_args()
    for family in families("all"):
        for document in planted(family, options.lang, options.spread, options.count, 1) + prose(family, options.lang)[:1]:
            print(f"{document.family}: " + " / ".join(document.blocks))


if __name__ == "__main__":
    main()
