"""Every file of a real store, cut, flipped, removed, overwritten or swapped with an older one of its name.

Each time the store either opens with everything that was reported, or is refused (or its read is) with words that name
the folder and what to do. Less than everything without a word is the one outcome that must not be.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from iris.store import StoreDamaged, StoreError, StoreForeign, check, open_store, restore
from iris.store.folder import LOCK, ROCKS, WITNESS
from tests.durability.start import start_writer
from tests.support.store_rows import ADA, BOB

LIVES = (40, 30, 20)  # commits; every open writes the rows of the life before it into a table file
ROWS = 5
FLIPS = 10
SELF = {LOCK, f"{ROCKS}/LOCK", f"{ROCKS}/LOG"}  # nothing is kept in them


@dataclass(frozen=True)
class Stores:
    """The store as it was killed, and as it was after each earlier life."""

    newest: Path
    older: list[Path]


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Stores:
    folder = tmp_path_factory.mktemp("lives")
    path, older = folder / "store", []
    for life, commits in enumerate(LIVES):
        with start_writer(path, commits, ROWS) as writer:
            said, complaint = writer.communicate(timeout=60)
        assert said.split()[-1] == str(commits), complaint
        older.append(Path(shutil.copytree(path, folder / f"older{life}")))
    return Stores(path, older[:-1])


def kind(name: str) -> str:
    """The file's kind, for which the older one of another number is the older version."""
    base = os.path.basename(name)
    return base.partition("-")[0] if "-" in base else base.rpartition(".")[2]


def damages(stores: Stores, name: str) -> Iterator[tuple[str, bytes | None]]:
    """(what was done, the file's new content; None: it is gone)."""
    whole = (stores.newest / name).read_bytes()
    size = len(whole)
    yield "removed", None
    yield "emptied", b""
    chance = random.Random(name.rpartition("/")[2][:8])
    cuts = {1, size // 4, size // 2, size - 1, size - 7, *(chance.randrange(max(1, size)) for _ in range(5))}
    if "MANIFEST" in name:  # RocksDB itself notices only a cut within a record
        cuts = {*cuts, *record_ends(whole)}
    for at in sorted(at for at in cuts if 0 < at < size):
        yield f"cut to {at} of {size}", whole[:at]
    for at in sorted({0, size - 1, *(chance.randrange(size) for _ in range(FLIPS))} if size else ()):
        yield (
            f"flipped at {at} of {size}",
            whole[:at] + bytes([whole[at] ^ (1 << chance.randrange(8))]) + whole[at + 1 :],
        )
    if size >= 1024:
        at = chance.randrange(size // 512) * 512
        yield f"zeros at {at}", whole[:at] + bytes(512) + whole[at + 512 :]
        yield f"noise at {at}", whole[:at] + chance.randbytes(512) + whole[at + 512 :]
    yield "zeros instead", bytes(size)
    for life, older in enumerate(stores.older):
        alike = sorted(
            file for file in older.rglob("*")
            if file.is_file() and kind(file.name) == kind(name) and file.relative_to(older).parent == Path(name).parent
        )  # fmt: skip
        for file in alike:
            if (content := file.read_bytes()) != whole:
                yield f"{file.name} of life {life + 1} instead", content


def record_ends(log: bytes) -> Iterator[int]:
    """Where the records of a log of RocksDB end: CRC (4 bytes), length (2), type (1), data."""
    at = 0
    while at + 7 <= len(log):
        at += 7 + int.from_bytes(log[at + 4 : at + 6], "little")
        yield at


def everything(path: Path) -> tuple[list[int], int]:
    """The numbers of all rows, as a server would read them, and the highest marker."""

    async def read() -> tuple[list[int], int]:
        store = open_store(str(path))
        try:
            pages = [await store.page_mailbox(user, 0, 1 << 53, 100_000, 1 << 40) for user in (ADA, BOB)]
            seen = [(await store.load_user(user)).seen for user in (ADA, BOB)]
            return sorted(row.pos for rows in pages for row in rows), min(row.at if row else 0 for row in seen)
        finally:
            store.close()

    return asyncio.run(read())


def verdict(path: Path, whole: tuple[list[int], int]) -> str:
    """opened, refused or unread; raises AssertionError for what must not be."""
    found = check_words(path)
    try:
        got = everything(path)
    except StoreError as error:
        refusal, words = type(error), str(error)
    else:
        assert got == whole, f"silently less: {len(got[0])} rows of {len(whole[0])}, marker {got[1]} of {whole[1]}"
        return "opened"
    assert refusal is StoreDamaged or refusal is StoreForeign, f"{refusal.__name__}: {words}"
    assert str(path) in words
    assert found, f"refused, and yet check finds it sound: {words}"
    assert "iris" in words.replace(str(path), ""), f"no word on what to do: {words}"
    return "refused"


def check_words(path: Path) -> list[str]:
    """What `iris store check` finds."""
    try:
        return check(str(path)).problems
    except StoreError as error:
        return [str(error)]


def names(path: Path) -> list[str]:
    return sorted(str(file.relative_to(path)) for file in path.rglob("*") if file.is_file())


def test_no_damage_of_any_file_loses_a_row_without_a_word(stores: Stores, tmp_path: Path) -> None:
    shutil.copytree(stores.newest, tmp_path / "whole")
    whole = everything(tmp_path / "whole")
    assert len(whole[0]) >= max(LIVES) * ROWS
    wrong: list[str] = []
    outcomes: list[str] = []
    for name in names(stores.newest):
        if name in SELF or "LOG.old" in name:
            continue
        for what, content in damages(stores, name):
            path = Path(shutil.copytree(stores.newest, tmp_path / f"store{len(wrong) + len(outcomes)}"))
            if content is None:
                (path / name).unlink()
            else:
                (path / name).write_bytes(content)
            try:
                outcomes.append(f"{verdict(path, whole)}: {name} {what}")
            except Exception as error:
                wrong.append(f"{name} {what}: {error}")
            shutil.rmtree(path)
    print("\n".join(outcomes))
    assert not wrong, "\n".join([f"{len(wrong)} of {len(wrong) + len(outcomes)}:", *wrong])
    assert {line.partition(":")[0] for line in outcomes} == {"opened", "refused"}
    assert len(outcomes) > 150


def test_a_witness_of_an_older_iris_which_says_nothing_of_table_files_is_taken(stores: Stores, tmp_path: Path) -> None:
    path = Path(shutil.copytree(stores.newest, tmp_path / "store"))
    os.truncate(path / WITNESS, 8192)
    assert len(everything(path)[0]) >= max(LIVES) * ROWS
    assert (path / WITNESS).stat().st_size > 8192
    assert check(str(path)).ok


@pytest.mark.parametrize("how", ["older", "cut"])
def test_accepting_the_loss_keeps_the_table_files_that_a_stale_manifest_does_not_name(
    stores: Stores, tmp_path: Path, how: str
) -> None:
    path = Path(shutil.copytree(stores.newest, tmp_path / "store"))
    [manifest] = (path / ROCKS).glob("MANIFEST-*")
    if how == "older":
        [older] = (stores.older[0] / ROCKS).glob("MANIFEST-*")
        manifest.write_bytes(older.read_bytes())
    else:
        os.truncate(manifest, list(record_ends(manifest.read_bytes()))[-2])
    with pytest.raises(StoreDamaged, match=r"were synced|not as it was synced"):
        open_store(str(path))
    assert restore(str(path), str(tmp_path / "saved"), accept_loss=True).ok
    assert everything(tmp_path / "saved") == everything(Path(shutil.copytree(stores.newest, tmp_path / "whole")))
