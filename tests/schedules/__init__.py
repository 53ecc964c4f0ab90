"""Ten years of schedules in all time zones, against a clock on the wall."""
