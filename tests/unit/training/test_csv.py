"""The grammar of CSV: what separates cells, what a header may hold, and rows that do not fit it."""

import pandas as pd
import pytest
from unit.training.pod import Pod

from modelwright_training.errors import InputError
from modelwright_training.reading import csvfile

ROWS = 20


def rows(*cells: str, end: str = "\n") -> str:
    """Rows of these cells, each with `{i}` for its class."""
    return "".join(cells[i % len(cells)].format(i=i % 2) + end for i in range(ROWS))


def read(pod: Pod, text: str) -> pd.DataFrame:
    (pod.paths.source / "rows.csv").write_bytes(text.encode())
    ending = pod.run("fetch")
    assert ending.code == 0, ending.document
    both = pd.concat([pd.read_parquet(pod.paths.train_rows), pd.read_parquet(pod.paths.holdout_rows)])
    assert len(both) == ROWS
    return both


def refused(pod: Pod, text: str) -> str:
    (pod.paths.source / "rows.csv").write_bytes(text.encode())
    ending = pod.run("fetch")
    assert (ending.reason, ending.code) == ("DataUnreadable", 65), ending.document
    return ending.message


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ('"a\nb",y\n' + rows("1,{i}"), ["a\nb", "y"]),
        ('"a\r\nb";y\r\n' + rows("1;{i}", end="\r\n"), ["a\r\nb", "y"]),
        ('"the ""best"" one",y\n' + rows("1,{i}"), ['the "best" one', "y"]),
        ('"a, b",y\n' + rows("1,{i}"), ["a, b", "y"]),
        ("sep=;\na;y\n" + rows("1;{i}"), ["a", "y"]),
        ('\ufeff"sep=|"\r\na|y\r\n' + rows("1|{i}", end="\r\n"), ["a", "y"]),
        ("sep=:\na:y\n" + rows("1:{i}"), ["a", "y"]),
        ("a, b;y\n" + rows("1;{i}"), ["a, b", "y"]),
        ("a, b;c, d;y\n" + rows("1;2;{i}"), ["a, b", "c, d", "y"]),
        ("a|b,c,y\n" + rows("x|z,2,{i}"), ["a|b", "c", "y"]),
        ("a\ty\n" + rows("1\t{i}"), ["a", "y"]),
        ("a,y\r" + rows("1,{i}", end="\r"), ["a", "y"]),
        ("a,y\r\n" + rows("1,{i}", end="\n"), ["a", "y"]),
        ("a,y,\n" + rows("1,{i},"), ["a", "y"]),
        ("a,y\n" + rows("1,{i},"), ["a", "y"]),
        ("a,y,\n" + rows("1,{i}"), ["a", "y"]),
        (" a , y\n" + rows("1,{i}"), ["a", "y"]),
        ("a,y\n" + rows("1,{i}", end="\n\n"), ["a", "y"]),
    ],
)
def test_a_header_is_read(pod: Pod, text: str, columns: list[str]) -> None:
    assert list(read(pod, text).columns) == columns


def test_cells_with_decimal_commas_do_not_count_as_columns(pod: Pod) -> None:
    assert list(read(pod, "price, net;y\n" + rows("1,5;{i}")).columns) == ["price, net", "y"]


@pytest.mark.parametrize(
    "cell", ['"a\nb, {i}"', '"say ""yes"""', '""', '5" disk', '"a\r\nb"', '"""{i}"""', 'a "quoted" word']
)
def test_quotes_are_read_as_they_are_meant(pod: Pod, cell: str) -> None:
    values = {cell.format(i=i) for i in range(2)}
    meant = {value[1:-1].replace('""', '"') if value.startswith('"') else value for value in values}
    column = read(pod, "x,z,y\n" + rows(f"{cell},1,{{i}}", f"{cell},2,{{i}}", "other,3,{i}"))["x"]
    assert set(column) - {"other"} == meant


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("x,y\n" + rows("1,{i}") + '2,"0\n' + rows("1,{i}"), "line 22 of the data is not closed"),
        ('sep=,\n"x\n",y\n' + rows("1,{i}") + '2,"0\n' + rows("1,{i}"), "line 24 of the data is not closed"),
        ("x,y\n" + rows("a,{i}") + '"2,0\n"3",1\n', "text after a closing quote in line 23"),
        ("x,y\n" + rows("a,{i}") + '"say \\"yes\\"",1\n', "line 22 of the data. Inside quotes, a quote is"),
        ('"x,y\n' + rows("1,{i}"), "a quote in it is not closed"),
        ('"x"z,y\n' + rows("1,{i}"), "text after a closing quote"),
        ("x,y\n" + rows("1,{i}") + "2\n3,1,4\n" + rows("1,{i}"), "header has 2 cells, but row 21 has 1, row 22 has 3."),
        ("x,y\n1,0\n" + "2\n" * 7 + rows("1,{i}"), "row 6 has 1 and 2 rows more"),
        ("x,y\n" + "2\n" * 2000, "more than 1000 others"),
        ("x,z\n" + rows("r1,1,{i}"), "the first column may lack its name"),
        ("a, b;c\n" + rows("x;u, v"), "Cells may be separated by comma"),
        ("1,1,0\n" + rows("1,2,{i}"), "Has the file a header line?"),
        ("\n" + rows("1,{i}"), "name the columns"),
        (",,\n" + rows("1,2,{i}"), "name the columns"),
        ("x,y\n" + "a" * 3 * csvfile.BLOCK + ",1\n", "longer than 4 MiB"),
    ],
)  # fmt: skip
def test_what_would_be_misread_is_refused(pod: Pod, text: str, says: str) -> None:
    assert says in refused(pod, text)


def test_bytes_that_are_not_utf_8_are_named_with_their_line(pod: Pod) -> None:
    path = pod.paths.source / "rows.csv"
    path.write_bytes(b"x,y\n" + b"a,1\n" * 400_000 + "grün,0\n".encode("cp1252"))
    message = pod.run("fetch").message
    assert "Line 400002" in message
    assert "0xfc" in message
    assert "iconv" in message


def test_no_cell_of_the_data_is_quoted_in_a_refusal(pod: Pod) -> None:
    for text in ("x,y\n" + rows("secret,{i}") + "secret\n", "x,y\n" + rows("secret,{i}") + '"secret"s,1\n'):
        assert "secret" not in refused(pod, text)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 1000])
@pytest.mark.parametrize(
    ("text", "broken"),
    [
        ('a,"b"\n"c","d ""e"""\n', False),
        ('a,5"\n"c",6""\n', False),
        ('"",""\n"","""\n', True),
        ('"""""",""""\n', False),
        ('a,"b"c\n', True),
        ('a,x"b"c\n', False),
        ('"a""b,c"\nd,e\n', False),
        ('a""b,"c"\nd,"e\n', True),
        ('a"",b\n"c""",""""\n', False),
    ],
)
def test_quotes_are_judged_alike_however_the_text_is_cut(size: int, text: str, broken: bool) -> None:
    quotes = csvfile._Quotes(",", 1)
    pieces = [text[start : start + size].encode() for start in range(0, len(text), size)]
    try:
        for piece in [*pieces, b""]:
            quotes.feed(piece)
    except InputError:
        assert broken
    else:
        assert not broken
