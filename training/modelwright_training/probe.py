"""The step `probe`: asks whether data may have changed, without reading it, for a run that new data is to start."""

import logging
from collections.abc import Mapping

from modelwright_training.documents import HOLDOUT_SOURCE, source_uri
from modelwright_training.message import Json
from modelwright_training.paths import Paths
from modelwright_training.reading import markers, places

log = logging.getLogger(__name__)


def run(environ: Mapping[str, str], paths: Paths) -> Json:
    """The marker of the data as it is now: equal to that of `fetch` for as long as nothing has changed.

    No marker where nothing shows a change: of `source://`, and of a web server that names neither etag nor time."""
    asked = [places.of_data(environ, paths, source_uri(environ))]
    if environ.get(HOLDOUT_SOURCE):
        asked.append(places.of_holdout(environ, paths, environ[HOLDOUT_SOURCE]))
    log.info("Asking %s", ", ".join(place.shown for place in asked))
    marker = markers.joined([markers.asked(place) for place in asked])
    log.info("The marker is %s", marker or "unknown: nothing shows whether the data changes")
    return {"marker": marker} if marker else {}
