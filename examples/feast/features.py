"""A feature store of Feast, and data for it: two features of customers, each with the time from which on it was known.

A store of your own has its definitions in a repository, its registry in a bucket or a database, and its rows in a
warehouse. Here all are files beside this one: `python features.py` writes them.
"""

from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
from feast import Entity, FeatureService, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
from feast.types import Float64, Int64, String

HERE = Path(__file__).resolve().parent
ROWS, LABELS = HERE / "customers.parquet", HERE / "labels.parquet"

customer = Entity(name="customer", join_keys=["customer_id"], value_type=ValueType.INT64)
customers = FeatureView(
    name="customers",
    entities=[customer],
    ttl=timedelta(days=90),
    schema=[
        Field(name="orders", dtype=Int64),
        Field(name="spent", dtype=Float64),
        Field(name="plan", dtype=String),
    ],
    source=FileSource(path=str(ROWS), timestamp_field="known_at"),
)
churn = FeatureService(name="churn", features=[customers])


def store() -> FeatureStore:
    """The feature store: the local provider, whose offline store is files."""
    return FeatureStore(
        config=RepoConfig(
            project="shop",
            provider="local",
            registry=str(HERE / "registry.db"),
            offline_store={"type": "dask"},
            online_store=None,
            entity_key_serialization_version=3,
        )
    )


def write(customers_count: int = 400, seed: int = 7) -> None:
    """Write features of six months, and one label for each customer at a day of his own."""
    random = np.random.default_rng(seed)
    days = pd.date_range("2026-01-01", periods=6, freq="MS", tz="UTC")
    frame = pd.DataFrame(
        [(customer, day) for customer in range(customers_count) for day in days],
        columns=["customer_id", "known_at"],
    )
    frame["orders"] = random.poisson(4, len(frame))
    frame["spent"] = (frame["orders"] * random.gamma(2.0, 15.0, len(frame))).round(2)
    frame["plan"] = random.choice(["free", "pro"], len(frame))
    frame.to_parquet(ROWS, index=False)

    labels = pd.DataFrame({"customer_id": range(customers_count)})
    offsets = random.integers(10, 170, customers_count)
    labels["event_timestamp"] = days[0] + pd.to_timedelta(offsets, unit="D")
    known = frame.merge(labels, on="customer_id")
    known = known[known["known_at"] <= known["event_timestamp"]].groupby("customer_id").last()
    chance = 1 / (1 + np.exp(known["orders"] - 3.5 + (known["plan"] == "pro") * 1.5))
    labels["churned"] = np.where(
        random.random(customers_count) < chance.loc[labels["customer_id"]], "yes", "no"
    )
    labels.to_parquet(LABELS, index=False)


if __name__ == "__main__":
    write()
    store().apply([customer, customers, churn])
