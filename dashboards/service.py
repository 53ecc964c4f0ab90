"""The dashboard of one InferenceService: callers, objectives, the rollout, what the model sees, the servers."""

from dashboards.layout import Dashboard, Row, Variable, graph, number, table

OF = 'namespace="$namespace",model="$service"'
# Series of the operator about the service.
ABOUT = 'namespace="$namespace",name="$service"'
OBJECTIVES = 'namespace="$namespace",inferenceservice="$service"'
WINDOW = "[$__rate_interval]"
FAULTS = 'code=~"5..|DATA_LOSS|DEADLINE_EXCEEDED|INTERNAL|UNAVAILABLE|UNKNOWN"'


def met(counter: str, by: str, more: str = "") -> str:
    """A counter of requests as callers meet it: no copies, no failures that another revision made up for."""
    labels = f"{OF},{more}" if more else OF
    counted, unseen = (
        f"sum by ({by}) (rate(modelwright_{prefix}{counter}{{{labels}}}{WINDOW}))"
        for prefix in ("", "unseen_")
    )
    return f"{counted} - ({unseen} or 0 * {counted})"


def quantile(share: float, histogram: str, by: str = "le") -> str:
    """A quantile of a histogram."""
    rate = f"sum by ({by}) (rate(modelwright_{histogram}_bucket{{{OF}}}{WINDOW}))"
    return f"histogram_quantile({share}, {rate})"


CALLERS = Row(
    "Callers",
    (
        graph(
            "Requests",
            "What callers have been answered, by status.",
            (met("requests_total", "protocol, code"), "{{protocol}} {{code}}"),
            unit="reqps",
            stacked=True,
        ),
        graph(
            "Failures",
            "The share of the requests that got an error of the server. Failures of a canary that the stable revision "
            "made up for are not among them.",
            (
                (
                    f"({met('requests_total', 'model', FAULTS)}) / ({met('requests_total', 'model')}) > 0 or "
                    f"0 * ({met('requests_total', 'model')})"
                ),
                "failed",
            ),
            unit="percentunit",
        ),
        graph(
            "Time to the answer",
            "From the last byte of a request to its answer, in the server.",
            *(
                (quantile(share, "request_duration_seconds"), f"p{share * 100:g}")
                for share in (0.5, 0.9, 0.99)
            ),
            unit="s",
        ),
    ),
)
PROMISES = Row(
    "Objectives (spec.monitoring.slo)",
    (
        graph(
            "Error budget left",
            "Of the whole window. Below 0 the promise is broken.",
            (f"slo:period_error_budget_remaining:ratio{{{OBJECTIVES}}}", "{{slo}}"),
            unit="percentunit",
            most=1,
        ),
        graph(
            "Burn rate",
            "1: the budget lasts exactly for the window. From 14.4 on an alert is critical.",
            (f"slo:current_burn_rate:ratio{{{OBJECTIVES}}}", "{{slo}}"),
        ),
    ),
)
ROLLOUT = Row(
    "Rollout",
    (
        graph(
            "Answers by version",
            "Which version answered callers.",
            (met("requests_total", "version"), "{{version}}"),
            unit="reqps",
            stacked=True,
        ),
        graph(
            "Share of the canary",
            "Of every 100 requests so many are given to the other revision.",
            (f"max by (revision) (modelwright_traffic_weight{{{OF}}})", "{{revision}}"),
            unit="percent",
            most=100,
        ),
        graph(
            "Delegated requests",
            "What came of those that were given to the canary. All but Answered were answered by the stable revision.",
            (f"sum by (outcome) (rate(modelwright_delegated_requests_total{{{OF}}}{WINDOW}))", "{{outcome}}"),
            unit="reqps",
            stacked=True,
        ),
        graph(
            "Agreement of copies",
            "With mirror: the share of labels that are equal in both answers.",
            (
                (
                    f"sum(rate(modelwright_shadow_agreement_total{{{OF}}}{WINDOW})) / "
                    f"sum(rate(modelwright_shadow_labelled_requests_total{{{OF}}}{WINDOW}))"
                ),
                "equal labels",
            ),
            unit="percentunit",
            most=1,
        ),
    ),
)
STANDING = Row(
    "What the operator says",
    (
        table(
            "Conditions that ask for a look",
            "Empty is good. kubectl describe has the message of each.",
            f'max by (type, status, reason) (modelwright_resource_condition{{{ABOUT},kind="InferenceService"}})',
        ),
        table(
            "Versions that are served",
            "By the pods themselves.",
            f"count by (version, digest, pod_revision) (modelwright_model_info{{{OF}}})",
        ),
    ),
)
SEEN = Row(
    "What the model sees (spec.monitoring)",
    (
        graph(
            "Drift of the worst features",
            "How far each is from the hold-out, as a multiple of its limit: above 1 it is drift.",
            (
                (
                    f"max by (feature, statistic) (modelwright_feature_drift{{{ABOUT}}}) / "
                    f"max by (feature, statistic) (modelwright_drift_threshold{{{ABOUT}}})"
                ),
                "{{feature}} ({{statistic}})",
            ),
        ),
        graph(
            "Scores",
            "Measured by callers' labels; estimated without them, and so blind to changes of meaning; the limits.",
            (f"max by (metric) (modelwright_measured_score{{{ABOUT}}})", "{{metric}}"),
            (f"max by (metric) (modelwright_estimated_score{{{ABOUT}}})", "{{metric}}, estimated"),
            (f"max by (metric, bound) (modelwright_score_target{{{ABOUT}}})", "{{metric}}, {{bound}}"),
        ),
        graph(
            "Rows of a window",
            "Of the last one that was judged.",
            (f"max by (name) (modelwright_monitor_window_rows{{{ABOUT}}})", "rows"),
        ),
        graph(
            "Labels",
            "That callers have sent, of the windows that are kept, by what became of them.",
            (f"max by (outcome) (modelwright_feedback_labels{{{ABOUT}}})", "{{outcome}}"),
            stacked=True,
        ),
    ),
)
SERVERS = Row(
    "Servers",
    (
        graph(
            "Queue",
            "Requests that wait for a run of the model.",
            (f"modelwright_queue_length{{{OF}}}", "{{pod}}"),
        ),
        graph(
            "Runs of the model",
            "How long one took, and the rows of one on average.",
            (quantile(0.5, "run_duration_seconds"), "p50"),
            (quantile(0.99, "run_duration_seconds"), "p99"),
            unit="s",
        ),
        graph(
            "Refused",
            "Requests that met a bound of the server.",
            (f"sum by (reason) (rate(modelwright_requests_refused_total{{{OF}}}{WINDOW}))", "{{reason}}"),
            unit="reqps",
        ),
        graph(
            "Memory",
            "Of the process, and what callers make it hold.",
            (
                'process_resident_memory_bytes{namespace="$namespace",inferenceservice="$service"}',
                "{{pod}}",
            ),
            (f"sum(modelwright_memory_bytes{{{OF}}})", "callers"),
            unit="bytes",
        ),
        graph(
            "CPU",
            "Cores that the process uses.",
            (
                f'rate(process_cpu_seconds_total{{namespace="$namespace",inferenceservice="$service"}}{WINDOW})',
                "{{pod}}",
            ),
        ),
    ),
)
NUMBERS = Row(
    "Now",
    (
        number(
            "Requests a second",
            "That callers were answered.",
            f"sum({met('requests_total', 'model')})",
            unit="reqps",
        ),
        number(
            "Rows",
            "Predicted each second.",
            f"sum(rate(modelwright_rows_total{{{OF}}}{WINDOW}))",
            unit="short",
        ),
        number(
            "Ready pods", "Whose model takes traffic.", f"sum(modelwright_model_ready{{{OF}}})", unit="short"
        ),
        number("p99", "Time to the answer.", quantile(0.99, "request_duration_seconds"), unit="s"),
    ),
)

DASHBOARD = Dashboard(
    "service",
    "Modelwright / Service",
    "One InferenceService: what its callers meet, its objectives, its rollout, and its servers.",
    (
        Variable("namespace", "Namespace", "label_values(modelwright_model_info, namespace)"),
        Variable("service", "Service", 'label_values(modelwright_model_info{namespace="$namespace"}, model)'),
    ),
    (NUMBERS, CALLERS, PROMISES, ROLLOUT, SEEN, STANDING, SERVERS),
)
