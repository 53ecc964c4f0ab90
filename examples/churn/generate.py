"""Writes data.yaml: a small, made-up table of customers, some of whom left. The same bytes at every run."""

import math
import random
from pathlib import Path

ROWS = 300
COLUMNS = (
    "age", "tenure_months", "plan", "country", "monthly_fee",
    "open_tickets", "days_since_login", "newsletter", "churned",
)  # fmt: skip
FEES = {"free": 0.0, "pro": 12.5, "team": 49.0}
HEADER = """\
# 300 made-up customers of a software service, 8 columns and whether they left. generate.py writes this file.
# Empty cells are missing values: an age that was never told, a customer who never logged in.
apiVersion: v1
kind: ConfigMap
metadata:
  name: churn-data
data:
  customers.csv: |
"""


def customer(chance: random.Random) -> list[str]:
    """One row. Who pays little, complains, or stays away is likelier to leave."""
    plan = chance.choices(["free", "pro", "team"], [5, 4, 2])[0]
    country = chance.choices(["AT", "DE", "FR", "NL"], [1, 4, 3, 2])[0]
    tenure = min(72, int(chance.expovariate(1 / 20)))
    tickets = min(9, int(chance.expovariate(1 / 1.2)))
    away = round(chance.expovariate(1 / 9), 1)
    newsletter = chance.random() < 0.4
    fee = round(FEES[plan] * chance.choice([1, 1, 1, 0.8]), 2)
    leaning = (
        {"free": 0.6, "pro": -0.5, "team": -1.6}[plan]
        + 0.8 * (tickets - 1)
        + 0.13 * (away - 9)
        - 0.06 * (tenure - 18)
        - (0.7 if newsletter else 0.0)
    )
    left = chance.random() < 1 / (1 + math.exp(-leaning))
    age = "" if chance.random() < 0.06 else str(chance.randint(18, 78))
    seen = "" if chance.random() < 0.05 else f"{away}"
    flag = "true" if newsletter else "false"
    return [age, str(tenure), plan, country, f"{fee}", str(tickets), seen, flag, "yes" if left else "no"]


def config_map() -> str:
    """The file."""
    chance = random.Random(7)  # noqa: S311 - made-up data, no secret
    rows = [list(COLUMNS), *(customer(chance) for _ in range(ROWS))]
    return HEADER + "".join(f"    {','.join(row)}\n" for row in rows)


if __name__ == "__main__":
    Path(__file__).with_name("data.yaml").write_text(config_map())
