"""The step `delete`: deletes the artifact of a ModelVersion that was deleted, if no run needs it.

Whether a ModelVersion or a served revision needs it is the operator's question, which is answered before."""

import logging
from collections.abc import Mapping

from modelwright_training.documents import DeleteDocument, from_environment
from modelwright_training.message import Json
from modelwright_training.paths import Paths
from modelwright_training.storing import stores
from modelwright_training.storing.layout import is_over

log = logging.getLogger(__name__)

# A termination message has room for so many.
MOST_KEEPERS = 10


def run(environ: Mapping[str, str], paths: Paths) -> Json:
    """Delete an artifact that publish has stored."""
    document = from_environment(DeleteDocument, environ, "MODELWRIGHT_DELETE")
    artifact = document.artifact
    store = stores.kept(artifact.uri, artifact.digest, environ, paths)

    def over(mark: str) -> bool:
        return is_over(mark, document.namespace, document.training_job, document.run, document.uid)

    keepers = stores.patiently(lambda: store.remove(artifact.digest, over), stores.DELETE_PATIENCE)
    log.info("%s %s", artifact.uri, f"is kept because of {', '.join(keepers)}" if keepers else "is deleted")
    return {
        "artifact": {"uri": artifact.uri, "digest": artifact.digest},
        "deleted": not keepers,
        "keptBy": keepers[:MOST_KEEPERS],
    }
