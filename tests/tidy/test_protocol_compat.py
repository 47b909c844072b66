"""No change of protocol/ breaks a peer that was built from the last release; and the checker finds what it must."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorSet

from scripts import gen
from scripts.protocol_compat import breaking_changes, changed_codes
from tests.tidy.sources import ROOT, text_of

BASELINE = ROOT / "protocol/baseline"


def descriptors(name: str) -> FileDescriptorSet:
    """A committed descriptor set."""
    return FileDescriptorSet.FromString((ROOT / name).read_bytes())


def test_nothing_breaks_the_released_protocol() -> None:
    old, new = descriptors("protocol/baseline/descriptors.binpb"), descriptors("protocol/descriptors.binpb")
    assert breaking_changes(old, new) == []


def test_no_released_code_is_gone_or_reused() -> None:
    released = gen.parse_codes(text_of(BASELINE / "codes.toml"))
    assert changed_codes(released, gen.all_codes()) == []


def made_up() -> FileDescriptorSet:
    """Outer { string name = 1; oneof body { uint32 a = 2; bytes b = 3; } Inner inner = 4; } and enum Kind { A, B }."""
    files = FileDescriptorSet()
    file = files.file.add(name="made/up.proto", package="made.up", syntax="proto3")
    outer = file.message_type.add(name="Outer")
    outer.oneof_decl.add(name="body")
    optional = FieldDescriptorProto.LABEL_OPTIONAL
    outer.field.add(name="name", number=1, type=FieldDescriptorProto.TYPE_STRING, label=optional)
    outer.field.add(name="a", number=2, type=FieldDescriptorProto.TYPE_UINT32, label=optional, oneof_index=0)
    outer.field.add(name="b", number=3, type=FieldDescriptorProto.TYPE_BYTES, label=optional, oneof_index=0)
    outer.field.add(
        name="inner", number=4, type=FieldDescriptorProto.TYPE_MESSAGE, type_name=".made.up.Outer.Inner", label=optional
    )
    outer.nested_type.add(name="Inner").field.add(
        name="at", number=1, type=FieldDescriptorProto.TYPE_UINT64, label=optional
    )
    kind = file.enum_type.add(name="Kind")
    kind.value.add(name="A", number=0)
    kind.value.add(name="B", number=1)
    return files


def remove_field(files: FileDescriptorSet) -> None:
    del files.file[0].message_type[0].field[0]


def renumber_field(files: FileDescriptorSet) -> None:
    files.file[0].message_type[0].field[0].number = 9


def rename_field(files: FileDescriptorSet) -> None:
    files.file[0].message_type[0].field[0].name = "title"


def retype_field(files: FileDescriptorSet) -> None:
    files.file[0].message_type[0].field[1].type = FieldDescriptorProto.TYPE_SINT32


def repeat_field(files: FileDescriptorSet) -> None:
    files.file[0].message_type[0].field[0].label = FieldDescriptorProto.LABEL_REPEATED


def retype_message_field(files: FileDescriptorSet) -> None:
    files.file[0].message_type[0].field[3].type_name = ".made.up.Outer"


def leave_oneof(files: FileDescriptorSet) -> None:
    files.file[0].message_type[0].field[2].ClearField("oneof_index")


def remove_nested_field(files: FileDescriptorSet) -> None:
    del files.file[0].message_type[0].nested_type[0].field[0]


def remove_message(files: FileDescriptorSet) -> None:
    del files.file[0].message_type[0]


def remove_enum_value(files: FileDescriptorSet) -> None:
    del files.file[0].enum_type[0].value[1]


def rename_enum_value(files: FileDescriptorSet) -> None:
    files.file[0].enum_type[0].value[1].name = "C"


def renumber_enum_value(files: FileDescriptorSet) -> None:
    files.file[0].enum_type[0].value[1].number = 5


def remove_enum(files: FileDescriptorSet) -> None:
    del files.file[0].enum_type[0]


def require_new_field(files: FileDescriptorSet) -> None:
    files.file[0].message_type[0].field.add(
        name="must", number=7, type=FieldDescriptorProto.TYPE_BOOL, label=FieldDescriptorProto.LABEL_REQUIRED
    )


BREAKING: dict[Callable[[FileDescriptorSet], None], str] = {
    remove_field: "made.up.Outer.name = 1 was removed",
    renumber_field: "made.up.Outer.name = 1 was renumbered to 9",
    rename_field: "made.up.Outer.name = 1 is called title now",
    retype_field: "made.up.Outer.a = 2 changed its type from TYPE_UINT32 to TYPE_SINT32",
    repeat_field: "made.up.Outer.name = 1 changed from LABEL_OPTIONAL to LABEL_REPEATED",
    retype_message_field: "made.up.Outer.inner = 4 changed its type",
    leave_oneof: "made.up.Outer.b = 3 moved into or out of a oneof",
    remove_nested_field: "made.up.Outer.Inner.at = 1 was removed",
    remove_message: "message made.up.Outer was removed",
    remove_enum_value: "made.up.Kind.B = 1 was removed",
    rename_enum_value: "made.up.Kind.B = 1 is called C now",
    renumber_enum_value: "made.up.Kind.B = 1 was renumbered to 5",
    remove_enum: "enum made.up.Kind was removed",
    require_new_field: "made.up.Outer.must = 7 is new and required",
}


@pytest.mark.parametrize(("change", "words"), BREAKING.items(), ids=list(BREAKING.values()))
def test_a_breaking_change_is_found(change: Callable[[FileDescriptorSet], None], words: str) -> None:
    old = made_up()
    new = copy.deepcopy(old)
    change(new)
    found = breaking_changes(old, new)
    assert any(line.startswith(words) for line in found), found


def test_adding_is_free() -> None:
    old = made_up()
    new = copy.deepcopy(old)
    outer = new.file[0].message_type[0]
    optional = FieldDescriptorProto.LABEL_OPTIONAL
    outer.field.add(name="note", number=8, type=FieldDescriptorProto.TYPE_STRING, label=optional)
    outer.field.add(name="c", number=9, type=FieldDescriptorProto.TYPE_BOOL, label=optional, oneof_index=0)
    new.file[0].message_type.add(name="Another")
    new.file[0].enum_type[0].value.add(name="C", number=2)
    assert breaking_changes(old, new) == []
    assert breaking_changes(old, old) == []


def test_a_message_may_move_to_another_file_of_its_package() -> None:
    old = made_up()
    new = copy.deepcopy(old)
    moved = new.file[0].message_type.pop()
    new.file.add(name="made/more.proto", package="made.up").message_type.append(moved)
    assert breaking_changes(old, new) == []


def test_a_code_that_vanished_or_changed_hands_is_found() -> None:
    old = {"error": {"FULL": 1006, "SELF": 1008}, "close": {"BUSY": 4008}}
    assert changed_codes(old, {"error": {"FULL": 1006, "SELF": 1008, "NEW": 1}, "close": {"BUSY": 4008}}) == []
    assert changed_codes(old, {"error": {"FULL": 1006, "OTHER": 1008}, "close": {"BUSY": 4009}}) == [
        "close.BUSY = 4008 is gone: list it under [retired.close]",
        "error 1008 was SELF and is OTHER now",
        "error.SELF = 1008 is gone: list it under [retired.error]",
    ]
