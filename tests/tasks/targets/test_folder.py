"""The registry: versions are never overwritten, and a crash leaves nothing visible."""

import json
import multiprocessing
import os
import signal
from pathlib import Path

import pytest

from tasks.contracts import Release
from tasks.errors import FolderError, ModelError
from tasks.targets.folder import (
    Placed,
    content_sha256,
    damage,
    find,
    place,
    read_release,
    releases,
    staging,
)


def finish(folder: Path, version: int) -> None:
    about = {"sha256": content_sha256(folder), "version": version}
    (folder / "release.json").write_text(json.dumps(about))
    (folder / "README.md").write_text(f"# v{version}\n")


def publish(registry: Path, text: str, name: str = "thing") -> Placed:
    with staging(registry, name) as folder:
        (folder / "weights").write_text(text)
        return place(registry, name, folder, finish)


def publish_many(registry: Path, who: int) -> None:
    for turn in range(5):
        publish(registry, f"{who} {turn}")


def die_while_building(registry: Path, where: str) -> None:
    def die(*_args: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    with staging(registry, "thing") as folder:
        (folder / "weights").write_text("half")
        if where == "building":
            die()
        place(registry, "thing", folder, die)


def test_versions_count_up_and_latest_follows(tmp_path: Path) -> None:
    first, second = publish(tmp_path, "a"), publish(tmp_path, "b")
    assert (first.version, first.replaced) == (1, None)
    assert (second.version, second.replaced) == (2, "v1")
    assert find(tmp_path, "thing") == tmp_path / "thing" / "v2"
    assert (tmp_path / "thing" / "latest" / "weights").read_text() == "b"
    assert (find(tmp_path, "thing", 1) / "weights").read_text() == "a"


def test_the_same_content_is_one_version_and_latest_stays(tmp_path: Path) -> None:
    publish(tmp_path, "a")
    publish(tmp_path, "b")
    again = publish(tmp_path, "a")
    assert again.existed
    assert again.version == 1
    assert releases(tmp_path, "thing") == [1, 2]
    assert find(tmp_path, "thing").name == "v2"


@pytest.mark.parametrize("damaged", ["weights", "release.json"])
def test_an_altered_version_is_not_taken_for_its_content(tmp_path: Path, damaged: str) -> None:
    first = publish(tmp_path, "a")
    (Path(first.path) / damaged).write_text("x")
    again = publish(tmp_path, "a")
    assert (again.version, again.existed) == (2, False)


def test_others_can_read_a_release(tmp_path: Path) -> None:
    with staging(tmp_path, "thing") as folder:
        (folder / "weights").write_text("a")
        (folder / "weights").chmod(0o600)
        released = Path(place(tmp_path, "thing", folder, finish).path)
    assert released.stat().st_mode & 0o777 == 0o755
    assert {path.stat().st_mode & 0o777 for path in released.iterdir()} == {0o644}


def test_a_latest_that_a_crash_left_behind_is_mended(tmp_path: Path) -> None:
    publish(tmp_path, "a")
    publish(tmp_path, "b")
    (tmp_path / "thing" / "latest").unlink()
    (tmp_path / "thing" / "latest").symlink_to("v1")
    publish(tmp_path, "b")
    assert find(tmp_path, "thing").name == "v2"


def test_publishers_at_the_same_time_get_different_versions(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    crowd = [context.Process(target=publish_many, args=(tmp_path, who)) for who in range(4)]
    for one in crowd:
        one.start()
    for one in crowd:
        one.join()
    assert [one.exitcode for one in crowd] == [0, 0, 0, 0]
    assert releases(tmp_path, "thing") == list(range(1, 21))
    texts = {(tmp_path / "thing" / f"v{v}" / "weights").read_text() for v in range(1, 21)}
    assert len(texts) == 20
    assert all(read_release(tmp_path / "thing" / f"v{v}")["version"] == v for v in range(1, 21))
    assert find(tmp_path, "thing").name == "v20"


@pytest.mark.parametrize("where", ["building", "placing"])
def test_a_killed_publisher_leaves_nothing_visible_and_is_swept(tmp_path: Path, where: str) -> None:
    context = multiprocessing.get_context("fork")
    victim = context.Process(target=die_while_building, args=(tmp_path, where))
    victim.start()
    victim.join()
    assert victim.exitcode == -signal.SIGKILL
    assert [p.name for p in tmp_path.iterdir()] == [".staging"]
    assert [p for p in (tmp_path / ".staging").iterdir() if p.is_dir()]
    with pytest.raises(ModelError, match="none yet"):
        find(tmp_path, "thing")
    assert publish(tmp_path, "whole").version == 1
    assert not [p for p in (tmp_path / ".staging").iterdir() if p.is_dir()]


def test_a_build_in_progress_is_not_swept(tmp_path: Path) -> None:
    with staging(tmp_path, "thing") as folder:
        publish(tmp_path, "other", name="other")
        assert folder.is_dir()


def test_a_failed_build_leaves_nothing(tmp_path: Path) -> None:
    def fail() -> None:
        with staging(tmp_path, "thing") as folder:
            (folder / "weights").write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert not [p for p in (tmp_path / ".staging").iterdir() if p.is_dir()]
    assert not (tmp_path / "thing").exists()


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".hidden", "A", "a..b"])
def test_a_name_cannot_leave_the_registry(tmp_path: Path, name: str) -> None:
    with pytest.raises(FolderError), staging(tmp_path, name):
        pass
    with pytest.raises(ModelError):
        find(tmp_path, name)


def test_what_is_not_there_is_told_with_what_is(tmp_path: Path) -> None:
    publish(tmp_path, "a")
    with pytest.raises(ModelError, match="There are: thing"):
        find(tmp_path, "other")
    with pytest.raises(ModelError, match=r"no version 7 .* There are: v1"):
        find(tmp_path, "thing", 7)


def test_a_release_that_was_altered_or_removed_is_noticed(tmp_path: Path) -> None:
    placed = publish(tmp_path, "a")
    folder = Path(placed.path)
    release = Release(
        name="thing",
        version=1,
        kind="adapter",
        path=placed.path,
        card_path=str(folder / "README.md"),
        sha256=content_sha256(folder),
        replaced=None,
        checks={},
    )
    assert damage(release) == ""
    (folder / "README.md").write_text("a better card")
    assert damage(release) == ""
    (folder / "weights").write_text("b")
    assert "was altered" in damage(release)
    assert "is gone" in damage(release.model_copy(update={"path": str(tmp_path / "nowhere")}))
