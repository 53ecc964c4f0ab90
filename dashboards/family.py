"""The dashboard of a family of ModelVersions: which of them serve where, how they do, and how new ones are made."""

from dashboards.layout import Dashboard, Row, Variable, graph, table

# ModelVersions of runs are named FAMILY-NUMBER.
OF = 'namespace="$namespace",version=~"$family-[0-9]+"'
JOB = 'namespace="$namespace",name="$family",kind="TrainingJob"'
WINDOW = "[$__rate_interval]"
# 1 for each service that serves a version of the family, by name: to choose series of the operator by.
SERVICES = f'max by (name) (label_replace(modelwright_model_info{{{OF}}}, "name", "$1", "model", "(.*)"))'

DASHBOARD = Dashboard(
    "family",
    "Modelwright / Family",
    "The versions of one model: where each serves, how quick and how sure it is, and what its TrainingJob does.",
    (
        Variable("namespace", "Namespace", "label_values(modelwright_model_info, namespace)"),
        Variable(
            "family",
            "Family",
            'label_values(modelwright_model_info{namespace="$namespace"}, version)',
            regex="/^(.*)-[0-9]+$/",
        ),
    ),
    (
        Row(
            "Versions",
            (
                table(
                    "Where each version serves",
                    "Pods by service, version and digest.",
                    f"count by (model, version, digest) (modelwright_model_info{{{OF}}})",
                ),
                graph(
                    "Rows by version",
                    "Predicted each second.",
                    (f"sum by (version) (rate(modelwright_rows_total{{{OF}}}{WINDOW}))", "{{version}}"),
                    stacked=True,
                ),
                graph(
                    "Ready pods by version",
                    "Whose model takes traffic.",
                    (f"sum by (model, version) (modelwright_model_ready{{{OF}}})", "{{model}}: {{version}}"),
                    stacked=True,
                ),
            ),
        ),
        Row(
            "How they do",
            (
                graph(
                    "Runs of the model, p99",
                    "The slowest of 100, by version.",
                    (
                        (
                            "histogram_quantile(0.99, sum by (le, version) "
                            f"(rate(modelwright_run_duration_seconds_bucket{{{OF}}}{WINDOW})))"
                        ),
                        "{{version}}",
                    ),
                    unit="s",
                ),
                graph(
                    "Loading",
                    "Reading, checking and warming up.",
                    (f"max by (version) (modelwright_model_load_duration_seconds{{{OF}}})", "{{version}}"),
                    unit="s",
                ),
            ),
        ),
        Row(
            "How sure they are (spec.monitoring of the services)",
            (
                graph(
                    "Measured scores",
                    "By the labels of callers, by service.",
                    (
                        (
                            'max by (name, metric) (modelwright_measured_score{namespace="$namespace"}) '
                            f"* on (name) group_left () {SERVICES}"
                        ),
                        "{{name}}: {{metric}}",
                    ),
                ),
                graph(
                    "Estimated accuracy",
                    "Without labels, and so blind to changes of meaning.",
                    (
                        (
                            'max by (name, metric) (modelwright_estimated_score{namespace="$namespace"}) '
                            f"* on (name) group_left () {SERVICES}"
                        ),
                        "{{name}}",
                    ),
                    unit="percentunit",
                    most=1,
                ),
                graph(
                    "Drift",
                    "1 while a service gets other data than its model was trained on.",
                    (
                        (
                            'max by (name) (modelwright_drift_detected{namespace="$namespace"}) '
                            f"* on (name) group_left () {SERVICES}"
                        ),
                        "{{name}}",
                    ),
                    most=1,
                ),
            ),
        ),
        Row(
            "The TrainingJob of this name",
            (
                table(
                    "Last decision",
                    "What a trigger led to, and when.",
                    "1000 * max by (trigger, outcome, reason) (modelwright_last_decision_time_seconds{"
                    'namespace="$namespace",name="$family"})',
                    unit="dateTimeFromNow",
                ),
                table(
                    "Next run of the schedule",
                    "If nothing holds it back.",
                    "1000 * max by (name) (modelwright_next_schedule_time_seconds{"
                    'namespace="$namespace",name="$family"})',
                    unit="dateTimeFromNow",
                ),
                graph(
                    "Failures in a row",
                    "Of runs that triggers started. brakes.suspendAfterFailures ends the row.",
                    (
                        'max by (name) (modelwright_run_failures_in_a_row{namespace="$namespace",name="$family"})',
                        "failures",
                    ),
                ),
                table(
                    "Conditions that ask for a look",
                    "Empty is good. kubectl describe has the message of each.",
                    f"max by (type, status, reason) (modelwright_resource_condition{{{JOB}}})",
                ),
            ),
        ),
    ),
)
