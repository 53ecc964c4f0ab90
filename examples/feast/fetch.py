"""Joins each label with the features as they were known at its time, and writes the rows to /out.

Of a store with credentials, read them from the files in /credentials: the keys of the Secret in data.source.secretRef.
"""

import os
from pathlib import Path

import pandas as pd
from features import LABELS, store

OUT = Path(os.environ.get("OUT", "/out"))

labels = pd.read_parquet(LABELS)
feast = store()
rows = feast.get_historical_features(labels, feast.get_feature_service("churn")).to_df()
# The same rows in the same order make the same file, so the same digest and the same model.
rows = rows.sort_values(["customer_id", "event_timestamp"])
rows.drop(columns=["customer_id", "event_timestamp"]).to_parquet(OUT / "data.parquet", index=False)
