"""The dashboards for Grafana, made of panels that are tested against what the server and the operator expose.

`python3 -m dashboards` writes them into the chart.
"""

from dashboards.controlplane import DASHBOARD as OPERATOR
from dashboards.family import DASHBOARD as FAMILY
from dashboards.layout import Dashboard
from dashboards.service import DASHBOARD as SERVICE

DASHBOARDS: tuple[Dashboard, ...] = (SERVICE, FAMILY, OPERATOR)
