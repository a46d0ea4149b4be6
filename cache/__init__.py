"""The cache: what is stored, who may read it, and what is computed from it."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036  whoever has an older one should read why nothing starts
    sys.exit(
        "Python 3.11 or later is needed, and %s is Python %d.%d."  # noqa: UP031
        % (sys.executable, sys.version_info[0], sys.version_info[1])
    )
