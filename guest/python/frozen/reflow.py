# SPDX-License-Identifier: Apache-2.0
"""The package glovebox under the name that Reflow's documents use."""
import sys
import glovebox

sys.modules[__name__] = glovebox
