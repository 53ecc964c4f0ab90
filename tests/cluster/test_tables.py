"""A table as people have it: dates, texts, customers with several rows, 150 KB of rules. LightGBM learns from it."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from support.kubectl import Kubectl
from support.manifests import config_map, inference_service, training_job
from support.predict import predict

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("operator")]

CODES = {f"sensor_{c:02}_reading": [f"code-{c:04}-{v:04}-variant" for v in range(100)] for c in range(60)}
GOOD, BAD = ["thank", "you", "for", "the", "quick", "help"], ["the", "parcel", "was", "broken", "and", "late"]


def table() -> str:
    """Rows of 100 customers: who joined before July and writes of broken parcels leaves; decimals have a comma."""
    choose = random.Random(1)
    lines = [";".join(["customer", "joined", "price", "remark", *CODES, "left"])]
    for row in range(400):
        month, leaves = choose.randrange(1, 13), choose.random() < 0.5
        words = " ".join([choose.choice(BAD if leaves else GOOD) for _ in range(6)] + [str(row), "A"])
        codes = [choose.choice(values[:3]) for values in CODES.values()]
        price = f"{choose.randrange(10, 99)},{choose.randrange(10, 99)}"
        left = "yes" if leaves and month < 7 else "no"
        lines.append(";".join([f"c{row % 100}", f"2025-{month:02}-11", price, words, *codes, left]))
    return "\n".join(lines) + "\n"


def recipe() -> dict[str, Any]:
    rules = {name: {"type": "string", "values": values} for name, values in CODES.items()}
    return training_job(
        "leaving",
        data={
            "uri": "configmap://leaving/rows.csv",
            "target": "left",
            "exclude": ["customer"],
            "schema": {**rules, "remark": {"type": "text"}},
            "holdout": {"group": "customer", "fraction": 0.25},
        },
        trainer={
            "sklearn": {
                "estimator": "lightgbm.LGBMClassifier",
                "parameters": {"n_estimators": 60, "min_child_samples": 5},
                "earlyStopping": {"rounds": 20},
            }
        },
    )


def test_dates_texts_and_a_recipe_of_150_kb_become_an_answer(kubectl: Kubectl) -> None:
    job = recipe()
    assert len(json.dumps(job)) > 150_000
    kubectl.apply(config_map("leaving", rows_csv=table()), job, inference_service("leaving", track="leaving"))

    ready = kubectl.condition("trainingjob", "leaving", "Ready", "True", "RunSucceeded", within=240)
    version = kubectl.condition("modelversion", str(ready["status"]["latestModelVersion"]), "Ready", "True")
    kubectl.condition("inferenceservice", "leaving", "Ready", "True", "Serving", within=180)
    records: list[dict[str, Any]] = [
        {"joined": "2025-02-11", "price": 12.5, "remark": "The parcel was LATE and broken"},
        {"joined": "2025-11-03", "price": 12.5, "remark": "the parcel was late and broken"},
        {"joined": None, "price": None, "remark": "thank you for the help"},
    ]
    codes = {name: values[0] for name, values in CODES.items()}
    answer, _ = predict(kubectl, "leaving", {"records": [{**record, **codes} for record in records]})

    metrics = {metric["name"]: metric["value"] for metric in version["status"]["metrics"]}
    inputs = {tensor["name"]: tensor for tensor in version["status"]["signature"]["inputs"]}
    assert metrics["roc_auc"] > 0.9
    assert version["status"]["parity"]["verdict"] == "Pass"
    assert inputs["joined"]["format"] == "YYYY-MM-DD"
    assert inputs["price"]["datatype"] == "FP32"
    assert [record["label"] for record in answer["records"]] == ["yes", "no", "no"]
