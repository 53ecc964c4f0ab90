"""A made-up shop that delivers parcels: its past orders as a table to learn from, and its callers.

    python shop.py orders > orders.csv            # 1,500 past orders, and whether they came late
    python shop.py traffic http://localhost:8080  # a model's callers: 40 orders a second, and their labels afterwards

At first the shop delivers in its town. With `--far` half of its orders go to the whole country, by night train, where
other things make a parcel late: a model that has learnt from orders in town does not know that. While `traffic` runs,
Enter switches from one to the other. It needs Python 3.11, and nothing else.
"""

from __future__ import annotations

import argparse
import http.client
import json
import math
import random
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

COLUMNS = ("distance_km", "parcels", "weight_kg", "service", "late")
ORDERS_PER_REQUEST = 4
REPORT_SECONDS = 5
PATIENCE_SECONDS = 10


@dataclass(frozen=True)
class Order:
    """What the shop knows of an order, and what comes out afterwards."""

    distance_km: float
    parcels: int
    weight_kg: float
    service: str
    late: str


def draw(chance: random.Random, *, far: bool) -> Order:
    """An order. In town the distance and the number of parcels make it late, on the night train the weight does."""
    parcels = 1 + min(5, int(chance.expovariate(1 / 1.3)))
    weight = round(min(40.0, 0.5 + chance.expovariate(1 / 6)), 1)
    service = chance.choices(["standard", "express"], [3, 1])[0]
    if far and chance.random() < 0.5:
        distance = round(chance.uniform(30, 400), 1)
        leaning = 1.2 * (weight - 5)
    else:
        distance = round(min(25.0, 0.3 + chance.expovariate(1 / 8)), 1)
        leaning = 0.5 * (distance - 8) + 0.7 * (parcels - 2) - (2.0 if service == "express" else 0.0)
    late = chance.random() < 1 / (1 + math.exp(-leaning))
    return Order(distance, parcels, weight, service, "yes" if late else "no")


def table(count: int = 1500, seed: int = 1, *, far: bool = False) -> str:
    """Past orders as CSV. The same bytes for the same arguments."""
    chance = random.Random(seed)  # noqa: S311 - made-up data, no secret
    orders = (draw(chance, far=far) for _ in range(count))
    rows = (f"{o.distance_km},{o.parcels},{o.weight_kg},{o.service},{o.late}" for o in orders)
    return "\n".join((",".join(COLUMNS), *rows)) + "\n"


def request(orders: Sequence[Order]) -> dict[str, object]:
    """The request for these orders, one input per column; it asks for a token per row, to send labels back with."""

    def column(name: str, datatype: str) -> dict[str, object]:
        data = [getattr(order, name) for order in orders]
        return {"name": name, "datatype": datatype, "shape": [len(orders), 1], "data": data}

    inputs = [column(name, "FP32") for name in COLUMNS[:3]]
    return {"inputs": [*inputs, column("service", "BYTES")], "parameters": {"prediction_tokens": True}}


class Traffic:
    """Callers of a served model, in a thread of their own between `start` and `stop`.

    `far` may be changed under way. A request without an answer is counted in `failed` and is not sent again.
    """

    def __init__(
        self, url: str, model: str = "deliveries", *, far: bool = False, label_seconds: float = 2.0
    ) -> None:
        self.far = far
        self.answered = 0
        self.right: deque[bool] = deque(maxlen=500)
        self.versions: Counter[str] = Counter()
        self.feedback: Counter[str] = Counter()
        self.failed = 0
        self.failures: list[str] = []
        self._path = f"/v2/models/{model}"
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=PATIENCE_SECONDS)
        self._label_seconds = label_seconds
        self._chance = random.Random()  # noqa: S311 - made-up data, no secret
        self._labels: deque[tuple[float, str, str]] = deque()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> Traffic:
        """Begins to call."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """Ends after the request that is under way."""
        self._over.set()
        self._thread.join()
        self._connection.close()

    def line(self) -> str:
        """What was seen so far, for people."""
        right = f"{sum(self.right) / len(self.right):.0%}" if self.right else "-"
        versions = ", ".join(f"{version} {count}" for version, count in self.versions.items())
        labels = ", ".join(f"{outcome} {count}" for outcome, count in self.feedback.items() if count)
        return (
            f"{time.strftime('%H:%M:%S')} {'far ' if self.far else 'town'}  {self.answered} orders ({versions}), "
            f"{self.failed} requests failed, right of the last {len(self.right)}: {right}, labels: {labels or '-'}"
        )

    def _run(self) -> None:
        pause = ORDERS_PER_REQUEST / 40
        while not self._over.is_set():
            due = time.monotonic() + pause
            try:
                self._ask()
                self._send_labels()
            except (OSError, http.client.HTTPException, ValueError) as error:
                self.failed += 1
                self.failures = [*self.failures, f"{time.strftime('%H:%M:%S')} {error!r}"][:10]
                self._connection.close()
            self._over.wait(max(0.0, due - time.monotonic()))

    def _ask(self) -> None:
        orders = [draw(self._chance, far=self.far) for _ in range(ORDERS_PER_REQUEST)]
        answer = self._post("/infer", request(orders))
        labels = answer["outputs"][0]["data"]
        self.answered += len(orders)
        self.versions[answer["model_version"]] += len(orders)
        self.right.extend(order.late == label for order, label in zip(orders, labels, strict=True))
        due = time.monotonic() + self._label_seconds
        for order, token in zip(
            orders, answer.get("parameters", {}).get("prediction_tokens", ()), strict=False
        ):
            self._labels.append((due, token, order.late))

    def _send_labels(self) -> None:
        now, tokens, truth = time.monotonic(), [], []
        while self._labels and self._labels[0][0] <= now:
            _, token, late = self._labels.popleft()
            tokens.append(token)
            truth.append(late)
        if len(tokens) > 0:
            self.feedback.update(self._post("/feedback", {"tokens": tokens, "truth": truth}))

    def _post(self, path: str, document: object) -> dict:
        self._connection.request("POST", self._path + path, json.dumps(document))
        answer = self._connection.getresponse()
        content = answer.read()
        if answer.status != 200:
            raise ValueError(f"{answer.status} {content[:200]!r}")
        return json.loads(content)


def call(url: str, model: str, *, far: bool) -> None:
    """Calls until Ctrl-C, and says every few seconds what it saw."""
    traffic = Traffic(url, model, far=far).start()

    def switch() -> None:
        for _ in sys.stdin:
            traffic.far = not traffic.far
            say(f"orders now go {'to the whole country' if traffic.far else 'to the town'}")

    threading.Thread(target=switch, daemon=True).start()
    try:
        while True:
            time.sleep(REPORT_SECONDS)
            say(traffic.line())
    except KeyboardInterrupt:
        traffic.stop()
        say("\n".join((traffic.line(), *traffic.failures)))


def say(text: str) -> None:
    """Shows it at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    orders = commands.add_parser("orders", help="print past orders as CSV")
    orders.add_argument("--count", type=int, default=1500)
    orders.add_argument("--seed", type=int, default=1)
    traffic = commands.add_parser("traffic", help="call a served model until Ctrl-C")
    traffic.add_argument("url")
    traffic.add_argument("--model", default="deliveries")
    for command in (orders, traffic):
        command.add_argument("--far", action="store_true", help="half of the orders go to the whole country")
    given = parser.parse_args()
    if given.command == "orders":
        sys.stdout.write(table(given.count, given.seed, far=given.far))
    else:
        call(given.url, given.model, far=given.far)


if __name__ == "__main__":
    main()
