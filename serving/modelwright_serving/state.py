"""What the server is doing, and hence whether it is ready: one small record that everything else reads."""

from dataclasses import dataclass

from modelwright_serving.batch import Executor
from modelwright_serving.model import LoadedModel


@dataclass(frozen=True)
class Serving:
    """A model that has passed every check, and the queue in front of it."""

    model: LoadedModel
    executor: Executor


class State:
    """Loading, then ready, then draining; never back."""

    def __init__(self, stuck_seconds: float) -> None:
        self.serving: Serving | None = None
        self.draining = False
        self._stuck_seconds = stuck_seconds

    @property
    def live(self) -> bool:
        """Whether a restart would be of no use: nothing hangs."""
        return self.serving is None or self.serving.executor.busy_seconds() <= self._stuck_seconds

    @property
    def ready(self) -> bool:
        return self.serving is not None and not self.draining

    @property
    def unready_reason(self) -> tuple[str, str]:
        """Why new traffic should go elsewhere: a word for programs, a sentence for people."""
        if self.draining:
            return "Draining", "the server is shutting down"
        return "Loading", "the model is still being loaded and checked"
