"""The dashboard of the operator: what it looks after, how far behind it is, what the API server says."""

from dashboards.layout import Dashboard, Row, Variable, graph, number, table

OF = 'job="$job"'
WINDOW = "[$__rate_interval]"
DECISIONS = "modelwright_retraining_decisions_total"

DASHBOARD = Dashboard(
    "operator",
    "Modelwright / Operator",
    "The operator itself, and all objects that it looks after.",
    (Variable("job", "Job", "label_values(modelwright_leader, job)"),),
    (
        Row(
            "Now",
            (
                number("Leaders", "1 is right.", f"sum(modelwright_leader{{{OF}}})"),
                number(
                    "Queue", "Objects that wait to be reconciled.", f"max(modelwright_queue_depth{{{OF}}})"
                ),
                number(
                    "Oldest change",
                    "How long the first of them has waited.",
                    f"max(modelwright_queue_oldest_seconds{{{OF}}})",
                    unit="s",
                ),
                number(
                    "Not ready",
                    "Objects whose condition Ready is False.",
                    f'sum(max by (kind) (modelwright_resources{{{OF},ready="False"}}))',
                ),
            ),
        ),
        Row(
            "Objects",
            (
                graph(
                    "Objects by kind and Ready",
                    "Of all namespaces that the operator watches.",
                    (f"max by (kind, ready) (modelwright_resources{{{OF}}})", "{{kind}}: {{ready}}"),
                ),
                table(
                    "Conditions that ask for a look",
                    "Not available, stalled, at work, drifted, below target. kubectl describe has the messages.",
                    f"max by (kind, namespace, name, type, status, reason) (modelwright_resource_condition{{{OF}}})",
                ),
            ),
        ),
        Row(
            "Work",
            (
                graph(
                    "Reconciles",
                    "By how they ended. Done: nothing was to do.",
                    (f"sum by (outcome) (rate(modelwright_reconcile_total{{{OF}}}{WINDOW}))", "{{outcome}}"),
                    unit="ops",
                    stacked=True,
                ),
                graph(
                    "Time of a reconcile",
                    "The slowest of 100, by kind.",
                    (
                        (
                            "histogram_quantile(0.99, sum by (le, kind) "
                            f"(rate(modelwright_reconcile_seconds_bucket{{{OF}}}{WINDOW})))"
                        ),
                        "{{kind}}",
                    ),
                    unit="s",
                ),
                graph(
                    "Waiting",
                    "Objects in the queue, and how long the first has been there.",
                    (f"max(modelwright_queue_depth{{{OF}}})", "objects"),
                    (f"max(modelwright_queue_oldest_seconds{{{OF}}})", "seconds"),
                ),
            ),
        ),
        Row(
            "Training again",
            (
                graph(
                    "Decisions of triggers",
                    "Of an hour: whether schedules, data, drift and scores have started runs, and why not.",
                    (
                        f"sum by (trigger, outcome, reason) (increase({DECISIONS}{{{OF}}}[1h]))",
                        "{{trigger}}: {{outcome}}, {{reason}}",
                    ),
                    stacked=True,
                ),
                graph(
                    "Drifting services",
                    "How many of those that are watched get other data than their models were trained on.",
                    (f"sum(max by (namespace, name) (modelwright_drift_detected{{{OF}}}))", "drift"),
                    (
                        f"sum(max by (namespace, name) (modelwright_score_below_target{{{OF}}}))",
                        "below target",
                    ),
                ),
            ),
        ),
        Row(
            "What it asks",
            (
                graph(
                    "Requests to the API server",
                    "By verb and status; 0 is no answer.",
                    (
                        f"sum by (verb, code) (rate(modelwright_api_requests_total{{{OF}}}{WINDOW}))",
                        "{{verb}} {{code}}",
                    ),
                    unit="reqps",
                ),
                graph(
                    "Questions for facts",
                    "To pods, Prometheus and the API server, by what came of them.",
                    (
                        f"sum by (fact, outcome) (rate(modelwright_samples_total{{{OF}}}{WINDOW}))",
                        "{{fact}}: {{outcome}}",
                    ),
                    unit="reqps",
                ),
            ),
        ),
    ),
)
