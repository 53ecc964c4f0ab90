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
    """Loading, then ready but for the time of a stuck run, then draining."""

    def __init__(self, stuck_seconds: float) -> None:
        self.serving: Serving | None = None
        self.draining = False
        self._stuck_seconds = stuck_seconds

    @property
    def live(self) -> bool:
        """Whether no run of the model has lasted so long that only a restart can end it."""
        return self.serving is None or self.serving.executor.busy_seconds() <= self._stuck_seconds

    @property
    def ready(self) -> bool:
        return self.serving is not None and not self.draining and not self.serving.executor.stuck

    @property
    def unready_reason(self) -> tuple[str, str]:
        """Why new traffic should go elsewhere: a word for programs, a sentence for people."""
        if self.draining:
            return "Draining", "the server is shutting down"
        if self.serving is not None:
            return "RunStuck", "a run of the model takes longer than requests wait for one"
        return "Loading", "the model is still being loaded and checked"
