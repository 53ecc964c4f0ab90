"""What starts a run besides a change of the recipe, what holds it back, and the record of both in the status.

The words are those of batch/v1 CronJob where it has them.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, FiniteFloat

from modelwright.api.base import Label, Model, Name, Reason, Timestamp, rule, rules

# `@hourly` and the like, or five fields. Whether these are a schedule, only the operator can say.
SCHEDULE = (
    r"^(@(hourly|daily|midnight|weekly|monthly|yearly|annually)|[0-9A-Za-z*,/#-]+( +[0-9A-Za-z*,/#-]+){4})$"
)
ZONE = r"^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*$"
# Defaults of the spec. A CRD with them would make a drift in the eyes of GitOps tools.
DATA_SECONDS, DRIFT_WINDOWS, SUSPEND_AFTER = 3600, 1, 3
SIGNAL_COOLDOWN = 3600
# The most entries of each list in the status.
DECISIONS, RECENT, TOKENS, CAUSES = 10, 48, 8, 8
# The most characters of `Decision.message`.
MESSAGE_LENGTH = 512

Trigger = Literal["SpecChange", "Schedule", "DataChange", "Drift", "Score", "Manual"]
Token = Annotated[str, Field(pattern=r"^[A-Za-z0-9._:-]+$", min_length=1, max_length=64)]
# What shows cheaply whether the source of the data has changed.
Marker = Annotated[str, Field(min_length=1, max_length=128)]


class ServiceReference(Model):
    """An InferenceService in the same namespace."""

    name: Label = Field(description="Its name.")


class OnDataChange(Model):
    """Look whether the data has changed, without reading it."""

    interval_seconds: Annotated[int, Field(ge=60, le=2592000)] | None = Field(
        default=None, description="Seconds from one look to the next. Default: 3600."
    )


class OnDrift(Model):
    """Train again when the inputs or the predictions of a service drift (its spec.monitoring.drift)."""

    service_ref: ServiceReference = Field(description="A service that serves a version of this model.")
    consecutive: Annotated[int, Field(ge=1, le=100)] | None = Field(
        default=None,
        description="How many windows in a row have to have drifted, beside what the service asks for. Default: 1.",
    )
    min_new_samples: Annotated[int, Field(ge=0, le=1000000000)] | None = Field(
        default=None, description="How many rows these windows have to have in all. Default: 0."
    )
    force: bool | None = Field(
        default=None,
        description="Train also if the data is that of the last successful run. Default: false, such a run ends before "
        "training, Skipped.",
    )


class OnScore(Model):
    """Train again when the score of a service is below its limit (its spec.monitoring.feedback)."""

    service_ref: ServiceReference = Field(description="A service that serves a version of this model.")
    force: bool | None = Field(default=None, description="As of onDrift.")


class Triggers(Model):
    """What starts a run, besides a change of the recipe and `modelwright run`. Each run has the same gates."""

    model_config = rules(
        rule("has(self.schedule) || !has(self.timeZone)", "timeZone is for schedule; remove it"),
        rule(
            "has(self.schedule) || !has(self.startingDeadlineSeconds)",
            "startingDeadlineSeconds is for schedule; remove it",
        ),
    )

    schedule: Annotated[str, Field(pattern=SCHEDULE, max_length=128)] | None = Field(
        default=None,
        description="Minute, hour, day of the month, month, day of the week, as of cron; or @hourly, @daily, @weekly, "
        "@monthly, @yearly.",
    )
    time_zone: Annotated[str, Field(pattern=ZONE, max_length=64)] | None = Field(
        default=None, description="Time zone of the schedule, such as Europe/Berlin. Default: UTC."
    )
    starting_deadline_seconds: Annotated[int, Field(ge=10, le=31536000)] | None = Field(
        default=None,
        description="How late a scheduled run may start if it could not start in time. Default: any time late. Of all "
        "that were missed, the last one starts.",
    )
    on_data_change: OnDataChange | None = Field(
        default=None, description="Train again when the data changes. Not with data.source."
    )
    on_drift: OnDrift | None = Field(default=None, description="Train again when a service drifts.")
    on_score: OnScore | None = Field(
        default=None, description="Train again when the score of a service is below its limit."
    )


class Brakes(Model):
    """What holds triggers back. A change of the recipe passes; `modelwright run` heeds concurrencyPolicy alone."""

    cooldown_seconds: Annotated[int, Field(ge=0, le=31536000)] | None = Field(
        default=None,
        description="Seconds from the start of any run to the next one that a trigger starts. Default: 0; for onDrift "
        "and onScore 3600, and a day after a run that found no other data or whose model is not served.",
    )
    max_runs_per_day: Annotated[int, Field(ge=1, le=1440)] | None = Field(
        default=None, description="How many runs there may be in 24 hours, of any cause. Default: no limit."
    )
    concurrency_policy: Literal["Forbid", "Replace"] | None = Field(
        default=None,
        description="What becomes of a trigger while a run is under way. Forbid (default): that goes on. Replace: a "
        "schedule or a request takes its place; data, drift and scores never do.",
    )
    suspend_after_failures: Annotated[int, Field(ge=0, le=100)] | None = Field(
        default=None,
        description="After how many failed runs in a row triggers start no more, until the spec changes or a run "
        "succeeds. 0: never. Default: 3.",
    )
    budget_seconds: Annotated[int, Field(ge=1, le=8640000)] | None = Field(
        default=None,
        description="How many seconds the runs of 24 hours may take in all. One that is under way goes on. Default: no "
        "limit.",
    )


class Evidence(Model):
    """What a trigger found."""

    service: Label | None = Field(default=None, description="The InferenceService.")
    version: Name | None = Field(default=None, description="The ModelVersion that it served.")
    window_start: Timestamp | None = Field(default=None, description="Start of the window that drifted.")
    feature: Annotated[str, Field(max_length=256)] | None = Field(
        default=None, description="The feature that drifted most."
    )
    statistic: Annotated[str, Field(max_length=64)] | None = Field(
        default=None, description="What was computed of it."
    )
    metric: Annotated[str, Field(max_length=128)] | None = Field(default=None, description="The score.")
    value: FiniteFloat | None = Field(default=None, description="Its value.")
    threshold: FiniteFloat | None = Field(default=None, description="Its limit.")
    marker: Marker | None = Field(default=None, description="What shows that the data has changed.")
    schedule_time: Timestamp | None = Field(default=None, description="The time of the schedule.")
    requested_by: Annotated[str, Field(max_length=256)] | None = Field(
        default=None, description="Who asked for it, as that client says."
    )
    token: Token | None = Field(default=None, description="The token of that request.")


class Cause(Model):
    """Why a run was started."""

    trigger: Trigger = Field(description="What started it.")
    at: Timestamp = Field(description="When that was decided.")
    evidence: Evidence | None = Field(default=None, description="What the trigger found.")


class Decision(Model):
    """Why a run was started, or was not."""

    at: Timestamp = Field(description="When it was made.")
    trigger: Trigger = Field(description="What it is about.")
    outcome: Literal["Started", "Skipped", "Waiting"] = Field(
        description="Waiting: a run starts once the reason has gone, if the trigger still holds then."
    )
    reason: Reason = Field(description="Why, in one CamelCase word.")
    message: Annotated[str, Field(max_length=MESSAGE_LENGTH)] = Field(description="Why, in a line.")
    run: Annotated[int, Field(ge=1)] | None = Field(default=None, description="The run that was started.")
    evidence: Evidence | None = Field(default=None, description="What the trigger found.")


class RecentRuns(Model):
    """One run of the last 24 hours that is over, or several that are counted together."""

    at: Timestamp = Field(description="When it was started; of several, the last one.")
    runs: Annotated[int, Field(ge=1)] = Field(default=1, description="How many they are.")
    seconds: Annotated[int, Field(ge=0)] = Field(default=0, description="How long they took in all.")


class HandledSignal(Model):
    """A signal of a service that has been decided on: it is the cause of no other run."""

    trigger: Literal["Drift", "Score"] = Field(description="Which one.")
    service: Label = Field(description="The InferenceService.")
    window_start: Timestamp = Field(description="Start of the window.")


class Probe(Model):
    """The last look whether the data has changed."""

    at: Timestamp = Field(description="When it was begun.")
    done: bool | None = Field(default=None, description="True: it is over.")
    marker: Marker | None = Field(default=None, description="What it has found.")
    reason: Reason | None = Field(default=None, description="Why it has found nothing, in one word.")
    message: Annotated[str, Field(max_length=MESSAGE_LENGTH)] | None = Field(
        default=None, description="The same in a sentence."
    )


class TriggerStatus(Model):
    """What became of the triggers."""

    next_schedule_time: Timestamp | None = Field(
        default=None, description="When the schedule starts a run next."
    )
    last_schedule_time: Timestamp | None = Field(
        default=None, description="The last time of the schedule that was decided on."
    )
    schedule: Annotated[str, Field(max_length=256)] | None = Field(
        default=None, description="The schedule and the time zone that these times are of."
    )
    schedule_since: Timestamp | None = Field(
        default=None, description="Up to when all times of the schedule have been decided on."
    )
    last_decision: Decision | None = Field(default=None, description="The last decision.")
    history: Annotated[list[Decision], Field(max_length=DECISIONS)] | None = Field(
        default=None, description="Earlier decisions, newest first, 10 at most."
    )
    failures_in_a_row: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="How many runs that triggers started have failed since one has succeeded."
    )
    suspended: bool | None = Field(
        default=None, description="True: triggers start no run, because too many have failed."
    )
    recent: Annotated[list[RecentRuns], Field(max_length=RECENT)] | None = Field(
        default=None, description="The runs of the last 24 hours that are over, oldest first."
    )
    handled: Annotated[list[HandledSignal], Field(max_length=CAUSES)] | None = Field(
        default=None, description="The signals that were decided on last."
    )
    tokens: Annotated[list[Token], Field(max_length=TOKENS)] | None = Field(
        default=None, description="The tokens of the last requests by hand, newest first."
    )
    marker: Marker | None = Field(
        default=None,
        description="The marker of the data that runs know of. Another one of a look means that the data has changed.",
    )
    probe: Probe | None = Field(default=None, description="The last look whether the data has changed.")
