"""Files of a real TLS server on this host: what is trusted, what is bounded, what is worth another try."""

from __future__ import annotations

import pytest
from unit.stores.webserver import Certificates, Site, status, to

from modelwright_stores.access import Access
from modelwright_stores.failures import StoreError
from modelwright_stores.resuming import Patience, stream
from modelwright_stores.web.file import WebFile

ROWS = b"a,b\n" + b"1,2\n" * 50_000
ONCE = Patience(silent=0, total=60)


def content(uri: str, access: Access, patience: Patience = ONCE, silence: float = 5) -> bytes:
    """All bytes of a file, as a reader gets them."""
    with stream(WebFile(uri, access, silence), 1 << 30, patience) as body:
        return b"".join(iter(lambda: body.read(1 << 16) or b"", b""))


def refusal(uri: str, access: Access, patience: Patience = ONCE, silence: float = 5) -> StoreError:
    with pytest.raises(StoreError) as refused:
        content(uri, access, patience, silence)
    return refused.value


def test_a_file_is_read(site: Site, issued: Certificates) -> None:
    site.content = ROWS
    file = WebFile(f"{site.url}/2026/rows.csv?signature=secret", issued.access())
    assert content(f"{site.url}/2026/rows.csv?signature=secret", issued.access()) == ROWS
    assert (file.name, file.shown) == ("rows.csv", f"{site.url}/2026/rows.csv")


@pytest.mark.parametrize(
    ("code", "reason", "passing"),
    [
        (404, "DataNotFound", False),
        (410, "DataNotFound", False),
        (401, "NoCredentials", False),
        (403, "AccessDenied", False),
        (400, "StoreAnswerInvalid", False),
        (204, "StoreAnswerInvalid", False),
        (202, "StoreUnavailable", True),
        (408, "StoreUnavailable", True),
        (429, "StoreUnavailable", True),
        (500, "StoreUnavailable", True),
        (503, "StoreUnavailable", True),
    ],
)
def test_a_status_says_what_to_do(
    site: Site, issued: Certificates, code: int, reason: str, passing: bool
) -> None:
    site.answers["/rows.csv"] = status(code)
    refused = refusal(f"{site.url}/rows.csv", issued.access())
    assert (refused.reason, refused.passing) == (reason, passing)
    assert f"{site.url}/rows.csv answers {code}" in refused.message


def test_a_redirect_is_followed(site: Site, issued: Certificates) -> None:
    site.content, site.answers["/moved"] = ROWS, to("/rows.csv")
    assert content(f"{site.url}/moved", issued.access()) == ROWS
