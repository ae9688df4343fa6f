"""Write the data of recipes/classify.yaml: `python -m bench.queue_data [folder]`.

A support mail and its queue, taken from the quickstart's data: the first sound rows for training,
every test row that is needed for as many of each kind. No new text is made here.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

QUICKSTART = Path("tasks/assets/quickstart")
TRAIN_ROWS, TEST_ROWS = 1_200, 400


def main() -> None:
    """Write train.jsonl and test.jsonl into the folder of the command line."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("tasks/assets/queues")
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in generate(QUICKSTART).items():
        (folder / name).write_text(text, encoding="utf-8")


def generate(source: Path) -> dict[str, str]:
    """Return the text of each file by its name."""
    planted = json.loads((source / "known_defects.json").read_text(encoding="utf-8"))
    spoiled = {line for lines in planted.values() for line in lines}
    train = (source / "train.jsonl").read_text(encoding="utf-8").splitlines()
    test = (source / "test.jsonl").read_text(encoding="utf-8").splitlines()
    sound = [line for number, line in enumerate(train, 1) if number not in spoiled]
    return {
        "train.jsonl": "".join(map(_labelled, sound[:TRAIN_ROWS])),
        "test.jsonl": "".join(map(_labelled, test[:TEST_ROWS])),
    }


def _labelled(line: str) -> str:
    mail, answer = (turn["content"] for turn in json.loads(line)["messages"])
    row = {"mail": mail, "queue": json.loads(answer)["queue"]}
    return json.dumps(row, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    main()
