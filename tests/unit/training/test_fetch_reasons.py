"""Every reason that fetch can end with for a user's input, and what its message tells."""

import base64
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from unit.training.pod import Json, Pod, reasons, run_document

HEADER = "age,plan,y\n"
GOOD = HEADER + "".join(f"{20 + i},{'free' if i % 2 else 'pro'},{i % 2}\n" for i in range(20))


@dataclass(frozen=True)
class Case:
    """Data and a run document that cannot work together."""

    reason: str
    says: tuple[str, ...]
    text: str = GOOD
    changes: Json = field(default_factory=dict)
    code: int = 65


def data(**changes: object) -> Json:
    return {"data": changes}


CASES = {
    "an estimator with a typo": Case(
        "EstimatorUnknown",
        ("LogisticRegresion", "Did you mean", "sklearn.linear_model.LogisticRegression"),
        changes={"estimator": "sklearn.linear_model.LogisticRegresion"},
    ),
    "an estimator of another library": Case(
        "EstimatorUnknown", ("sklearn.externals",), changes={"estimator": "sklearn.externals.Thing"}
    ),
    "an estimator that predicts nothing": Case(
        "EstimatorUnknown",
        ("neither a classifier nor a regressor",),
        changes={"estimator": "sklearn.preprocessing.StandardScaler"},
    ),
    "a data set that scikit-learn does not bring": Case(
        "UriUnsupported", ("'iriss'", "'iris'"), changes=data(uri="sklearn://iriss")
    ),
    "a data set with three targets": Case(
        "UriUnsupported", ("three targets",), changes=data(uri="sklearn://linnerud")
    ),
    "a file that is not there": Case(
        "DataNotFound", ("'typo.csv'", "rows.csv"), changes=data(uri="pvc://lake/typo.csv")
    ),
    "a folder that is not there": Case(
        "DataNotFound", ("folder is not there",), changes=data(uri="pvc://lake/a/b.csv")
    ),
    "a path out of the volume": Case(
        "UriUnsupported", ("leads out",), changes=data(uri="pvc://lake/../../etc/passwd")
    ),
    "another digest": Case(
        "DigestMismatch", ("sha256:" + "0" * 64, "has digest sha256:"), changes=data(digest="sha256:" + "0" * 64)
    ),
    "an empty file": Case("DataEmpty", ("empty file",), text=""),
    "a header without rows": Case("DataEmpty", ("3 columns but no rows",), text=HEADER),
    "rows of different lengths": Case("DataUnreadable", ("header has 3 cells", "row 1 has 2"), text=HEADER + "1,2\n"),
    "text that is not UTF-8": Case("DataUnreadable", ("UTF-8",), text=HEADER + "1,gr\udcfcn,0\n"),
    "a header that is not UTF-8": Case("DataUnreadable", ("UTF-8",), text="alt\udcfc,y\n1,2\n"),
    "two columns of one name": Case("DataUnreadable", ("same name", "'age'"), text="age,age,y\n1,2,0\n"),
    "something that is no table": Case("DataUnreadable", ("neither Parquet nor text",), text="\x00\x01\x02"),
    "a first line that is empty": Case("DataUnreadable", ("name the columns",), text="\n1,2\n"),
    "a broken Parquet file": Case("DataUnreadable", ("parquet",), text="PAR1 and no more"),
    "a target with a typo": Case(
        "TargetMissing", ("'ages'", "Did you mean 'age'", "'plan'"), changes=data(target="ages")
    ),
    "a feature with a typo": Case(
        "FeatureMissing", ("'plam'", "Did you mean 'plan'"), changes=data(features=["age", "plam"])
    ),
    "a schema for a column that is not there": Case(
        "FeatureMissing", ("data.schema", "'agee'"), changes=data(schema={"agee": {"min": 0}})
    ),
    "nothing but the target": Case("FeatureMissing", ("only the target",), text="y\n1\n0\n"),
    "values out of their range": Case(
        "SchemaViolation",
        ("row 11, column 'age': '30' breaks max: 29", "10 values", "5 more"),
        changes=data(schema={"age": {"max": 29}}),
    ),
    "an infinite value": Case("ValueOutOfRange", ("'age'", "row 1"), text=GOOD.replace("20,", "inf,", 1)),
    "a value that float32 cannot hold": Case("ValueOutOfRange", ("float32",), text=GOOD.replace("20,", "1e39,", 1)),
    "a target that is missing in places": Case(
        "TargetHasMissingValues", ("2 of 22 rows", "row 21"), text=GOOD + "1,pro,\n2,pro,\n"
    ),
    "text where a regression needs numbers": Case(
        "TargetUnsuitable",
        ("holds text such as 'pro'",),
        changes={"estimator": "sklearn.linear_model.Ridge", **data(target="plan")},
    ),
    "broken numbers where classes are needed": Case(
        "TargetUnsuitable", ("broken numbers such as 0.5",), text=GOOD.replace(",1\n", ",0.5\n")
    ),
    "a single class": Case("OneClassOnly", ("is 1 in every row",), text=HEADER + "1,a,1\n" * 30),
    "one class only in the rows to learn from": Case(
        "OneClassOnly",
        ("rows to learn from",),
        text=HEADER + "1,a,0\n" * 10 + "1,a,1\n",
        changes=data(holdout={"fraction": 0.8, "seed": 1, "stratify": False}),
    ),
    "too few rows": Case("TooFewRows", ("has 3 rows",), text=HEADER + "1,a,0\n2,b,1\n3,a,1\n"),
    "a column of identifiers": Case(
        "IdentifierColumn",
        ("'plan'", "1200", "identifier"),
        text=HEADER + "".join(f"1,id{i},{i % 2}\n" for i in range(1200)),
        changes=data(features=["age", "plan"]),
    ),
    "a class per row": Case(
        "TooManyCategories", ("1200", "regressor"), text=HEADER + "".join(f"1,a,{i}\n" for i in range(1200))
    ),
    "a task that the estimator is not made for": Case(
        "DocumentInvalid", ("task is Regression",), changes={"task": "Regression"}
    ),
    "a password in a URL": Case("UriUnsupported", ("without a user",), changes=data(uri="https://user:word@host/x")),
}  # fmt: skip

# Reasons that need more than a file: what they come from is in the test named here.
ELSEWHERE = {
    "HoldoutUnsuitable": "test_holdout",
    "LeakSuspected": "test_leaks",
    "DataUnchanged": "test_probe",
    "AccessDenied": "test_https",
    "AddressRefused": "test_https",
    "CertificateNotTrusted": "test_https",
    "CertificatesNotFound": "test_https",
    "DataTooLarge": "test_https",
    "NoCredentials": "test_https",
    "StoreAnswerInvalid": "test_https",
    "StoreUnavailable": "test_https",
    "FileChanged": "test_web_files of the stores",
    "BucketNotFound": "test_buckets",
    "ClockSkewed": "test_buckets",
    "CredentialsExpired": "test_buckets",
    "CredentialsRefused": "test_buckets",
    "IdentityRefused": "test_buckets",
    "SecretIncomplete": "test_buckets",
    "SecretNotFound": "test_buckets",
    "WrongRegion": "test_buckets",
    "DvcDigestMismatch": "test_dvc",
    "DvcFileInvalid": "test_dvc",
    "DvcFileNotFound": "test_dvc",
    "DvcPathUnknown": "test_dvc",
    "SourceWroteNothing": "test_source_container",
    "FilesDiffer": "test_folders",
    "TextUnsuitable": "test_text",
    "StorageFailed": "test_main",
    "OutOfMemory": "test_main",
    "InternalError": "test_main",
    "ColumnUnsupported": "test_a_column_of_lists_is_refused",
    "MixedColumn": "test_columns",
    "AmbiguousColumn": "test_columns",
    "NameUnsuitable": "test_columns_fetched",
    "TooManyFeatures": "test_columns_fetched",
    "WeightUnsuitable": "test_columns_fetched",
    "PositiveClassUnknown": "test_columns_fetched",
    "DataDigestMismatch": "test_evaluate",
    "ArtifactNotFound": "test_evaluate",
    "NotOnnx": "test_evaluate",
    "SignatureMismatch": "test_evaluate",
    "NotARegularFile": "test_verify",
    "ModelTooLarge": "test_verify",
    "UnsupportedType": "test_evaluate",
}


@pytest.mark.parametrize("name", CASES)
def test_fetch_refuses(pod: Pod, name: str) -> None:
    case = CASES[name]
    (pod.paths.source / "rows.csv").write_bytes(case.text.encode(errors="surrogateescape"))
    ending = pod.given(**case.changes).run("fetch")

    assert (ending.reason, ending.code) == (case.reason, case.code), ending.document
    for words in case.says:
        assert words in ending.message
    assert not pod.paths.train_rows.exists()
    assert not pod.paths.holdout_rows.exists()


def test_each_reason_of_fetch_has_a_test() -> None:
    known = reasons("fetch")
    assert known == {case.reason for case in CASES.values()} | set(ELSEWHERE)


def test_an_unknown_estimator_costs_no_download(pod: Pod) -> None:
    ending = pod.given(
        estimator="sklearn.linear_model.Nothing", data={"uri": "https://127.0.0.1:1/rows.csv"}
    ).run("fetch")
    assert ending.reason == "EstimatorUnknown"


def test_a_column_of_lists_is_refused(pod: Pod) -> None:
    frame = pd.DataFrame({"x": [1, 2] * 10, "tags": [["a"], ["b"]] * 10, "y": [0, 1] * 10})
    ending = pod.given_rows(frame, "r.parquet").given(data={"uri": "pvc://lake/r.parquet"}).run("fetch")
    assert ending.reason == "ColumnUnsupported"
    assert "'tags'" in ending.message


def test_a_link_out_of_the_volume_is_not_followed(pod: Pod, tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_text(GOOD)
    (pod.paths.source / "rows.csv").symlink_to(tmp_path / "secret.csv")
    assert pod.run("fetch").reason == "UriUnsupported"


def test_a_config_map_is_read_through_its_links(pod: Pod) -> None:
    hidden = pod.paths.source / "..2026_11_21"
    hidden.mkdir()
    (hidden / "rows.csv").write_text(GOOD)
    (pod.paths.source / "..data").symlink_to(hidden.name)
    (pod.paths.source / "rows.csv").symlink_to("..data/rows.csv")
    assert pod.run("fetch").code == 0


BROKEN: dict[str, tuple[Callable[[Json], object], str]] = {
    "no target": (lambda run: run["data"].pop("target"), "data.target"),
    "an unknown field": (lambda run: run["data"].update(colour="red"), "data.colour"),
    "a fraction of one": (lambda run: run["data"].update(holdout={"fraction": 1.0}), "data.holdout.fraction"),
    "a target among the features": (
        lambda run: run["data"].update(features=["y"]),
        "also one of the features",
    ),
    "two trainers": (lambda run: run["trainer"].update(image="x"), "either sklearn or image"),
    "a digest in capitals": (lambda run: run["data"].update(digest="sha256:" + "A" * 64), "data.digest"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_run_document_is_refused_for(pod: Pod, name: str) -> None:
    breaks, words = BROKEN[name]
    document = run_document()
    breaks(document)
    pod.document = document
    ending = pod.run_unchecked("fetch")
    assert (ending.reason, ending.code) == ("DocumentInvalid", 65)
    assert words in ending.message


def test_a_secret_in_a_query_is_in_no_message(pod: Pod) -> None:
    token = base64.b64encode(np.arange(4, dtype=np.uint8).tobytes()).decode()
    ending = pod.given(data={"uri": f"https://127.0.0.1:1/rows.csv?token={token}"}).run("fetch")
    assert token not in str(ending.document)


def test_a_user_and_a_password_in_a_uri_are_in_no_line_of_the_log(
    pod: Pod, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    ending = pod.given(data={"uri": "https://lake:pass-word@host/rows.csv?token=to-ken"}).run("fetch")
    assert ending.reason == "UriUnsupported"
    said = caplog.text + str(ending.document)
    assert "pass-word" not in said
    assert "to-ken" not in said
