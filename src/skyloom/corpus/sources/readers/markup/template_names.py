"""The names of wiki templates, by what a reader sees of them, in the English and the Chinese encyclopedia.

Input: nothing. Output: tables for `templates.py`; names are in lower case, with spaces.
"""

FIRST = frozenset((
    "nowrap|nobr|nobreak|small|smaller|big|bigger|larger|em|strong|bold|b|i|italic|italics|underline|u|sic|abbr|abbrlink|"
    "tooltip|mvar|math|nobold|noitalic|normal|center|smallcaps|sc|sc2|smallcaps2|mono|code|tt|kbd|var|samp|key|keypress|"
    "linktext|ipa-text|flag|flagcountry|flagu|not a typo|typo|proper name|no break|box|strike|wbr2|script|big5|僻字|僻|缺字|"
    "!!|标点|專名號|专名号|书名号|書名號|nowraplinks|angle bracket|angbr|bracket|resize|text|lc|uc|ucfirst|lcfirst|lower|"
    "upper|visible anchor|vanchor|anchor text|highlight|mark|definition|term|defn|dfn|no italic|okina word|bibleverse|"
    "us route|interstate|currency|price|inline quote|q|'|tq|quote inline|mono text|字体|小|大|粗体|斜体|不换行|不換行|"
    "nowrap begin text|en link|country|国|國家|国家|國旗|国旗|地区|地區|年|年份|cn year|西元|公元|ja-lang|visible|"
    "unichar text|plain text|plaintext|linktext2|no wrap|ifsubst|linkless|r2|keyword|nobreaks|zy|ruby-base|s|del|ins|hanja|"
    "pinyin|py|jyutping|wiktlang|blackletter|nastaliq"
).split("|"))  # fmt: skip
SECOND = frozenset((
    "color|colour|font color|fontcolor|font|sort|hs|bgcolor|background color|fc|语言|语言文本|wikt-lang|wt|sortkey|颜色|顏色|"
    "字色|langx|span|style"
).split("|"))  # fmt: skip
LAST = frozenset((
    "lang|lang2|langr|language|wikilang|transliteration|script/hebrew|script/arabic|script/greek|script/slavonic|語言|"
    "lang-latn|transl|respell text|hebrew|unicode|polytonic|gk|grc|lang-grc-gre|nihongo text"
).split("|"))  # fmt: skip
LINK = frozenset((
    "link|ill|interlanguage link|interlanguage link multi|illm|ilm|iw|internal link helper|le|lj|lk|lf|lg|lr|跨语言链接|"
    "跨語言連結|链接|連結|红链|紅鏈|link-wd"
).split("|"))  # fmt: skip
QUOTES = frozenset((
    "quote|blockquote|cquote|quotation|quote box|quotebox|bq|centered pull quote|pull quote|poemquote|poem quote|"
    "verse translation|引用|引文|引述|語錄|语录|诗|詩|诗歌|blockquote2|rquote|quote frame|大引用|引言"
).split("|"))  # fmt: skip
LISTS = frozenset((
    "plainlist|flatlist|hlist|ubl|unbulleted list|ublist|bulleted list|ordered list|columns-list|col-list|div col list|"
    "cslist|csl|pagelist|plain list|无项目符号列表|列表|水平列表|并列|横列"
).split("|"))  # fmt: skip
CURRENCIES = {
    "us$": "US$", "usd": "US$", "us dollar": "US$", "$": "$", "£": "£", "gbp": "£", "gb£": "£", "pound sterling": "£", "€": "€",
    "eur": "€", "euro": "€", "¥": "¥", "jpy": "¥", "jp¥": "¥", "yen": "¥", "cny": "¥", "cn¥": "¥", "rmb": "¥", "人民币": "¥",
    "人民幣": "¥", "人民币元": "¥", "renminbi": "¥", "hkd": "HK$", "hk$": "HK$", "港元": "HK$", "港币": "HK$", "港幣": "HK$",
    "ntd": "NT$", "nt$": "NT$", "twd": "NT$", "新台币": "NT$", "新臺幣": "NT$", "新台幣": "NT$", "mop": "MOP$", "inr": "₹",
    "indian rupee": "₹", "rupee": "₹", "krw": "₩", "won": "₩", "rub": "₽", "aud": "A$", "a$": "A$", "cad": "C$", "c$": "C$",
    "sgd": "S$", "chf": "CHF ", "美元": "US$", "欧元": "€", "歐元": "€", "英镑": "£", "英鎊": "£", "日圆": "¥", "日圓": "¥",
    "日元": "¥", "nz$": "NZ$", "nzd": "NZ$", "brl": "R$", "mxn": "Mex$",
}  # fmt: skip
MARKS = {
    "snd": " – ", "spnd": " – ", "spaced ndash": " – ", "spaced en dash": " – ", "ndash": "–", "en dash": "–", "nd": "–",
    "endash": "–", "emdash": "—",
    "mdash": "—", "em dash": "—", "spaced mdash": " — ", "spaced em dash": " — ", "--": "—", "!": "|", "=": "=", "(": "{",
    ")": "}", "!(": "[", ")!": "]", "·": " · ", "dot": " · ", "middot": " · ", "•": " • ", "bull": " • ", "bullet": " • ",
    "nbsp": " ", "space": " ", "sp": " ", "thinsp": " ", "thin space": " ", "hair space": " ", "zwsp": "", "zwj": "", "shy": "",
    "wbr": "", "pi": "π", "times": "×", "x": "×", "minus": "−", "--)": "−", "plusminus": "±", "±": "±", "dagger": "†", "'": "'",
    "'s": "'s", "\"'": "\"'", "'\"": "'\"", "·wrap": " · ", "okina": "ʻ", "hamza": "ʾ", "ayin": "ʿ", "ellipsis": "…",
    "...": "…", "省略": "……", "co2": "CO_2", "h2o": "H_2O", "euler": "e", "infin": "∞", "degree": "°", "degrees": "°",
    "deg": "°", "prime": "′", "pprime": "″", "sharp": "♯", "music": "♯", "flat": "♭", "ya": "✓", "yes": "Yes", "no": "No",
    "是": "是", "否": "否", "¢": "¢", "br": "\n", "crlf": "\n", "clear": "", "-": "", "tm": "™", "number sign": "#",
    "no.": "No. ", "ad": "AD ", "bc": " BC", "bce": " BCE", "ce.": " CE", "·b": " · ", "—": "—", "–": "–",
}  # fmt: skip
FURNITURE_WORDS = (
    "infobox", "cite", "citation", "navbox", "sidebar", "sfn", "efn", "harv", "refn", "reflist", "ref ", "ref-", "pp-",
    "use ", "short desc", "redirect", "distinguish", "for ",
    "portal", "authority", "commons", "sister", "wiki", "wikt", "refimprove", "more ", "unreferenced", "unref",
    "one source", "blp", "multiple issues", "cleanup", "orphan", "notice", "rp", "r ", "webarchive", "dead link",
    "flagicon", "flag icon", "multiple image", "gallery", "wide image", "panorama",
    "clear", "stub", "good article", "featured", "protected", "original research",
    "npov", "copy edit", "in use", "noteta", "taxobox", "speciesbox", "automatic tax",
    "geobox", "chembox", "drugbox", "starbox", "track listing", "tracklist", "location map",
    "maplink", "mapframe", "s-", "succession", "start ", "end ", "div col", "col-", "colbegin", "col ", "refbegin",
    "refend", "isbn", "issn", "doi", "oclc", "pmid", "arxiv", "bibcode", "jstor", "official website", "imdb",
    "find a grave", "dmoz", "curlie", "gutenberg", "internet archive", "librivox", "youtube", "twitter", "facebook", "by ",
    "clarify", "clar", "dubious", "disputed", "verify",
    "better source", "page needed", "citation needed", "full citation", "self-pub", "according", "inflation/", "anchor",
    "subst", "hatnote", "italic title", "italictitle", "displaytitle", "lowercase", "信息框", "資訊框", "导航", "導航",
    "消歧义", "消歧義", "来源", "來源", "需要", "小作品", "维基", "維基", "主条目", "主條目", "参见", "參見", "另见", "另見",
    "關於", "关于", "重定向", "注释", "註釋", "脚注", "腳註", "参考", "參考", "多个问题", "多個問題", "更新", "优良", "優良",
    "典范", "典範", "特色", "分类", "分類", "模板", "引证", "音频", "音頻", "图片", "圖片", "图标", "圖標", "未完成", "翻译",
    "翻譯", "扩充", "擴充", "拒绝", "不要", "權威", "权威", "規範控制", "规范控制", "官方", "中立", "可疑",
)  # fmt: skip
FURNITURE_WHOLE = frozenset((
    "end|main|see|about|other|by|who|when|where|which|why|dead|lead|note|tone|current|trans|image|album|chart|graph|icon|update|user|"
    "details|further|merge|official|expand|primary|failed|vague|listen|audio|url|pp|pov|toc"
).split("|"))  # fmt: skip
"""Furniture by its first word as a whole: as the beginning of another word it says nothing (`endash`, `mainland`, `bytes`)."""
FURNITURE = frozenset((
    "endflatlist|endplainlist|endhlist|seealso|mainarticle|otheruses|otheruse|otheruses4|updated|merged|"
    "whom|notetag|notefoot|notes|notelist|tocright|tocleft|toclimit|mergeto|mergefrom|mergewith|officialsite|seemain|details3|"
    "cn|fact|rs|or|ol|vn|np|rp|r|ref|refs|fn|an|en|nb|notelist|not|dn|disambig|dab|disambiguation|hndis|geodis|good|fa|ga|ac|"
    "coi|db|ads|advert|tense|nofootnotes|no footnotes|more footnotes|inline|sources|source|doc|documentation|skip to toc|"
    "hidden|collapse|collapse top|collapse bottom|void|null|tl|break|pb|parabr|defaultsort|dl|ds|请求来源|來源請求|来源请求|"
    "cfact|cref|cite2|注|註|附注|備註|备注|refgroup|bots|nobots|dynamic list|incomplete list|flagdeco|flagicon|noflag|"
    "dagger2|ffa|unbulleted|地图|地圖|地理座标|link fa|link ga|link gl|fl|sm|wp|cc|portalbar|portal bar|subject bar|nat|"
    "taxonbar|medref|medical|quote requires|spoken|align|float|stack|stack begin|stack end|-3|-2|·r|legend|color box|legend0|"
    "pie chart|bar box|family tree|familytree|chart top|tree chart|ahnentafel|routemap|noteta|notetaa|cjk-new-char|redirect2|"
    "hat|lang icon|lang-icon|en icon|zh icon|ja icon|de icon|fr icon|ru icon|es icon|it icon|ja|icon|in lang|死链|失效链接|"
    "失效鏈接|vfd"
).split("|"))  # fmt: skip
RANGES = {
    "to": " to ", "-": "–", "–": "–", "and": " and ", "or": " or ", "by": " by ", "x": " × ", "×": " × ", "xx": " × ",
    "+/-": " ± ", "±": " ± ", "+": " + ", "to(-)": " to ", "and(-)": " and ", "*": " × ", ",": ", ", "to about": " to about ",
    "，": "，", "至": "至", "到": "到", "和": "和", "或": "或", "~": "~",
}  # fmt: skip
UNITS = {
    "sqmi": "sq mi", "sqft": "sq ft", "sqyd": "sq yd", "sqkm": "km^2", "sqm": "m^2", "cuft": "cu ft", "cumi": "cu mi",
    "cuyd": "cu yd", "cuin": "cu in", "sqin": "sq in", "c": "°C", "C": "°C", "F": "°F", "K": "K", "kph": "km/h", "kn": "knots",
    "kt": "knots", "nmi": "nautical miles", "acre": "acres", "long ton": "long tons", "LT": "long tons", "ST": "short tons",
    "short ton": "short tons", "t": "t", "usgal": "US gallons", "impgal": "imperial gallons", "Mi": "mi", "mile": "miles",
    "foot": "feet", "inch": "inches", "meter": "metres", "metre": "metres", "ha": "ha", "°C": "°C", "°F": "°F",
    "kg/m3": "kg/m^3", "/km2": "per km^2", "/sqmi": "per sq mi", "PD/km2": "per km^2", "m/s2": "m/s^2", "km3": "km^3",
    "m3/s": "m^3/s", "cuft/s": "cu ft/s", "u.s.gal": "US gallons", "USgal": "US gallons", "C-change": "°C", "F-change": "°F",
    "um": "µm", "uL": "µL", "ug": "µg",
}  # fmt: skip
UNITS_ZH = {
    "km": "公里", "m": "米", "cm": "厘米", "mm": "毫米", "mi": "英里", "ft": "英尺", "in": "英寸", "yd": "码", "nmi": "海里",
    "kg": "公斤", "g": "克", "t": "吨", "lb": "磅", "km2": "平方公里", "m2": "平方米", "sqmi": "平方英里", "sqft": "平方英尺",
    "ha": "公顷", "acre": "英亩", "m3": "立方米", "km3": "立方公里", "l": "升", "L": "升", "km/h": "公里每小时",
    "m/s": "米每秒", "mph": "英里每小时", "kn": "节", "oz": "盎司", "hp": "马力", "kW": "千瓦", "MW": "兆瓦",
    "sqkm": "平方公里", "acres": "英亩",
}  # fmt: skip
MONTHS = "January February March April May June July August September October November December".split()
