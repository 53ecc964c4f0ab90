"""How to reach the API server, and with which credentials: the pod's service account or a kubeconfig.

Both the client and kopf's watches are made from one configuration, and see a renewed token at once.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from pathlib import Path

import aiohttp
from kubernetes.aio.client import Configuration
from kubernetes.aio.client.rest import RESTClientObject
from kubernetes.aio.config import load_incluster_config, load_kube_config

from modelwright.engine.backoff import Forever
from modelwright.engine.connector import Connector

logger = logging.getLogger(__name__)

# Tokens that a kubeconfig brings, by a file or by a program, are fetched again this often.
TOKEN_AGE = 300.0

Handler = aiohttp.ClientHandlerType
Middleware = aiohttp.ClientMiddlewareType


async def configure(kubeconfig: Path | None = None) -> Configuration:
    """The configuration of a kubeconfig file; without one that of the pod, or of the user's own kubeconfig."""
    configuration = Configuration()
    if kubeconfig is None and "KUBERNETES_SERVICE_HOST" in os.environ:
        load_incluster_config(configuration)  # type: ignore[no-untyped-call]
        return configuration
    path = None if kubeconfig is None else str(kubeconfig)
    await _load(path, configuration)
    loaded_at = time.monotonic()

    async def refresh(configuration: Configuration) -> None:
        nonlocal loaded_at
        if time.monotonic() - loaded_at > TOKEN_AGE:
            loaded_at = time.monotonic()
            await _load(path, configuration)

    configuration.refresh_api_key_hook = refresh  # type: ignore[assignment]  # it is there to be set
    return configuration


async def _load(path: str | None, configuration: Configuration) -> None:
    await load_kube_config(path, client_configuration=configuration)  # type: ignore[no-untyped-call]


def session(configuration: Configuration, *middlewares: Middleware) -> aiohttp.ClientSession:
    """A session with credentials, for the requests of a library.

    A 401 is not shown but waited out, until the request times out: an API server that has lost its etcd cannot
    check tokens for a while, and a renewed token is picked up.
    """

    async def log_in(request: aiohttp.ClientRequest, handler: Handler) -> aiohttp.ClientResponse:
        for delay in Forever():
            setting = (await configuration.auth_settings()).get("BearerToken")
            if setting is not None:
                request.headers["Authorization"] = str(setting["value"])
            response = await handler(request)
            if response.status != 401:
                return response
            logger.warning("the API server does not take our credentials (401); next try in %.1f s", delay)
            response.release()
            await asyncio.sleep(delay)
        raise AssertionError("Forever has ended")

    rest = RESTClientObject(configuration)  # it knows how to make the TLS context
    return aiohttp.ClientSession(
        connector=Connector(ssl=rest.ssl_context, limit=0),
        middlewares=(log_in, *middlewares),
        proxy=configuration.proxy,
        trust_env=True,
    )
