"""What the tests of the recommend command share: the flags of its first example, and its page."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

from rich.console import Console

from flows.recommend_command import Flags, show
from flows.recommend_facts import facts_from_flags
from tasks.decision import decide

__all__ = ["CONFIG", "ISSUE", "ROOT", "run", "written"]

ROOT = Path(__file__).resolve().parents[2]
ISSUE = Flags(
    model="llama3.1-8b",
    gpu="rtx-4090",
    budget="$5,000",
    accuracy="96",
    critical=True,
    rows="10k",
    seq_len="1024",
)
CONFIG = {"model_type": "llama", "hidden_size": 64, "intermediate_size": 128}
CONFIG |= {"num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 300}


def written(flags: Flags, width: int = 160) -> str:
    page = io.StringIO()
    answered = facts_from_flags(flags)
    show(decide(answered.facts), Console(file=page, width=width), answered, flags)
    return page.getvalue()


def run(*flags: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "flows", "recommend", *flags]
    env = {
        "PYTHONPATH": str(ROOT),
        "PATH": "/usr/bin:/bin",
        "COLUMNS": "120",
        "HF_HUB_OFFLINE": "1",
    }
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
