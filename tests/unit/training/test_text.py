"""Columns of text: what is taken for text, and that callers get the words that the trainer has counted."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import StringTensorType
from sklearn.feature_extraction.text import TfidfVectorizer

from modelwright_training.errors import InputError
from modelwright_training.features import text as module
from modelwright_training.features import words
from modelwright_training.features.text import WordCounts
from modelwright_training.reading.text import check, is_natural

DOCUMENTS = [
    "Cheap pills, CHEAP!",
    "win money now",
    "Now: the team's minutes",
    "Straße, STRASSE",
    "caf\u00e9 cafe\u0301",
    "北京天气 ok",
    "😀 नमस्ते دنيا",
    "İstanbul ǅ ﬁ ΣΑΣ",
    "",
] * 2
# Letters with odd cases, marks, digits, characters of no word, and what a program that splits text may trip on.
ODD = st.sampled_from(
    "aZ09_ \t\n\r\0\x01\x7f\x85\xa0\xad.,;-'\"#\\éÉßſıİǅﬁΣςσ゙́ー・々北😀️‍٣½Ⅷ𝒜\U0010ffff\ufeff\u2028"
)
TEXTS = st.one_of(
    st.text(), st.text(ODD), st.sampled_from(DOCUMENTS), st.lists(st.sampled_from(DOCUMENTS)).map(" ".join)
)


@cache
def _fitted(weighted: bool) -> tuple[WordCounts, onnxruntime.InferenceSession]:
    column = _column(DOCUMENTS)
    fitted = WordCounts("review", weighted).fit(column)
    model = convert_sklearn(
        fitted, initial_types=[("text", StringTensorType([None, 1]))], target_opset={"": 17, "ai.onnx.ml": 3}
    )
    return fitted, onnxruntime.InferenceSession(model.SerializeToString())


def _column(texts: list[str]) -> pd.DataFrame:
    return pd.DataFrame({"column_0": np.array(texts, object)})


def _asked(session: onnxruntime.InferenceSession, texts: list[str]) -> npt.NDArray[Any]:
    answer: npt.NDArray[Any] = session.run(None, {"text": np.array(texts, object).reshape(-1, 1)})[0]
    return answer


@settings(max_examples=60)
@given(st.lists(TEXTS, min_size=1, max_size=8))
def test_callers_get_the_counts_of_the_trainer_for_any_text(texts: list[str]) -> None:
    fitted, session = _fitted(False)
    np.testing.assert_array_equal(_asked(session, texts), fitted.transform(_column(texts)))


@settings(max_examples=60)
@given(st.lists(TEXTS, min_size=1, max_size=8))
def test_callers_get_the_weights_of_the_trainer_for_any_text(texts: list[str]) -> None:
    fitted, session = _fitted(True)
    np.testing.assert_allclose(_asked(session, texts), fitted.transform(_column(texts)), rtol=0, atol=1e-6)


@settings(max_examples=20)
@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_words_can_be_learnt(written: str) -> None:
    texts = [written, written, "one word"]
    try:
        fitted = WordCounts("review").fit(_column(texts))
    except InputError:
        assert not words.split(written)
        return
    model = convert_sklearn(fitted, initial_types=[("text", StringTensorType([None, 1]))], target_opset=17)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    asked = [written, written.upper(), written.lower(), written.swapcase(), "a"]
    np.testing.assert_array_equal(_asked(session, asked), fitted.transform(_column(asked)))


def test_both_split_at_the_same_characters() -> None:
    edges = {
        point + step
        for low, high in words.ranges()
        for point, step in ((low, -1), (low, 0), (high, 0), (high, 1))
    }
    texts = [f"a{chr(point)}b {chr(point)}" for point in sorted(edges) if not 0xD800 <= point < 0xE000]
    split = onnx.helper.make_node(
        "Tokenizer",
        ["x"],
        ["y"],
        domain="com.microsoft",
        mark=0,
        mincharnum=1,
        pad_value="",
        tokenexp=words.expression(),
    )
    ends = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.STRING, None) for name in "xy"]
    versions = [onnx.helper.make_opsetid("", 17), onnx.helper.make_opsetid("com.microsoft", 1)]
    graph = onnx.helper.make_graph([split], "split", ends[:1], ends[1:])
    session = onnxruntime.InferenceSession(
        onnx.helper.make_model(graph, opset_imports=versions, ir_version=8).SerializeToString()
    )
    (rows,) = session.run(None, {"x": np.array(texts, object).reshape(-1, 1)})
    found = [[word for word in row if word] for row in rows[:, 0, :].tolist()]
    assert found == [words.split(text) for text in texts]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The team's e-mail, 24/7!", ["The", "team", "s", "e", "mail", "24", "7"]),
        ("naïve cafe\u0301", ["naïve", "cafe\u0301"]),
        ("北京天气 is 好", ["北", "京", "天", "气", "is", "好"]),
        ("ひらがな・カタカナー", [*"ひらがなカタカナー"]),
        ("한국어 문장", ["한국어", "문장"]),
        ("नमस्ते दुनिया।", ["नमस्ते", "दुनिया"]),
        ("so 😀😀, ❤\ufe0f", ["so", "😀", "😀"]),
        ("\u0301 _ \0 \n", []),
    ],
)
def test_words(text: str, expected: list[str]) -> None:
    assert words.split(text) == expected


def test_text_in_ascii_is_split_like_any_other() -> None:
    ascii_only = "".join(f"a{chr(point)}b {chr(point)}" for point in range(128))
    assert [*words.split(ascii_only), "é"] == words.split(f"{ascii_only} é")


def test_spellings_of_a_word_are_one_word() -> None:
    fitted = WordCounts("review").fit(_column(["Straße", "straße STRASSE", "caf\u00e9 now", "Caf\u00e9 nOw"]))
    assert fitted.words_ == ["caf\u00e9", "now", "strasse"]
    counts = fitted.transform(_column(["STRASSE straße", "cafe\u0301 CAFE\u0301", "NOW Now nOw", "noW"]))
    assert counts.tolist() == [[0, 0, 2], [2, 0, 0], [0, 3, 0], [0, 0, 0]]


def test_words_of_one_text_are_no_words() -> None:
    fitted = WordCounts("review").fit(_column(["red red blue", "green blue", ""]))
    assert fitted.words_ == ["blue"]


def test_the_words_that_most_texts_hold_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = _column(["a b c d", "a b c", "a b", "d c", "a a a"])
    assert WordCounts("review").fit(texts).words_ == ["a", "b", "c", "d"]
    monkeypatch.setattr(module, "MAX_WORDS", 3)
    assert WordCounts("review").fit(texts).words_ == ["a", "b", "c"]
    monkeypatch.setattr(module, "MAX_NUMBERS", 5 * 2)
    assert WordCounts("review").fit(texts).words_ == ["a", "b"]


def test_weights_are_those_of_scikit_learn() -> None:
    texts = ["the cat sat on the mat", "the dog sat", "a dog and a cat", "nothing"]
    known = TfidfVectorizer(token_pattern=r"\w+", min_df=2).fit(texts)
    found = WordCounts("review", weighted=True).fit(_column(texts))
    assert found.words_ == known.get_feature_names_out().tolist()
    np.testing.assert_allclose(found.transform(_column(texts)), known.transform(texts).toarray(), rtol=1e-6)


def test_a_column_of_text_without_words_is_refused_by_its_name() -> None:
    codes = [f"code{place}" for place in range(50)]
    for refusing in (lambda: WordCounts("code").fit(_column(codes)), lambda: check("code", pa.array(codes))):
        with pytest.raises(InputError, match=r"Column 'code' is text, but no word occurs in two") as refused:
            refusing()
        assert refused.value.reason == "TextUnsuitable"
    check("code", pa.chunked_array([codes, ["a CODE1"]]))


FIRST, LAST = ("Anna", "Ben", "Cleo", "Dan", "Eva"), ("Ash", "Birk", "Cole", "Dow", "Ek")
NAMES = [f"{first} {last}" for first in FIRST for last in LAST]
NATURAL = {
    "messages": [f"please {what} my order {when}" for what in NAMES for when in ("today", "soon")],
    "addresses": [f"{number} Main Street, Springfield" for number in range(60)],
    "Chinese": [f"北京的天气很好{one}{two}" for one in "一二三四五六" for two in "甲乙丙丁"],
    "phrases that come back": [f"very good {name}" for name in NAMES for _ in range(1)] * 2,
}
OTHER = {
    "names": NAMES,
    "codes": [f"AB-{number:05}-X" for number in range(60)],
    "UUIDs": [f"550e8400-e29b-41d4-a716-4466554{number:05}" for number in range(60)],
    "times": [f"Mon {day:02} Jan 2024 10:{minute:02}:00 GMT" for day in range(1, 8) for minute in range(9)],
    "addresses on the web": [f"https://example.org/a/b/c?d={number}" for number in range(60)],
    "few": ["not so good", "very good indeed", "no idea at all"] * 30,
    "answers that come back often": [f"I am {name}" for name in NAMES] * 10,
    "numbers": [f"{number} {number} {number}" for number in range(60)],
}


@pytest.mark.parametrize("texts", NATURAL.values(), ids=NATURAL.keys())
def test_natural_text_is_recognised(texts: list[str]) -> None:
    assert is_natural(pa.array(dict.fromkeys(texts)), len(texts))


@pytest.mark.parametrize("texts", OTHER.values(), ids=OTHER.keys())
def test_other_text_is_not_taken_for_natural(texts: list[str]) -> None:
    assert not is_natural(pa.array(dict.fromkeys(texts)), len(texts))


def test_hundreds_of_phrases_are_no_categories() -> None:
    phrases = [
        f"senior {first} {last}" for first in NAMES for last in ("clerk", "cook", "smith", "baker", "judge")
    ]
    assert is_natural(pa.array(phrases), 100_000)
