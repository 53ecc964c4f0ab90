"""What the operator's metrics say of the objects that it looks after, computed from the cache at each scrape. Pure.

A gauge is a function of a view. It finds objects by indexes, and shows a bounded number of them.
"""

from modelwright.gauges import conditions, monitoring, triggers

GAUGES = (conditions.counts, conditions.noteworthy, monitoring.monitoring, triggers.triggers)
