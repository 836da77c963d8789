"""Languages by script, with the model only for Latin text; counts agree with a plain Python count."""

from __future__ import annotations

import unicodedata

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyloom.corpus.text import language
from skyloom.corpus.text.language import LANGUAGES, count_scripts, identify, judge_language, only_in_one
from skyloom.corpus.text.language_words import ENGLISH

CASES = [
    ("en", "The lighthouse keeper climbs the stairs every evening and writes the weather into a thick book."),
    ("zh-Hans", "守塔人每天傍晚爬上楼梯，把天气写进一本厚厚的册子里，这个习惯已经保持了四十年。"),
    ("zh-Hant", "守塔人每天傍晚爬上樓梯，把天氣寫進一本厚厚的冊子裡，這個習慣已經保持了四十年。"),
    ("zh-Hans", "用 Python 写程序时，可以先运行 pip install numpy，再打开 Jupyter Notebook 查看结果。"),
    ("other", "灯台守は毎晩階段を登って、厚い本に天気を書きます。"),
    ("other", "등대지기는 매일 저녁 계단을 올라가 두꺼운 책에 날씨를 적습니다."),
    ("other", "Смотритель маяка каждый вечер поднимается по лестнице."),
    ("other", "Der Leuchtturmwärter steigt jeden Abend die Treppe hinauf und schreibt das Wetter in ein dickes Buch."),
    ("other", "Le gardien du phare monte chaque soir l'escalier et note le temps qu'il fait dans un gros livre."),
    ("", "1234 -- 56 !! 🙂"),
    ("", ""),
]


@pytest.mark.parametrize(("code", "text"), CASES)
def test_codes(code: str, text: str) -> None:
    codes, scores = identify(pa.array([text]))
    assert codes == [code]
    assert 0 <= scores[0] <= 1.0001
    assert (scores[0] > 0.4) == (code != "")


def test_a_column_is_judged_row_by_row() -> None:
    codes, scores = identify(pa.array([text for _, text in CASES]))
    assert codes == [code for code, _ in CASES]
    assert scores.shape == (len(CASES),)
    alone = [identify(pa.array([text]))[1][0] for _, text in CASES]
    assert scores.tolist() == alone


def test_the_tables_hold_what_everyone_knows() -> None:
    simplified, traditional = (set(t) for t in only_in_one())
    assert set("国学书马说这们时会东") <= simplified
    assert set("國學書馬說這們時會東") <= traditional
    assert not set("的一是不了人我在有中大") & (simplified | traditional)
    assert not simplified & traditional


def kind(char: str) -> str:
    point = ord(char)
    if any(a <= point <= b for a, b in ((0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF))):
        return "han"
    if any(a <= point <= b for a, b in ((0x3041, 0x3096), (0x30A1, 0x30FA), (0x31F0, 0x31FF), (0xFF66, 0xFF9D))):
        return "kana"
    if any(a <= point <= b for a, b in ((0x1100, 0x11FF), (0x3131, 0x318E), (0xAC00, 0xD7A3))):
        return "hangul"
    if unicodedata.category(char)[0] != "L" or point >= 0x20000 or 0xE000 <= point <= 0xF8FF:
        return ""
    name = point <= 0x24F or 0x1E00 <= point <= 0x1EFF or 0x2C60 <= point <= 0x2C7F or 0xA720 <= point <= 0xA7FF
    return "latin" if name else "other"


@given(st.lists(st.text(alphabet=st.sampled_from("aZé1_ .中国國かカ한글я🙂𠀀ß\u0301-"), max_size=30), max_size=5))
def test_counts_agree_with_a_plain_count(texts: list[str]) -> None:
    found = count_scripts(pa.array(texts, pa.string()))
    for row, text in enumerate(texts):
        expected = dict.fromkeys(("latin", "han", "kana", "hangul", "other"), 0)
        before = ""
        for char in text:
            this = kind(char)
            if this and (this != before or this not in ("latin", "other")):
                expected[this] += 1
            before = this
        assert {k: int(getattr(found, k)[row]) for k in expected} == expected
        assert found.total[row] == sum(expected.values())


MIXED = [
    ("en", "Click here"),
    ("en", "| name | value |\n| width | the width of the page |\n| height | the height of the page |"),
    ("en", "def load(path):\n    with open(path) as file:\n        return file.read()  # the whole of it, because it is small"),
    ("en", "She said 你好 to the teacher and then went back to the house with the others, as if nothing had happened."),
    ("zh-Hans", "下载"),
    ("zh-Hans", "| 名称 | 数值 |\n| width | 页面宽度 |\n| height | 页面高度 |"),
    ("zh-Hans", "int main() {\n  // 打开文件，读取全部内容，然后关闭\n  return 0; // 成功返回零\n}"),
    ("zh-Hans", "他喜欢听《もののけ姫》的主题曲，每次演出之前都会听上一遍，说这首歌让他平静下来。"),
    ("zh-Hant", "請按「Enter」鍵，然後選擇 Options 選單中的 Language 項目。"),
    ("other", "東京駅周辺図 営業時間 総務課 気象庁"),
    ("other", "Der Befehl git commit -m wird mit der Option --amend benutzt, wenn die letzte Nachricht nicht stimmt."),
    ("other", "Нажмите File, затем Open и выберите файл notes.txt, чтобы открыть его."),
    ("other", "Le fichier README.md et le dossier src sont dans la même archive que les autres, avec du texte."),
]


@pytest.mark.parametrize(("code", "text"), MIXED)
def test_short_and_mixed_text_code_and_tables(code: str, text: str) -> None:
    assert identify(pa.array([text]))[0] == [code]


def test_the_model_is_asked_only_where_words_do_not_settle_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_model(text: str) -> tuple[str, float]:
        raise AssertionError(text)

    monkeypatch.setattr(language, "_latin_language", no_model)
    settled = [text for code, text in CASES if len(text.split()) != 1 and code]
    codes = judge_language(pa.array(settled))["lang"].to_pylist()
    assert codes == [code for code, text in CASES if text in settled]


@given(st.lists(st.text(alphabet=st.sampled_from("the of der und aéßñ1_ .中国國かカ한я図"), max_size=40), max_size=4))
def test_rows_do_not_depend_on_each_other(texts: list[str]) -> None:
    column = pa.array(texts, pa.string())
    together = judge_language(pa.chunked_array([column, column.slice(1)], pa.string())).to_pylist()
    alone = [judge_language(column.slice(k, 1)).to_pylist()[0] for k in range(len(texts))]
    assert together == alone + alone[1:]
    assert all(row["lang"] in (*LANGUAGES, "") and 0 <= row["lang_score"] <= 1.0001 for row in together)


def test_words_are_counted_by_side_whatever_their_case() -> None:
    found = count_scripts(pa.array(["The THE the der Über über house naïve", "中the国der"]))
    assert found.english.tolist() == [3, 1]
    assert found.foreign.tolist() == [2, 1], "der, über"
    assert found.marked.tolist() == [2, 0], "Über, naïve"
    assert not set(ENGLISH.split()) & {"der", "les", "los"}
