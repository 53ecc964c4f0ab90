"""The engine: cache, queue, apply, lease, events. It knows no kind; the kinds bring planners."""
