"""One process's share of the inputs for a layer, and what is said and kept of all shares."""

from __future__ import annotations

import resource
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from fuzz import corpus
from fuzz.engine import Campaign, fuzz, smallest
from fuzz.layers import LAYERS

MAX_MEMORY = 6 * 1024**3
FINDINGS = Path(tempfile.gettempdir()) / "modelwright-fuzz"


@dataclass(frozen=True)
class Share:
    """What one process has done for a layer, and the most memory that it has had, in MiB."""

    campaign: Campaign
    memory: int


def share(layer: str, inputs: int, seed: int) -> Share:
    """One process's part; what takes all memory fails here instead of elsewhere."""
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))
    tell = partial(print, f"{layer} {seed}:", flush=True)
    campaign = fuzz(LAYERS[layer](), corpus.read(layer), inputs, seed, tell)
    return Share(campaign, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)


def report(layer: str, shares: list[Share], *, save: bool) -> int:
    """Says what came of a layer's campaigns, and keeps it."""
    parts = [each.campaign for each in shares]
    findings = [finding for part in parts for finding in part.findings.values()]
    words = {word for part in parts for word in part.words}
    print(
        f"{layer}: {sum(part.inputs for part in parts)} inputs, "
        f"{sum(part.inputs / part.seconds for part in parts):.0f}/s, {len(words)} behaviours, "
        f"{max(each.memory for each in shares)} MiB at most, {len(findings)} kinds of findings"
    )
    for data, what in findings:
        print(f"  {_kept(layer, data)}: {what}")
    if save:
        shown = {data: words for part in parts for data, words in part.kept.items()}
        print(f"  what shows every behaviour is kept in {corpus.save(layer, smallest(shown))}")
    return 1 if findings else 0


def _kept(layer: str, data: bytes) -> Path:
    """The file with an input that does something wrong: its line may go into the corpus as it is."""
    FINDINGS.mkdir(parents=True, exist_ok=True)
    path = FINDINGS / f"{layer}-{len(list(FINDINGS.iterdir()))}.txt"
    path.write_text(f"{data!r}\n", encoding="ascii")
    return path
