"""Tables keep the places of their cells, their rows and what spans several of them."""

from __future__ import annotations

import pytest
from tests.corpus.extract.kinds import article

from skyloom.corpus.extract.stage import extract_html

TABLES = [
    ("<tr><th>月份<th>内港<th>外港<th>船次<tr><td>三月<td>4.2<td></td><td>17<tr><td>四月<td> <td>6.0<td>&nbsp;",
     ["月份 | 内港 | 外港 | 船次", "三月 | 4.2 | | 17", "四月 | | 6.0 |"]),
    ("<tr><td>March<td>4.2<td>6.1<tr><td>April<td>5.0<td>6.0<br>(est.)<tr><td>May<td><p>5.5</p><p>(late)</p><td>6.2",
     ["March | 4.2 | 6.1", "April | 5.0 | 6.0 (est.)", "May | 5.5 (late) | 6.2"]),
    ("<thead><tr><th rowspan=2>港口<th colspan=2>水深<tr><th>内<th>外</thead><tbody><tr><td rowspan=2>北港<td>4<td>5<tr><td>6<td>7",
     ["港口 | 水深 | 水深", "港口 | 内 | 外", "北港 | 4 | 5", "北港 | 6 | 7"]),
    ("<tr><td>Spring<td rowspan=3>high<td>1<tr><td>Summer<td>2<tr><td>Autumn<td>3<tr><td>Winter<td>low<td>4",
     ["Spring | high | 1", "Summer | high | 2", "Autumn | high | 3", "Winter | low | 4"]),
    ("<tr><td>甲<td>乙<td>丙<tr><td>丁<td><td><tr><td><td>戊<td>己", ["甲 | 乙 | 丙", "丁 | |", "| 戊 | 己"]),
    ("<tr><td>Pump<td><ul><li>inlet<li>outlet</ul><td>2 parts<tr><td>Valve<td>brass<td>1 part",
     ["Pump | inlet outlet | 2 parts", "Valve | brass | 1 part"]),
    ("<tr><td><a href=/a>内港</a><td>4.2<td>17 艘<tr><td><a href=/b>外港</a><td>6.0<td>23 艘", ["内港 | 4.2 | 17 艘", "外港 | 6.0 | 23 艘"]),
]  # fmt: skip


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize(("inner", "rows"), TABLES)
def test_rows_keep_their_cells(lang: str, inner: str, rows: list[str]) -> None:
    found = extract_html(article(lang, f"<p>The depths are given below. 各月水深如下。</p><table>{inner}</table>"))
    assert [b for b, tag in zip(found.blocks, found.tags, strict=True) if tag == "tr"] == rows


def test_layouts_are_no_rows() -> None:
    from tests.corpus.extract.kinds import ZH

    cells = f"<tr><td width=20>&nbsp;</td><td>{'<br><br>'.join(ZH)}</td></tr>"
    found = extract_html(f"<html><body><table>{cells}</table></body></html>")
    assert list(found.blocks) == ZH


def test_a_hostile_table_is_not_multiplied() -> None:
    table = (
        "<table>" + "<tr>" + "<td colspan=64 rowspan=64>value value" * 60 + "</tr>" + "<tr><td>a b<td>c d</tr>" * 200 + "</table>"
    )
    found = extract_html(article("en", table))
    assert len(found.text) < 20 * len(table)
