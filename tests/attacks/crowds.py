"""A thousand connections that all ask for much, each within every bound."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from attacks import floods, grpc_calls
from attacks.aim import AGAIN, H2, Aim, addresses, attack
from attacks.bombs import many_rows, repeated
from attacks.questions import document, post
from attacks.wire import CALLER

CONNECTIONS = 1_000


@attack("1,000 connections from one address: a row at a time")
def thousand_callers(aim: Aim) -> None:
    row = post(document("X", np.ones((1, 1), np.float32)))
    aim.http(repeated(row, ahead=1), AGAIN, CONNECTIONS)


@attack("1,000 connections from one address: 8,192 rows in 80 bytes at a time")
def thousand_rows(aim: Aim) -> None:
    aim.http(repeated(many_rows(8_192), ahead=1), AGAIN, CONNECTIONS)


@attack("1,000 connections from 200 addresses: 8,192 rows in 80 bytes at a time")
def thousand_rows_addresses(aim: Aim) -> None:
    request = many_rows(8_192)
    for source in addresses(CONNECTIONS // 5):
        aim.http(repeated(request, ahead=1), replace(AGAIN, source=source), 5)


@attack("1,000 gRPC connections from 200 addresses: 8,192 rows at a time, 4 at once")
def thousand_calls_addresses(aim: Aim) -> None:
    body = grpc_calls.zipped(grpc_calls.rows(8_192))
    for source in addresses(CONNECTIONS // 5):
        aim.grpc(grpc_calls.repeated(body, grpc_calls.ZIPPED), replace(H2, source=source), 5)


@attack("from the honest callers' own address, as behind one proxy: whole calls on 8 connections")
def neighbour_calls(aim: Aim) -> None:
    _, block, body = floods.calls()
    how = replace(H2, source=CALLER)
    aim.grpc(floods.streamed(lambda stream: floods.call(stream, block, body)), how, 8)


@attack("from the honest callers' own address, as behind one proxy: 8,192 rows on 50 connections")
def neighbour_rows(aim: Aim) -> None:
    aim.http(repeated(many_rows(8_192), ahead=1), replace(AGAIN, source=CALLER), 50)


@attack("from the honest callers' own address, as behind one proxy: 4 M rows on 8 connections")
def neighbour_bombs(aim: Aim) -> None:
    aim.http(repeated(many_rows(4_000_000)), replace(AGAIN, source=CALLER), 8)
