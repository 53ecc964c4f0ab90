"""All attacks, in the order of the table."""

from attacks import aim, bombs, calm, connections, crowds, feedback, floods, grpc_calls, runs

MODULES = (calm, bombs, feedback, connections, floods, grpc_calls, runs, crowds)
ATTACKS = {
    name: one
    for module in MODULES
    for name, one in aim.ATTACKS.items()
    if one.plan.__module__ == module.__name__
}
