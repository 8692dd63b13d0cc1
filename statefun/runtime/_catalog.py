"""What an app accepts, stores and sends out, written down so that values can be read without the app.

Here: `StoredCatalog`, what `statefun.catalog` says of an app without its live types, kept in the file as JSON. How a
value is read with it is in `_values`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, cast

from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from google.protobuf.message import Message

from statefun._json import kind_of
from statefun.catalog import Catalog, CatalogType
from statefun.types import JSON

__all__ = ["StoredCatalog", "StoredFunction"]

Kind = Literal["protobuf", "json", "custom"]
VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFunction:
    """One function: the typenames that it accepts, and its states."""

    accepts: tuple[str, ...]
    catch_all: bool = False
    states: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCatalog:
    """All of an app."""

    functions: Mapping[str, StoredFunction] = field(default_factory=dict[str, StoredFunction])
    egresses: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, "tuple[str, ...]"])
    """What the records of each egress hold, where the app says it."""
    kinds: Mapping[str, Kind] = field(default_factory=dict[str, Kind])
    """How the values of each typename are written; primitives are not listed."""
    messages: Mapping[str, str] = field(default_factory=dict[str, str])
    """The full name of the protobuf message of a typename."""
    descriptors: FileDescriptorSet = field(default_factory=FileDescriptorSet)

    @classmethod
    def of(cls, app: Catalog) -> StoredCatalog:
        """Keep what can be written down."""
        types = _Types()
        functions = {
            function.typename: StoredFunction(
                accepts=types.all(function.accepts),
                catch_all=function.catch_all,
                states={state.name: types.add(state.type) for state in function.states},
            )
            for function in app.functions
        }
        egresses: dict[str, tuple[str, ...]] = {}
        for egress in app.egresses:
            if egress.kind != "other":
                known = egresses.get(egress.typename, ())
                egresses[egress.typename] = tuple(dict.fromkeys([*known, *types.all(egress.types)]))
        return cls(
            functions=functions,
            egresses=egresses,
            kinds=types.kinds,
            messages=types.messages,
            descriptors=FileDescriptorSet(file=list(types.files.values())),
        )

    def to_bytes(self) -> bytes:
        """Write it down."""
        functions = {
            name: {"accepts": list(known.accepts), "catch_all": known.catch_all, "states": dict(known.states)}
            for name, known in self.functions.items()
        }
        return json.dumps({
            "version": VERSION,
            "functions": functions,
            "egresses": {name: list(types) for name, types in self.egresses.items()},
            "kinds": dict(self.kinds),
            "messages": dict(self.messages),
            "descriptors": base64.b64encode(self.descriptors.SerializeToString()).decode(),
        }).encode()  # fmt: skip

    @classmethod
    def from_bytes(cls, data: bytes | None) -> StoredCatalog:
        """Read what was written down; nothing is an empty catalog."""
        if data is None:
            return cls()
        read = cast("dict[str, dict[str, object]]", json.loads(data))
        functions = cast("dict[str, dict[str, object]]", read["functions"])
        return cls(
            functions={
                name: StoredFunction(
                    accepts=tuple(cast("list[str]", known["accepts"])),
                    catch_all=bool(known["catch_all"]),
                    states=cast("dict[str, str]", known["states"]),
                )
                for name, known in functions.items()
            },
            egresses={name: tuple(types) for name, types in cast("dict[str, list[str]]", read["egresses"]).items()},
            kinds=cast("dict[str, Kind]", read["kinds"]),
            messages=cast("dict[str, str]", read["messages"]),
            descriptors=FileDescriptorSet.FromString(base64.b64decode(cast("str", read["descriptors"]))),
        )


class _Types:
    """Collects types and the descriptors behind them."""

    def __init__(self) -> None:
        self.kinds: dict[str, Kind] = {}
        self.messages: dict[str, str] = {}
        self.files: dict[str, FileDescriptorProto] = {}

    def add(self, found: CatalogType) -> str:
        """Take in a type; return its typename."""
        cls = cast("object", None if found.type is None else found.type.cls)
        if isinstance(cls, type) and issubclass(cls, Message):
            self.kinds[found.typename] = "protobuf"
            self.messages[found.typename] = cls.DESCRIPTOR.full_name
            self._add_file(cast("FileDescriptor", cls.DESCRIPTOR.file))
        elif found.typename == JSON or (isinstance(cls, type) and kind_of(cls)):
            self.kinds[found.typename] = "json"
        elif not found.typename.startswith("io.statefun.types/"):
            self.kinds[found.typename] = "custom"
        return found.typename

    def all(self, found: Iterable[CatalogType]) -> tuple[str, ...]:
        """Take in several."""
        return tuple(map(self.add, found))

    def _add_file(self, file: FileDescriptor) -> None:
        if file.name in self.files:
            return
        for needed in file.dependencies:
            self._add_file(needed)
        copy = FileDescriptorProto()
        file.CopyToProto(copy)
        self.files[file.name] = copy
