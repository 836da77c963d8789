"""The texts of the page of an evaluation in Chinese, by their English. What the run page also says is in `page_words`."""

EVALUATION_CHINESE = {
    "units of text: one Han, kana or hangul character, or one word of any other script (skyloom.core.units)": (
        "文本单位，即一个汉字、假名或谚文字符，或其他文字的一个词（skyloom.core.units）"
    ),
    "Models": "模型",
    "Perplexity": "困惑度",
    "Benchmarks": "基准测试",
    "Comparison": "对比",
    "What was opened, and how it computed. The first model is what the others are compared with.": (
        "打开了什么模型，以及如何计算。其他模型都与第一个模型相比。"
    ),
    "What was opened, and how it computed.": "打开了什么模型，以及如何计算。",
    "vocabulary": "词表",
    "context, tokens": "上下文（词元）",
    "computed in": "计算方式",
    (
        "Bits per byte of each model on each set of texts, which compare across tokenizers; fewer are better. Bars are 95 %"
        " intervals from a bootstrap over documents. The baseline is the compressor xz on the same texts. Whether two models"
        " differ is read from their paired difference below: documents are resampled, the same ones for both."
    ): (
        "各模型在各文本集上的比特每字节，可以跨分词器比较，越少越好。横线为按文档重抽样的 95 % 区间。基线为压缩程序"
        " xz 在相同文本上的结果。两个模型是否不同，看下面的配对差异：对两者重抽样相同的文档。"
    ),
    "{count} cut to {characters} characters": "{count} 个截到 {characters} 个字符",
    "{count} not given back by the tokenizer of {model}": "{model} 的分词器无法原样还原 {count} 个",
    "Windows are disjoint: the first token of each window is predicted from nothing before it.": (
        "窗口互不重叠：每个窗口的第一个词元没有前文可依。"
    ),
    "Windows overlap: each has {count} new tokens.": "窗口相互重叠：每个窗口有 {count} 个新词元。",
    "Windows are rolling, as in lm-evaluation-harness: each token is predicted once.": (
        "窗口滚动，同 lm-evaluation-harness：每个词元只预测一次。"
    ),
    "Over the sets": "跨集合",
    "bits per byte, mean of the sets": "比特每字节，各集合平均",
    "bits per byte, all documents": "比特每字节，全部文档",
    "perplexity, own tokens": "困惑度，按自身词元",
    "perplexity, reference tokens": "困惑度，按参考词元",
    (
        "Perplexities are exponentials of the mean loss over the sets (the report's Table 6). Those of own tokens do not"
        " compare across tokenizers. The reference tokens:"
    ): ("困惑度为各集合平均损失的指数（即报告的表 6）。按自身词元的困惑度不能跨分词器比较。参考词元："),
    (
        "Tasks and metrics of lm-evaluation-harness, with 95 % intervals. The vertical line is the accuracy of guessing;"
        " filled: the whole interval lies above it. Near ties are items whose answer could change by rounding."
    ): (
        "任务与指标同 lm-evaluation-harness，附 95 % 区间。竖线为随机水平；实心：整个区间高于它。近似平局指答案可能因舍入"
        "而改变的题。"
    ),
    "Near ties of {model}: choices less than {nats} nats apart.": "{model} 的近似平局：选项之间相差不足 {nats} 纳特。",
    "Only the first {count} items of each task were asked (--limit).": "每个任务只问了前 {count} 题（--limit）。",
    "Bits per byte of the right answers": "正确答案的比特每字节",
    "{task}: bits per byte of the right answer": "{task}：正确答案的比特每字节",
    "What a model pays for the text of the right answer. It tells models apart where accuracy is that of guessing.": (
        "模型为正确答案的文本付出的代价。当准确率处于随机水平时，它仍能区分模型。"
    ),
    "Where the items come from": "题目的来源",
    "{count} of {of} items": "{of} 题中的 {count} 题",
    "{count} cut from the left": "{count} 题从左侧截断",
    "chance {value}": "随机水平 {value}",
    "{count} near ties leave {low} to {high}": "{count} 题近似平局，结果在 {low} 至 {high} 之间",
    "above zero: {model} has the higher figure": "大于零：{model}的数值更高",
    (
        "Both models were asked the same items in the same words. Items are resampled for both at once, so the interval is"
        " that of the difference. McNemar's test asks whether the items that only one of them gets right are shared out"
        " evenly."
    ): (
        "两个模型以同样的措辞回答同样的题。对两者同时重抽样题目，因此区间是差异的区间。McNemar 检验看只有一方答对的题"
        "是否在两者之间均匀分布。"
    ),
    "task": "任务",
    "metric": "指标",
    "first": "第一个",
    "second": "第二个",
    "difference": "差异",
    "only the first right": "仅第一个答对",
    "only the second right": "仅第二个答对",
    "p (McNemar)": "p（McNemar）",
    "What wrote these figures:": "得到这些数字的命令：",
    "Written by Skyloom from the results of this evaluation alone. It loads nothing from the network.": (
        "本页由 Skyloom 仅依据本次评测的结果写成，不从网络加载任何内容。"
    ),
}
