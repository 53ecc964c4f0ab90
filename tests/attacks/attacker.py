"""One attack in a process of its own: prepares it, waits for a line on standard input, and says what it took."""

from __future__ import annotations

import json
import resource
import sys

from attacks.aim import Aim
from attacks.catalogue import ATTACKS
from attacks.wire import Engine


def main() -> int:
    asked = json.loads(sys.stdin.readline())
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    engine = Engine(asked["seconds"])
    ATTACKS[asked["attack"]].plan(Aim(engine, asked["ports"]))
    print("ready", flush=True)
    sys.stdin.readline()
    engine.run()
    print(json.dumps({
        "sent": engine.sent, "received": engine.received, "connections": engine.connections,
        "ends": {name: count for name, count in engine.ends.most_common() if count},
    }), flush=True)  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
