"""What obstore raises, as reasons and sentences.

obstore's texts hold the server's answer. Of it, known codes are looked for, and the number of the status; no other part
of an answer gets anywhere. The codes are those of S3, of Google's XML API, which has most of them too, and of Azure.
"""

import re
from dataclasses import dataclass

from modelwright_stores.access import Access
from modelwright_stores.failures import StoreError
from modelwright_stores.objects.clouds import SECRET_KEYS, Cloud

_STATUS = re.compile(
    r"Server returned non-2xx status code: (\d{3})|Bulk delete request failed .*\(code: (\d{3})\)"
)
_CODE = re.compile(r"<Code>\s*([A-Za-z0-9._-]{1,80})\s*</Code>")

_REASONS = {
    "CredentialsRefused": (
        "InvalidAccessKeyId SignatureDoesNotMatch InvalidToken AuthFailure InvalidSecurity NotSignedUp "
        "UnauthorizedAccess InvalidClientTokenId XAdminUserNotFound AuthenticationFailed InvalidAuthenticationInfo "
        "NoAuthenticationInformation AuthenticationRequired MissingSecurityHeader MissingAuthenticationToken"
    ),
    "CredentialsExpired": "ExpiredToken ExpiredTokenException TokenRefreshRequired RequestExpired",
    "AccessDenied": (
        "AccessDenied AllAccessDisabled AccountProblem Forbidden InvalidObjectState AuthorizationFailure "
        "AuthorizationPermissionMismatch AuthorizationProtocolMismatch AuthorizationResourceTypeMismatch "
        "AuthorizationServiceMismatch AuthorizationSourceIPMismatch InsufficientAccountPermissions AccountIsDisabled "
        "KMS.DisabledException KMS.NotFoundException KMS.AccessDeniedException UserProjectAccountProblem "
        "UserProjectAccessDenied PublicAccessNotPermitted MethodNotAllowed"
    ),
    "BucketNotFound": "NoSuchBucket InvalidBucketName ContainerNotFound ContainerBeingDeleted InvalidResourceName",
    "WrongRegion": (
        "PermanentRedirect TemporaryRedirect Redirect AuthorizationHeaderMalformed IllegalLocationConstraintException "
        "InvalidRegionName IncorrectEndpoint"
    ),
    "ClockSkewed": "RequestTimeTooSkewed RequestInTheFuture",
    "StoreUnavailable": (
        "SlowDown InternalError ServiceUnavailable RequestTimeout RequestLimitExceeded Throttling TooManyRequests "
        "ServerBusy OperationTimedOut OperationAborted ConditionalRequestConflict BadDigest XAmzContentSHA256Mismatch "
        "XAmzContentChecksumMismatch NoSuchUpload Md5Mismatch IncompleteBody"
    ),
}
REASONS = {code: reason for reason, codes in _REASONS.items() for code in codes.split()}
MISSING = frozenset(("NoSuchKey", "NoSuchVersion", "BlobNotFound", "NotFound"))
THERE = frozenset(("PreconditionFailed", "ConditionNotMet", "BlobAlreadyExists"))
REFUSED_CONFLICTS = frozenset(
    ("PublicAccessNotPermitted", "OperationAborted", "ContainerBeingDeleted", "NoSuchBucket")
)
# Answers of servers that do not know a header which is optional.
UNKNOWN_HEADER = frozenset(
    ("NotImplemented", "InvalidArgument", "InvalidRequest", "MalformedXML", "UnsupportedHeader")
)
_AZURE_PHRASES = {
    "Signature not valid in the specified time frame": "ExpiredToken",
    "The token is expired": "ExpiredToken",
    "Request date header too old": "RequestTimeTooSkewed",
    "Server failed to authenticate the request": "AuthenticationFailed",
    "The specified container does not exist": "ContainerNotFound",
}
_HINTS = {
    "InvalidAccessKeyId": "there is no such access key",
    "SignatureDoesNotMatch": "the secret key is not the one of this access key",
    "AuthenticationFailed": "the key or the signature is wrong",
    "InvalidObjectState": "the object is archived",
    "AuthorizationPermissionMismatch": "a role such as Storage Blob Data Reader or Contributor is missing",
    "AuthorizationSourceIPMismatch": "its firewall does not let this address in",
    "AuthorizationFailure": "its firewall or the rights of the token do not allow this",
    "AuthorizationProtocolMismatch": "the token is for https only",
    "AccountIsDisabled": "the account is disabled",
    "KMS.DisabledException": "the key that encrypts it is disabled",
    "KMS.NotFoundException": "there is no such key to encrypt with",
    "KMS.AccessDeniedException": "the key that encrypts it may not be used",
}


@dataclass(frozen=True)
class Answer:
    """What is known of a failure: the number of the status and the code of the server, as far as there is one.

    `ranged`: the server does what a range asks for."""

    status: int | None
    code: str | None
    ranged: bool = True

    @property
    def is_missing(self) -> bool:
        """The object is not there, and nothing else is wrong."""
        return self.status == 404 and (self.code is None or self.code in MISSING)

    @property
    def is_conflict(self) -> bool:
        """An object is there already, or something else is in the way of a new one."""
        return self.status in (409, 412) and self.code not in REFUSED_CONFLICTS

    @property
    def is_there(self) -> bool:
        """The answer to a write on condition that there is no object: there is one, and nothing else is meant."""
        return self.code in THERE or (self.status == 412 and self.code is None)

    @property
    def is_other(self) -> bool:
        """The object is not the one that was asked for, or it is gone, or shorter."""
        return self.status in (412, 416) or self.is_missing

    @property
    def has_no_byte(self) -> bool:
        """The first byte was asked for: there is none, or the server does not know ranges."""
        return self.status == 416 or not self.ranged

    @property
    def is_credential(self) -> bool:
        """The store refuses the credential as such."""
        return self.status in (400, 401, 403, 404) and self.reason in (
            "CredentialsExpired",
            "CredentialsRefused",
        )

    @property
    def reason(self) -> str | None:
        """The reason that the code stands for."""
        return REASONS.get(self.code or "")

    @property
    def has_unknown_header(self) -> bool:
        """The server does not know something of the request that it can do without."""
        return self.status == 501 or (self.status == 400 and self.code in UNKNOWN_HEADER)


class AnswerError(StoreError):
    """What a store answers when it does not do what is asked."""

    def __init__(self, reason: str, message: str, answer: Answer) -> None:
        super().__init__(reason, message, passing=reason == "StoreUnavailable")
        self.answer = answer


def obstore_errors() -> tuple[type[Exception], ...]:
    """What obstore raises. It is imported where it is used only."""
    from obstore.exceptions import BaseError  # noqa: PLC0415

    return BaseError, FileNotFoundError, ValueError


def failure(error: Exception, cloud: Cloud, access: Access, shown: str) -> AnswerError:
    """The failure of what was asked of `shown`, a uri. Nothing of an answer is quoted."""
    text = str(error)
    status = _STATUS.search(text)
    if status is None:
        return _unanswered(text, cloud, access, shown)
    code = _CODE.search(text, status.end())
    said = Answer(int(status[1] or status[2]), _code(code and code[1], text))
    reason = _reason(said, cloud)
    hint = _HINTS.get(said.code or "")
    detail = f": {hint}" if hint else f" (status {said.status})"
    return AnswerError(reason, _sentence(reason, cloud, access, shown, detail), said)


def _code(code: str | None, text: str) -> str | None:
    """The code, where a phrase of Azure says more than its code, or says it without one."""
    if code in (None, "AuthenticationFailed", "InvalidAuthenticationInfo", "AuthorizationFailure"):
        return next((known for phrase, known in _AZURE_PHRASES.items() if phrase in text), code)
    return code


def missing(cloud: Cloud, shown: str) -> StoreError:
    """There is no object of this uri."""
    return StoreError(
        "DataNotFound", f"There is no {shown} at {cloud.host}. Correct the uri, or bring the object."
    )


def unbuilt(error: Exception, cloud: Cloud, access: Access) -> StoreError:
    """obstore does not take what it was given for a store."""
    text = str(error)
    if "root_certificate" in text or "InvalidCertificate" in text:
        given = (
            f"{access.field}.caConfigMapRef: {access.authority}" if access.authority else str(access.bundle)
        )
        return StoreError(
            "CertificatesNotFound",
            f"{given} holds no certificates. They have to be PEM: -----BEGIN CERTIFICATE-----.",
        )
    if access.secret is not None:
        return StoreError(
            "SecretIncomplete",
            f"{access.field}.secretRef: Secret {access.secret} holds no credentials for {cloud.scheme}://. Correct "
            f"{', '.join(SECRET_KEYS[cloud.scheme])}.",
        )
    return StoreError(
        "UriUnsupported", f"{cloud.scheme}://{cloud.bucket} cannot be used with {access.field}.endpoint."
    )


def _reason(said: Answer, cloud: Cloud) -> str:
    reason = said.reason or _reason_of_status(said.status or 0, cloud)
    refused = reason in ("AccessDenied", "CredentialsRefused") or said.code == "ResourceNotFound"
    return "NoCredentials" if refused and not cloud.signed else reason


def _reason_of_status(status: int, cloud: Cloud) -> str:
    if status in (408, 425, 429) or (status >= 500 and status != 501):
        return "StoreUnavailable"
    if 300 <= status < 400 and cloud.scheme == "s3":
        return "WrongRegion"
    return {
        401: "CredentialsRefused",
        403: "AccessDenied",
        404: "BucketNotFound",
        409: "StoreUnavailable",
    }.get(status, "StoreAnswerInvalid")


def _unanswered(text: str, cloud: Cloud, access: Access, shown: str) -> AnswerError:
    """No answer came, or none that obstore can read. The text is obstore's own."""
    nothing = Answer(None, None, re.search("NotPartial|ParseContentRange", text) is None)
    if "InvalidCertificate" in text:
        kind = next((words for name, words in _CERTIFICATES.items() if name in text), "it cannot be verified")
        return AnswerError(
            "CertificateNotTrusted",
            f"The certificate of {cloud.host} is not trusted: {kind}. If its authority is your own, give its "
            f"certificate with {access.field}.caConfigMapRef.",
            nothing,
        )
    if "Could not parse path" in text or "Error parsing Path" in text:
        return AnswerError(
            "UriUnsupported",
            f"{shown}: keys with empty parts (//), . or .. as a part cannot be read. Rename the object.",
            nothing,
        )
    if "BareRedirect" in text:
        return AnswerError("WrongRegion", _sentence("WrongRegion", cloud, access, shown, ""), nothing)
    if "InvalidMessage" in text:
        begins = f"Is {access.field}.endpoint to begin with http://?"
        return AnswerError("StoreAnswerInvalid", f"{cloud.host} does not speak TLS. {begins}", nothing)
    if re.search("kind: (Connect|Timeout|Request|Interrupted|Body|Decode)", text):
        detail = next((words for name, words in _CONNECTIONS.items() if name in text), "the connection broke")
        return AnswerError("StoreUnavailable", f"{shown}: {cloud.host}: {detail}.", nothing)
    sentence = _sentence("StoreAnswerInvalid", cloud, access, shown, "")
    return AnswerError("StoreAnswerInvalid", sentence, nothing)


_CERTIFICATES = {
    "UnknownIssuer": "its authority is not known",
    "NotValidForName": "it is for another name",
    "Expired": "it has expired",
    "NotValidYet": "it is not valid yet",
}
_CONNECTIONS = {
    "dns error": "the name cannot be resolved",
    "ConnectionRefused": "the connection was refused",
    "TimedOut": "no answer in time",
    "kind: Timeout": "no answer in time",
    "ConnectionReset": "the connection was reset",
}


def _sentence(reason: str, cloud: Cloud, access: Access, shown: str, detail: str) -> str:
    held = _held(access, cloud.scheme)
    field = access.field
    bucket = f"{'container' if cloud.scheme == 'az' else 'bucket'} {cloud.bucket}"
    return {
        "NoCredentials": f"{shown} may not be used without credentials. Set {field}.secretRef or {field}.identity.",
        "CredentialsRefused": f"{cloud.host} refuses {held}{detail}. Correct them.",
        "CredentialsExpired": f"{cloud.host} refuses {held}: they have expired. Replace them.",
        "AccessDenied": f"{cloud.host} does not allow {shown}{detail}. Grant {held} the right (docs/stores.md), or "
        "correct the uri: without the right to list, a missing object looks the same.",
        "BucketNotFound": f"{cloud.host} has no {bucket}. Create it, or correct the uri or {field}.endpoint.",
        "WrongRegion": f"The {bucket} is not in the region {access.region or 'us-east-1'}. Set {field}.region to its "
        "own.",
        "ClockSkewed": f"{cloud.host} refuses the time of the request. Set the clock of the node right.",
        "StoreUnavailable": f"{shown}: {cloud.host} is busy{detail}.",
        "StoreAnswerInvalid": f"{cloud.host} does not answer as a store of {cloud.scheme}:// does{detail}.",
    }[reason]


def _held(access: Access, scheme: str) -> str:
    if access.secret is not None:
        keys = [key for key in SECRET_KEYS[scheme] if (access.folder / "secret" / key).is_file()]
        return f"the credentials of Secret {access.secret} ({', '.join(keys)})"
    if access.identity is not None:
        return f"the credentials of {access.field}.identity"
    return "a request without credentials"
