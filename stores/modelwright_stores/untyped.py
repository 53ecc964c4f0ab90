"""Names for values of libraries that come without types, so that a signature still says what they are."""

from typing import Any

Buffer = Any
"""What a stream reads into."""
