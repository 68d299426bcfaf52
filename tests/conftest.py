"""What tests share: the support module on the path, and property tests that draw the same examples every time.

``make test-full`` sets HYPOTHESIS_PROFILE=explore to draw new ones.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent / "support"))

# no deadline: how long an example takes says something about the machine, not about the code
settings.register_profile("fixed", derandomize=True, deadline=None)
settings.register_profile("explore", deadline=None, max_examples=500)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fixed"))
