"""Write the small general set: `python -m bench.base_model.general [folder]`.

Questions and answers of the kinds the base model was pretrained on (`corpus.py`), from seeds that
pretraining did not use: what a run must not forget. `rows.jsonl` is for replay and for EWC's Fisher,
`held_out.jsonl` for measuring what was forgotten; no prompt stands in both.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

from bench.base_model.corpus import TASKS, document

#: Pretraining used 7, 8 and 9.
SEED = 20261123
ROWS, HELD_OUT_ROWS = 500, 200
#: Kinds that a small model answers in few tokens; prose has no question.
KINDS = [name for name in TASKS if name != "prose"]


def main() -> None:
    """Write both files and their checksums into the folder of the command line."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("tasks/assets/general")
    folder.mkdir(parents=True, exist_ok=True)
    files = generate()
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    sums = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in files.items()}
    lines = "".join(f"{digest}  {name}\n" for name, digest in sums.items())
    (folder / "SHA256SUMS").write_text(lines, encoding="utf-8")


def generate() -> dict[str, str]:
    """Return the text of each file by its name."""
    seen: set[str] = set()
    lines: list[str] = []
    index = 0
    while len(lines) < ROWS + HELD_OUT_ROWS:
        kind = KINDS[index % len(KINDS)]
        messages = document(SEED, index, task=kind)
        index += 1
        if messages[0]["content"] not in seen:
            seen.add(messages[0]["content"])
            lines.append(json.dumps({"messages": messages, "task": kind}) + "\n")
    return {"rows.jsonl": "".join(lines[:ROWS]), "held_out.jsonl": "".join(lines[ROWS:])}


if __name__ == "__main__":
    main()
