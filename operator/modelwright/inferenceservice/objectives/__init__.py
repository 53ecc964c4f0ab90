"""The objectives of an InferenceService (spec.monitoring.slo) as rules for Prometheus. Pure.

`indicators` says what is counted, `burning` when the budget burns too fast, `groups` makes rules of both, and
`alert_rules` the object that holds them.
"""
