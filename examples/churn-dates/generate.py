"""Writes data.yaml: made-up customers, a row for each month that they were asked about. The same bytes at every run."""

import math
import random
from datetime import date, timedelta
from pathlib import Path

CUSTOMERS = 120
MONTHS = [date(2026, month, 1) for month in range(1, 7)]
COLUMNS = ("customer_id", "signup_date", "month", "plan", "logins", "open_tickets", "churned")
HEADER = """\
# 120 made-up customers of a software service, up to six months of each, and whether they left in the month.
# generate.py writes this file.
apiVersion: v1
kind: ConfigMap
metadata:
  name: churn-dates-data
data:
  months.csv: |
"""


def customer(number: int, chance: random.Random) -> list[list[str]]:
    """The rows of one customer. Who came lately, complains, or stays away is likelier to leave."""
    signup = date(2022, 1, 1) + timedelta(days=chance.randrange(1400))
    plan = chance.choices(["free", "pro", "team"], [5, 4, 2])[0]
    habit = chance.expovariate(1 / 12)
    rows = []
    for month in MONTHS:
        logins = max(0, int(chance.gauss(habit, 3)))
        tickets = min(9, int(chance.expovariate(1 / 1.1)))
        years = (month - signup).days / 365
        leaning = (
            {"free": 0.4, "pro": -0.6, "team": -1.6}[plan]
            + 0.9 * (tickets - 1)
            - 0.18 * (logins - 8)
            - 0.7 * (years - 2)
        )
        left = chance.random() < 1 / (1 + math.exp(-leaning))
        rows.append(
            [
                f"C-{number:04}",
                f"{signup}",
                f"{month}",
                plan,
                str(logins),
                str(tickets),
                "yes" if left else "no",
            ]
        )
        if left:
            break
    return rows


def config_map() -> str:
    """The file."""
    chance = random.Random(11)  # noqa: S311 - made-up data, no secret
    rows = [list(COLUMNS), *(row for number in range(1, CUSTOMERS + 1) for row in customer(number, chance))]
    return HEADER + "".join(f"    {','.join(row)}\n" for row in rows)


if __name__ == "__main__":
    Path(__file__).with_name("data.yaml").write_text(config_map())
