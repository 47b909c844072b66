"""What a change of the .proto files would break for peers that are already out there.

Owns the comparison of two descriptor sets: protocol/baseline/descriptors.binpb (the last release) and the present one.
Adding is free; taking away, renumbering or retyping is not: a type never changes, because a peer that stays narrow
would misread the wider value. The rules stand at the head of frames.proto.
"""

from __future__ import annotations

from collections.abc import Iterator

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
)

Label = FieldDescriptorProto.Label
Type = FieldDescriptorProto.Type


def messages_of(file: FileDescriptorProto) -> Iterator[tuple[str, DescriptorProto]]:
    """Every message by its full name, nested ones included."""
    pending = [(f"{file.package}.{m.name}", m) for m in file.message_type]
    while pending:
        name, message = pending.pop()
        yield name, message
        pending += [(f"{name}.{m.name}", m) for m in message.nested_type]


def enums_of(file: FileDescriptorProto) -> Iterator[tuple[str, EnumDescriptorProto]]:
    """Every enum by its full name, nested ones included."""
    yield from ((f"{file.package}.{e.name}", e) for e in file.enum_type)
    for name, message in messages_of(file):
        yield from ((f"{name}.{e.name}", e) for e in message.enum_type)


def oneof_of(message: DescriptorProto, field: FieldDescriptorProto) -> str:
    """The name of the field's oneof, "" outside of one. `optional` makes a oneof of its own, which is none."""
    if not field.HasField("oneof_index") or field.proto3_optional:
        return ""
    return message.oneof_decl[field.oneof_index].name


def field_changes(name: str, old: DescriptorProto, new: DescriptorProto) -> Iterator[str]:
    """What a message's fields break."""
    by_number = {f.number: f for f in new.field}
    by_name = {f.name: f for f in new.field}
    for before in old.field:
        what = f"{name}.{before.name} = {before.number}"
        after = by_number.get(before.number)
        if after is None:
            moved = by_name.get(before.name)
            yield f"{what} was renumbered to {moved.number}" if moved else f"{what} was removed"
            continue
        if after.name != before.name:
            yield f"{what} is called {after.name} now: a number is never given to another field"
        if (after.type, after.type_name) != (before.type, before.type_name):
            was, now = Type.Name(before.type), Type.Name(after.type)
            yield f"{what} changed its type from {was}{before.type_name} to {now}{after.type_name}"
        if after.label != before.label:
            yield f"{what} changed from {Label.Name(before.label)} to {Label.Name(after.label)}"
        if oneof_of(old, before) != oneof_of(new, after):
            yield f"{what} moved into or out of a oneof"
        if before.proto3_optional and not after.proto3_optional:
            yield f"{what} lost its presence (optional)"
    old_numbers = {f.number for f in old.field}
    for added in new.field:
        if added.number not in old_numbers and added.label == FieldDescriptorProto.LABEL_REQUIRED:
            yield f"{name}.{added.name} = {added.number} is new and required: old peers do not send it"


def enum_changes(name: str, old: EnumDescriptorProto, new: EnumDescriptorProto) -> Iterator[str]:
    """What an enum's values break."""
    numbers = {v.number: v.name for v in new.value}
    names = {v.name: v.number for v in new.value}
    for before in old.value:
        if names.get(before.name) == before.number:
            continue
        if before.number in numbers:
            yield f"{name}.{before.name} = {before.number} is called {numbers[before.number]} now"
        elif before.name in names:
            yield f"{name}.{before.name} = {before.number} was renumbered to {names[before.name]}"
        else:
            yield f"{name}.{before.name} = {before.number} was removed"


def breaking_changes(old: FileDescriptorSet, new: FileDescriptorSet) -> list[str]:
    """One line for every change that peers built from `old` would not survive; empty when there is none."""
    messages = {name: m for file in new.file for name, m in messages_of(file)}
    enums = {name: e for file in new.file for name, e in enums_of(file)}
    found: list[str] = []
    for file in old.file:
        for name, message in messages_of(file):
            if name in messages:
                found += field_changes(name, message, messages[name])
            else:
                found.append(f"message {name} was removed")
        for name, enum in enums_of(file):
            if name in enums:
                found += enum_changes(name, enum, enums[name])
            else:
                found.append(f"enum {name} was removed")
    return sorted(found)


def changed_codes(old: dict[str, dict[str, int]], new: dict[str, dict[str, int]]) -> list[str]:
    """Codes that were released as `old` and mean something else, or nothing, in `new` (retired ones too)."""
    found = []
    for kind, codes in old.items():
        names = {code: name for name, code in new[kind].items()}
        for name, code in codes.items():
            if new[kind].get(name) != code:
                found.append(f"{kind}.{name} = {code} is gone: list it under [retired.{kind}]")
            if names.get(code, name) != name:
                found.append(f"{kind} {code} was {name} and is {names[code]} now")
    return sorted(found)
