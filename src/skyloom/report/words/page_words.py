"""The texts of the run page and of the comparison in Chinese, by their English; those of the dashboard are in `report.labels`."""

PAGE_CHINESE = {
    "Skyloom dashboard": "Skyloom 训练实况",
    "Data": "数据",
    "Print": "打印",
    "Runs": "各次运行",
    "Recipes": "配方",
    "Curves": "曲线",
    "Differences": "差异",
    "The first run is what the others are compared with.": ("其他运行都与第一次运行相比。"),
    "run": "运行",
    "finished": "完成于",
    "parameters": "参数量",
    "bits per byte, mean of its sets": "比特每字节（各集合平均）",
    "leakage": "泄漏",
    "setting": "设置",
    "Every setting that does not have the same value in all runs, defaults filled in.": (
        "各次运行中取值不同的全部设置，默认值已填入。"
    ),
    "The recipes are the same.": "配方相同。",
    (
        "Held-out text in bits per byte as each run reads more tokens. Curves of one set compare only where the runs scored"
        " the same texts, see below."
    ): ("保留文本的比特每字节随各次运行读过的词元而变。只有在各次运行测量了相同文本时，同一集合的曲线才能相比，见下文。"),
    (
        "Paired: both runs scored the same texts, and the same resamples of them are taken for both, so the interval is"
        " that of the difference."
    ): ("配对：两次运行测量相同的文本，并对两者重抽样相同的文本，因此区间是差异的区间。"),
    (
        "{run}: no paired difference on {sets}. The texts are not those of the first run, or the run was evaluated by"
        " an earlier version."
    ): ("{run}：在 {sets} 上没有配对差异。其文本与第一次运行的不同，或该运行由早期版本评测。"),
    "Each run by itself": "各次运行自身",
    "own intervals": "各自的区间",
    "Written by Skyloom from the files of these runs alone. It loads nothing from the network.": (
        "本页由 Skyloom 仅依据这些运行的文件写成，不从网络加载任何内容。"
    ),
    "model": "模型",
    "Sections": "章节",
    "Run page": "运行页",
    "Answers": "回答",
    "Corpus": "语料",
    "Mixture": "配比",
    "Examples": "示例",
    "Tokenizer": "分词器",
    "Training": "训练",
    "Evaluation": "评测",
    "Leakage": "泄漏",
    "Samples": "样例",
    "Steps": "步骤",
    "Sources": "来源",
    "Stages": "阶段",
    "Four answers": "四个回答",
    (
        "Written by Skyloom from the files of this run alone; nothing on this page was typed in by hand. It loads nothing"
        " from the network."
    ): ("本页由 Skyloom 仅依据本次运行的文件写成，没有任何手工填写的内容，也不从网络加载任何内容。"),
    "What went in?": "读入了什么？",
    "What did it learn?": "学到了什么？",
    "Was it contaminated?": "是否受到污染？",
    "Can I check it?": "我能核查吗？",
    "sources, drops and their reasons": "来源、丢弃的内容与原因",
    "all models, sets and differences": "全部模型、集合与差异",
    "gaps, controls and what they mean": "差距、对照及其含义",
    "every step, file and version": "每个步骤、文件与版本",
    ("{kept} documents ({kept_size}) of {came} that came in ({came_size}) went on to training: {share}, counted one by one."): (
        "读入 {came} 个文档（{came_size}），其中 {kept} 个（{kept_size}）进入训练，占 {share}，逐一计数。"
    ),
    "{kept} documents ({kept_size}) went on to training.": ("{kept} 个文档（{kept_size}）进入训练。"),
    "A model of {parameters} parameters read {tokens} tokens.": ("{parameters} 参数的模型读了 {tokens} 个词元。"),
    "The ledger does not balance: {problem}": "账本不平衡：{problem}",
    "On {sets} held-out sets it needs {value} bits per byte on average ({interval}; fewer is better).": (
        "在 {sets} 个保留集上平均需要 {value} 比特每字节（{interval}；越少越好）。"
    ),
    "95 % {low} to {high}": "95 % 区间 {low} 至 {high}",
    "no interval: a set has too few texts": "没有区间：某个集合的文本太少",
    "Against {other} that is {value} ({interval}).": "与{other}相比差 {value}（{interval}）。",
    "Multiple choice ({language}): {value} right (95 % {low} to {high}; chance {chance}).": (
        "选择题（{language}）：答对 {value}（95 % 区间 {low} 至 {high}；随机水平 {chance}）。"
    ),
    "A check of the evaluation fails: {check}.": "评测的一项检查未通过：{check}。",
    "The training loss is not finite at the end.": "训练结束时损失不是有限数。",
    "{count} alarms while it trained; the first: {first}": ("训练中有 {count} 次警报；第一次：{first}"),
    "{model}: {verdict}.": "{model}：{verdict}。",
    "Test items read {value} nats per token from reference items that nobody trained on (95 % {low} to {high}).": (
        "测试题与没有任何人训练过的参考题相差每词元 {value} 纳特（95 % 区间 {low} 至 {high}）。"
    ),
    "No exercises were planted, so nothing shows that this audit would have found a leak.": (
        "没有植入习题，因此无法说明本审计能否发现泄漏。"
    ),
    ("{hashed} of {steps} steps ({bytes}) have a SHA-256 of their content: the same recipe on the same inputs gives the same."): (
        "{steps} 个步骤中有 {hashed} 个（{bytes}）带有内容的 SHA-256：同样的配方与输入得到同样的哈希。"
    ),
    "The program is commit {commit}.": "程序的提交为 {commit}。",
    "skyloom release check --recompute proves the files and figures of the release beside this page.": (
        "skyloom release check --recompute 可核验本页旁边的发布文件夹中的文件与数字。"
    ),
    "skyloom release check --recompute proves the files and figures of the release.": (
        "skyloom release check --recompute 可核验发布的文件与数字。"
    ),
    "The program had changes that are in no commit: this run cannot be made again from the commit alone.": (
        "程序含有未提交的改动：仅凭提交无法重做本次运行。"
    ),
    "Steps that are not finished: {names}.": "未完成的步骤：{names}。",
    "Data and source": "数据与出处",
    "{count} rows": "{count} 行",
    "The same figures on a command line:": "在命令行得到同样的数字：",
    "link to this figure": "本图链接",
    "Values of this figure": "本图的数值",
    "The corpus and what it lost": "语料及其丢弃的内容",
    (
        "Every page that came in was either kept or dropped at a named stage for a stated reason. Bytes are of pages as"
        " they came up to the extraction, and of their text from then on."
    ): ("每个读入的网页或被保留，或在某一阶段因写明的原因被丢弃。正文抽取之前的字节数指原网页，之后指其正文。"),
    "Widths are": "宽度表示",
    "bytes": "字节",
    "bytes by language": "各语言的字节",
    "goes on": "继续",
    "comes in": "流入",
    "dropped, or not text": "丢弃，或不是正文",
    "not judged": "未判定",
    "not judged yet": "尚未判定",
    "The flow of the corpus in bytes": "语料的流向（字节）",
    "The flow of the corpus in documents": "语料的流向（文档）",
    "The flow of the corpus in bytes, by language": "语料的流向（各语言的字节）",
    "to training: {amount}": "进入训练：{amount}",
    "{stage}: {kept} go on, {lost} dropped": "{stage}：{kept} 继续，{lost} 丢弃",
    "{source} comes in: {documents} documents, {bytes}": "{source} 流入：{documents} 个文档，{bytes}",
    "{count} more sources": "另外 {count} 个来源",
    "source": "来源",
    "kind": "类型",
    "packages and versions": "软件包与版本",
    "licence": "许可",
    "origin": "出处",
    "entered": "读入",
    "kept": "保留",
    "share kept": "保留比例",
    "What was dropped, with samples": "丢弃的内容及样本",
    (
        "Samples are drawn by the hash of the document's id, which is a lot with a fixed seed, and not chosen by hand;"
        " long texts are cut."
    ): ("样本按文档编号的哈希抽取，相当于种子固定的抽签，不经人工挑选；过长的文本被截断。"),
    "all": "全部",
    "sample": "样本",
    "No sample of this kind was kept.": "没有保存这一类的样本。",
    "{bytes} cut from documents that stayed": "从保留的文档中删去 {bytes}",
    "{count} documents, {bytes}": "{count} 个文档，{bytes}",
    (
        "What the cleaned corpus is made of, in the form of the report's Table 1. A unit is one Han, kana or hangul character"
        " or one word of another script."
    ): ("清洗后语料的组成，形式同报告的表 1。一个单位是一个汉字、假名或谚文字符，或其他文字的一个词。"),
    "part": "部分",
    "text": "文本",
    "units": "单位",
    "share": "份额",
    "Set aside for measuring, and never trained on:": "留作测量，从不用于训练：",
    "{domain} {count} documents ({bytes})": "{domain} {count} 个文档（{bytes}）",
    "What was kept, in examples": "保留内容的示例",
    "Drawn like the samples above, by domain.": "抽取方法同上，按领域排列。",
    (
        "How much text a token carries, by domain. Fallback is the share of tokens that are single bytes of characters"
        " the vocabulary does not hold."
    ): ("各领域中一个词元承载多少文本。回退率指词表没有的字符被拆成单字节的词元所占比例。"),
    "domain": "领域",
    "bytes per token": "每词元字节",
    "units per token": "每词元单位",
    "fallback": "回退率",
    "measured on": "测量文本",
    "The vocabulary's parts:": "词表的组成：",
    "The least used pieces": "用得最少的词元",
    (
        "How often the training sample holds a piece, fewest first. A piece that is hardly ever seen has a row of the"
        " embedding that is hardly ever trained."
    ): ("训练样本中各词元的出现次数，少者在前。很少出现的词元，其嵌入也几乎得不到训练。"),
    "piece": "词元",
    "times": "次数",
    (
        "Text that was set aside, in bits per byte, as training reads more tokens (compare the report's Fig. 3). Bands"
        " are 95 % intervals from a bootstrap over documents. The first point does not set the axis: where a curve begins"
        " above the frame, its first figure stands there."
    ): (
        "保留文本的比特每字节随训练读过的词元而变（参见报告的图 3）。色带为按文档重抽样的 95 % 区间。第一个点不决"
        "定坐标轴：曲线从图框上方开始时，标出其起始数值。"
    ),
    "bits per byte": "比特每字节",
    "alarm": "警报",
    "begins at {value}": "始于 {value}",
    (
        "These figures are of {few} of each set, which are scored again and again while it trains. The evaluation below"
        " scores {all} of each, so its figures for the same model and set are others."
    ): ("这些数字取自每个集合的 {few}，训练中反复测量。下面的评测使用每个集合的 {all}，因此同一模型与集合的数字有所不同。"),
    "each point is the mean of {count} updates, in all stages": ("每点为 {count} 次更新的平均，各阶段相同"),
    (
        "The training loss is in nats per token in the files; here it is divided by ln 2 and by the bytes per token of"
        " the domains read so far, so that all curves have one unit."
    ): ("文件中的训练损失以纳特每词元计；这里除以 ln 2 与所读领域的每词元字节数，使所有曲线单位一致。"),
    "steps": "步数",
    "tokens": "词元",
    "last training loss, nats per token": "最后的训练损失（纳特每词元）",
    "learning rate, first and last step": "学习率（首步与末步）",
    "What it read": "读了什么",
    "Planned shares": "计划份额",
    "Realised shares": "实际份额",
    "the mixture that each stage was resolved to": "各阶段确定的配比",
    "by tokens, in at most 40 stretches of each stage": "按词元，每阶段至多 40 段",
    "Planned shares of the domains by tokens": "各领域的计划份额（按词元）",
    "Realised shares of the domains by tokens": "各领域的实际份额（按词元）",
    "share of tokens": "词元份额",
    "Shares of each stage": "各阶段的份额",
    "{stage}, planned": "{stage}，计划",
    "{stage}, read": "{stage}，实际",
    "Throughput and energy": "吞吐量与能耗",
    "No energy is given: the machine has no counter that could be read, and no power was stated (release.watts).": (
        "未给出能耗：机器没有可读的能耗计数器，也没有给出功率（release.watts）。"
    ),
    (
        "{energy} of training, measured ({meters}). Memory, disks, power supply and cooling are not included; what else ran on"
        " the same processors is."
    ): "训练用电 {energy}，实测（{meters}）。不含内存、磁盘、电源与散热；包含同一处理器上运行的其他程序。",
    "{energy}, computed from the stated {watts} W over {time}; no meter was read.": (
        "{energy}，由给出的 {watts} W 与 {time} 算得；没有读取电表。"
    ),
    (
        "Language modelling on the text that was set aside, beside baselines that need no network: the frequencies of"
        " single tokens, and the compressor xz. Fewer bits per byte are better; they do not depend on a tokenizer. Whether"
        " two models differ is read from their paired difference below: documents are resampled, the same ones for both."
    ): (
        "在保留文本上的语言建模，并与两种不用网络的基线相比：单个词元的频率，以及压缩程序 xz。比特每字节越少越好"
        "，且与分词器无关。两个模型是否不同，看下面的配对差异：对两者重抽样相同的文档。"
    ),
    "Bits per byte on {name}": "{name}的比特每字节",
    "{documents} documents, {bytes}": "{documents} 个文档，{bytes}",
    (
        "These figures are of {all} of each set. The curves of the training end at others, because only {few} of each"
        " set are scored while it trains."
    ): ("这些数字取自每个集合的 {all}。训练曲线的终点不同，因为训练中只测量每个集合的 {few}。"),
    "Paired differences in bits per byte": "比特每字节的配对差异",
    "{model} minus {other}": "{model}减{other}",
    "below zero: {model} needs fewer bits": "小于零：{model}所需比特更少",
    "Average": "平均",
    "Filled: the interval excludes zero.": "实心：区间不含零。",
    "Perplexities per unit of one reference stand in the data of the first figures. The reference:": (
        "按同一参考单位的困惑度见第一组图的数据。参考："
    ),
    "All {count} checks of these figures hold: losses are finite, and below the unigram baseline.": (
        "这些数字的 {count} 项检查全部通过：损失有限，且低于单词元频率基线。"
    ),
    "Multiple choice": "选择题",
    "{items} items; filled: the whole interval lies above chance": ("{items} 题；实心：整个区间高于随机水平"),
    "Generated exercises of the test split, scored by the text of the answer. The vertical line is chance.": (
        "测试集的生成习题，按答案文本计分。竖线为随机水平。"
    ),
    "Benchmark scores of released checkpoints": "已发布检查点的基准得分",
    "Leakage audit": "泄漏审计",
    (
        "Was the model trained on what it is tested on? Δ1 is the loss on the test split minus the loss on reference items"
        " of the same kind, which nobody trained on: below zero, test items leaked. Δ2 is the loss on the test split minus"
        " that on the train split: above zero, the train split is known by heart. (The report's Table 8, with intervals.)"
    ): (
        "模型是否用测试题训练过？Δ1 为测试集损失减去同类参考题的损失，参考题没有任何人训练过：小于零则测试题泄漏"
        "。Δ2 为测试集损失减去训练集损失：大于零则训练集被背下。（即报告的表 8，并给出区间。）"
    ),
    "Can the leakage audit see?": "审计能看见泄漏吗？",
    "Leakage, {model}": "泄漏：{model}",
    "test − reference (Δ1)": "测试 − 参考（Δ1）",
    "test − train (Δ2)": "测试 − 训练（Δ2）",
    "canary − reference": "金丝雀 − 参考",
    "held back − reference": "保留 − 参考",
    "canary − held back, in pairs": "金丝雀 − 保留（成对）",
    "blind baseline: drawn by lot": "盲基线：抽签划分",
    "0 by design": "按设计为 0",
    "test": "测试",
    "train": "训练",
    "reference": "参考",
    "canary": "金丝雀",
    "held back": "保留",
    (
        "One axis, nats per token; bars are 95 % intervals, and filled circles exclude zero. Test and reference items,"
        " and both halves of the pool of canaries, are drawn by lot from one generator: no reader of the texts alone can"
        " tell them apart, which is the blind baseline of this audit."
    ): (
        "同一坐标轴，单位为纳特每词元；横线为 95 % 区间，实心圆不含零。测试题与参考题，以及金丝雀题库的两半，都由"
        "同一生成器抽签得到：仅凭文本无法区分，这就是本审计的盲基线。"
    ),
    "Losses on the splits": "各划分的损失",
    "L train": "L 训练",
    "L test": "L 测试",
    "L ref": "L 参考",
    "canaries": "金丝雀",
    (
        "A pool of exercises was split by lot into halves of the same families. The planted half (canaries) was read in"
        " {stage} on purpose: the rule must find it in the final model, and only there; otherwise a clean verdict would"
        " mean nothing. The held-back half was read by no stage: the same rule must not flag it. And the planted half"
        " must have lower losses than the held-back half."
    ): (
        "一个习题库按抽签分为同类的两半。植入的一半（金丝雀）特意在{stage}读入：规则必须在最终模型中找到它，且只"
        "在其中找到；否则干净的判定没有意义。保留的一半没有任何阶段读过：同一规则不应标记它。植入一半的损失还必须"
        "低于保留的一半。"
    ),
    "In the training text": "在训练文本中",
    "split": "划分",
    "found whole": "整题出现",
    "shared 13-grams": "共有 13 元组",
    (
        "Found whole: items whose question is that of a training document. Shared 13-grams are to be read against the"
        " reference split, because exercises of one family share wording; canaries are planted after the corpus and must"
        " not be found whole."
    ): (
        "整题出现：题干与某训练文档的题干相同。共有 13 元组要与参考集对照来读，因为同类习题措辞相近；金丝雀在语料"
        "之后植入，不应整题出现。"
    ),
    "What it writes": "模型写了什么",
    (
        "Continuations as they came, not chosen by hand. The prompt is in bold. Under each stand training documents that hold"
        " the longest n-grams of what the model wrote, or the command that finds them; that a text stands there does not say"
        " that the model learnt it there."
    ): (
        "续写照原样列出，未经挑选。粗体为提示。每段下方是含有模型所写文本之最长 n 元组的训练文档，或查找它们的命令；"
        "文本出现在某文档中，并不说明模型是从那里学到的。"
    ),
    "In the training documents": "在训练文档中",
    "{traced} of {units} units": "{units} 个单位中的 {traced} 个",
    "{units} units, {count} times": "{units} 个单位，出现 {count} 次",
    "No n-gram of at least {least} units stands in the training documents.": "训练文档中没有至少 {least} 个单位的 n 元组。",
    "Find it in the training documents": "在训练文档中查找",
    "The first call makes an index of the corpus. This page is then written with what it finds by:": (
        "第一次调用会为语料建立索引。此后，用以下命令重写本页即可带上查找结果："
    ),
    "Too short to be found in the training documents.": "文本过短，无法在训练文档中查找。",
    "Every step and its hash": "每个步骤及其哈希",
    (
        "Folders are named by what they were made from; the content hash is over all files of a step except telemetry."
        " The same recipe on the same inputs gives the same hashes."
    ): ("文件夹按其来源命名；内容哈希涵盖步骤的全部文件（遥测除外）。同样的配方与输入得到同样的哈希。"),
    "status": "状态",
    "done": "完成",
    "time": "用时",
    "size": "大小",
    "machine": "机器",
    "folder and content (SHA-256)": "文件夹与内容（SHA-256）",
    "Versions": "版本",
    "Compare with another run": "与另一次运行对比",
    "Differences of the recipes, curves over each other and paired differences on one page:": (
        "在一页上列出配方的差异、重叠的曲线与配对差异："
    ),
    "OTHER": "另一次运行",
    "Command": "命令",
    "Recipe": "配方",
    "The resolved recipe, every default filled in": "完整的配方，默认值均已填入",
    "The weights, the tokenizer, the corpus and the cards of this run are in the release folder beside this page.": (
        "本次运行的权重、分词器、语料与说明卡在本页旁边的发布文件夹中。"
    ),
}
