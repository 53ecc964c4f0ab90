"""Prints the server's container of an InferenceService's pod, as the operator of this checkout writes it.

Run with the checkout's own modules, so that an earlier revision is started as its own pods were.
"""

import json
import sys

from unit.given.resources import a_served_version

from modelwright.common.resources import DEPLOYMENTS

(deployment,) = a_served_version().all(DEPLOYMENTS).values()
(server,) = deployment["spec"]["template"]["spec"]["containers"]
json.dump(server, sys.stdout)
