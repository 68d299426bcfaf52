"""Our median against numpy's."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from tunewright.schema.median import median

NUMBERS = st.floats(-1e6, 1e6) | st.sampled_from([np.nan, np.inf, -np.inf])


@given(arrays(np.float64, array_shapes(max_dims=2, max_side=9), elements=NUMBERS))
def test_it_is_numpys(values: np.ndarray) -> None:
    with np.errstate(invalid="ignore"):
        np.testing.assert_allclose(median(values), np.median(values, axis=-1), rtol=1e-12)


def test_of_nothing_it_is_not_a_number() -> None:
    assert np.isnan(median([]))


def test_reading_a_log_loads_no_masked_arrays() -> None:
    code = (
        "import sys; from tunewright.cli.main import run;"
        "code = run(['diagnose', 'tests/curve/fixtures/healthy', '--json']);"
        "sys.exit('numpy.ma' in sys.modules or 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
