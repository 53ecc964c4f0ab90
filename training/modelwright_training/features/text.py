"""Turns a column of text into counts of its words: in numpy for the trainer, in ONNX for callers, without a difference.

Python and ONNX Runtime share no table of letter case, so none is used: the spellings that count as a word (`now`,
`Now`, `NOW`, and what else training has seen) stand in the model one by one."""

import unicodedata
from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from onnx import TensorProto
from scipy.sparse import csr_matrix
from skl2onnx import update_registered_converter
from skl2onnx.common.data_types import FloatTensorType
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.preprocessing import normalize

from modelwright_training.errors import InputError
from modelwright_training.features import words

Texts = Any
"""A column of a data frame, or a matrix of one column."""
Counts = npt.NDArray[np.float32]
Operator = Any
"""What skl2onnx knows of a fitted transformer."""
Scope = Any
"""What skl2onnx takes names from."""
Container = Any
"""What skl2onnx collects nodes in."""

# Of a word that occurs in one text only, nothing can be learnt.
MIN_TEXTS = 2
MAX_WORDS = 2000
# Rows times words: 1 GiB as float64.
MAX_NUMBERS = 2**27


def _spellings(word: str, seen: Iterable[str]) -> list[str]:
    """What counts as a word: what training has seen, lower, upper and capitalised, however its accents are coded."""
    cases = {form for one in {word, *seen} for form in (one, one.lower(), one.upper(), one.capitalize())}
    coded = {unicodedata.normalize(form, one) for one in cases for form in ("NFC", "NFD")} | cases
    return sorted(one for one in coded if words.same(one) == word and words.split(one) == [one])


@dataclass(frozen=True)
class _Encoded:
    """The words of some texts as numbers, one text after the other; text `i` has those from `starts[i]` on."""

    spelt: list[str]
    numbers: npt.NDArray[np.int64]
    starts: npt.NDArray[np.int64]

    def counts(self, columns: npt.NDArray[np.int64], width: int) -> csr_matrix:
        """How often each text holds the words of each column; -1 is the column of what does not count."""
        where = columns[self.numbers] if len(columns) else self.numbers
        counted = where >= 0
        starts = np.concatenate([[0], np.cumsum(counted)])[self.starts]
        ones = np.ones(int(counted.sum()), np.float32)
        found = csr_matrix((ones, where[counted], starts), (len(starts) - 1, width))
        found.sum_duplicates()
        return found


def _encode(texts: Iterable[str]) -> _Encoded:
    known: dict[str, int] = {}
    numbers, starts = array("q"), array("q", [0])
    for text in texts:
        numbers.extend(known.setdefault(word, len(known)) for word in words.split(text))
        starts.append(len(numbers))
    return _Encoded(list(known), np.array(numbers, np.int64), np.array(starts, np.int64))


class WordCounts(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn is not typed
    """Counts the words of one column of text, as float32 of shape (rows, words).

    The words are the `MAX_WORDS` that occur in most texts, those of at least two. `weighted` multiplies the counts with
    ln((1 + n) / (1 + d)) + 1, for a word in d of n texts, and divides each row by its Euclidean length, as
    scikit-learn's TfidfVectorizer does. Not `weighted`, the counts are whole numbers, which a threshold splits alike
    everywhere. Where there are more than 67,000 rows there are fewer words, for the sake of memory: at most
    `MAX_NUMBERS` divided by the rows. `column` is what messages call the column."""

    def __init__(self, column: str, weighted: bool = False) -> None:
        self.column = column
        self.weighted = weighted

    def fit(self, texts: Texts, _: object = None) -> Self:
        """Choose the words; InputError if there are none."""
        self._fit(_encode(_flat(texts)))
        return self

    def fit_transform(self, texts: Texts, _: object = None) -> Counts:
        """Fit and transform, reading the texts once."""
        encoded = _encode(_flat(texts))
        self._fit(encoded)
        return self._transform(encoded)

    def transform(self, texts: Texts) -> Counts:
        """The counts of the words in each text."""
        return self._transform(_encode(_flat(texts)))

    def _fit(self, encoded: _Encoded) -> None:
        rows = len(encoded.starts) - 1
        seen: dict[str, list[str]] = {}
        for spelt in encoded.spelt:
            seen.setdefault(words.same(spelt), []).append(spelt)
        numbers = {word: number for number, word in enumerate(seen)}
        columns = np.array([numbers[words.same(spelt)] for spelt in encoded.spelt], np.int64)
        texts = np.bincount(encoded.counts(columns, len(seen)).indices, minlength=len(seen))
        known = sorted(
            (-texts[number], word) for word, number in numbers.items() if texts[number] >= MIN_TEXTS
        )
        most = min(MAX_WORDS, max(1, MAX_NUMBERS // rows))
        self.words_ = sorted(word for _, word in known[:most])
        if not self.words_:
            raise InputError("TextUnsuitable", words.unsuitable(self.column))
        self.columns_ = {
            spelling: column
            for column, word in enumerate(self.words_)
            for spelling in _spellings(word, seen[word])
        }
        within = np.array([texts[numbers[word]] for word in self.words_], np.float64)
        self.weights_ = (np.log((1 + rows) / (1 + within)) + 1).astype(np.float32)

    def _transform(self, encoded: _Encoded) -> Counts:
        columns = np.array([self.columns_.get(spelt, -1) for spelt in encoded.spelt], np.int64)
        found = encoded.counts(columns, len(self.words_))
        if self.weighted:
            found.data *= self.weights_[found.indices]
            found = normalize(found)
        counts: Counts = found.toarray()
        return counts


def _flat(texts: Texts) -> list[str]:
    flat: list[str] = np.asarray(texts, dtype=object).reshape(-1).tolist()
    return flat


def _shapes(operator: Operator) -> None:
    operator.outputs[0].type = FloatTensorType([None, len(operator.raw_operator.words_)])


def _convert(scope: Scope, operator: Operator, container: Container) -> None:
    """Rows come as [N, 1] and are [N, 1, words] once they are split, filled up with "", which is no word."""
    fitted: WordCounts = operator.raw_operator

    def add(kind: str, inputs: list[str], output: str = "", **attributes: object) -> str:
        made = output or str(scope.get_unique_variable_name(kind))
        name = scope.get_unique_operator_name(kind)
        container.add_node(kind, inputs, [made], name=name, **attributes)
        return made

    spelt = add(
        "Tokenizer",
        [operator.inputs[0].full_name],
        op_domain="com.microsoft",
        op_version=1,
        mark=0,
        mincharnum=1,
        pad_value="",
        tokenexp=words.expression(),
    )
    counts = add(
        "TfIdfVectorizer",
        [add("Flatten", [spelt], op_version=9, axis=1)],
        "" if fitted.weighted else operator.outputs[0].full_name,
        op_version=9,
        mode="TF",
        min_gram_length=1,
        max_gram_length=1,
        max_skip_count=0,
        ngram_counts=[0],
        ngram_indexes=list(fitted.columns_.values()),
        pool_strings=list(fitted.columns_),
    )
    if fitted.weighted:
        weights = scope.get_unique_variable_name("weights")
        container.add_initializer(
            weights, TensorProto.FLOAT, [len(fitted.weights_)], fitted.weights_.tolist()
        )
        weighted = add("Mul", [counts, weights], op_version=7)
        output = operator.outputs[0].full_name
        add("Normalizer", [weighted], output, op_domain="ai.onnx.ml", op_version=1, norm="L2")


update_registered_converter(WordCounts, "ModelwrightWordCounts", _shapes, _convert, overwrite=True)
