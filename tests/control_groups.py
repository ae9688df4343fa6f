"""A control group whose members may hold so much memory: the kernel then kills for real."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

__all__ = ["EITHER_VERSION", "VERSION_1", "control_group"]

#: Version 1 leaves what a member took before it entered uncounted.
VERSION_1 = Path("/sys/fs/cgroup/memory")
EITHER_VERSION = (VERSION_1, Path("/sys/fs/cgroup"))


@contextmanager
def control_group(limit: int, *homes: Path) -> Iterator[Path]:
    """Yield the folder of a group under the first of `homes` that may be written to.

    The test is skipped where the machine has none that limits memory.

    Args:
        limit: Bytes.
        homes: Where a group may be made.
    """
    home = next((g for g in homes if os.access(g, os.W_OK)), None)
    if home is None:
        pytest.skip("this user may not make control groups, or they are of another version")
    group = home / f"finetune-test-{os.getpid()}"
    try:
        group.mkdir()
        first = group / "memory.limit_in_bytes"
        (first if first.exists() else group / "memory.max").write_text(str(limit))
    except OSError:
        pytest.skip("this machine's control groups do not limit memory")
    yield group
    for _ in range(50):
        try:
            return group.rmdir()
        except OSError:
            time.sleep(0.1)
