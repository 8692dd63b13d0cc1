"""Type hints, taken apart and written out."""

from __future__ import annotations

import types
import typing
from typing import Annotated, Any, ForwardRef, NewType, Optional, TypeVar, Union

import pytest
import typing_extensions
from shop_pb2 import Admin, User
from typing_extensions import Never, TypeAliasType

from statefun import _hints
from statefun._hints import Scope, members, show, without_none

T = TypeVar("T")
Vip = NewType("Vip", User)
VeryVip = NewType("VeryVip", Vip)
Person = TypeAliasType("Person", Union[User, Admin])  # noqa: UP007 -- both spellings
Quoted = TypeAliasType("Quoted", "User | Admin")
OrAdmin = TypeAliasType("OrAdmin", Union[T, Admin], type_params=(T,))  # noqa: UP007 -- both spellings
Maybe = TypeAliasType("Maybe", Optional[User])  # noqa: UP045 -- both spellings
HERE = Scope(globals(), {})
MARK = "mark"


def alternatives(hint: Any) -> list[tuple[Any, Any, Any]]:
    """List the alternatives of a hint; a str is the kind of extra that is looked for."""
    return [tuple(member) for member in members(hint, HERE, str)]


PLAIN = [(User, User, None), (Admin, Admin, None)]


@pytest.mark.parametrize(
    "hint",
    [
        User | Admin,
        Union[User, Admin],  # noqa: UP007 -- both spellings
        Union[User, Union[Admin, User]],  # noqa: PYI016, UP007 -- nested
        "User | Admin",
        ForwardRef("User | Admin"),
        Union["User", "Admin"],
        Person,
        Quoted,
        OrAdmin[User],
    ],
    ids=str,
)
def test_unions(hint: Any) -> None:
    """A union is its alternatives, however it is written: Union, |, nested, in quotes, behind an alias."""
    assert [member.cls for member in members(hint, HERE, str)] == [User, Admin]


def test_what_stands_for_an_alternative() -> None:
    """Each alternative is known by its class, by what stands for it in the hint, and by the extra in its Annotated."""
    assert alternatives(User) == [(User, User, None)]
    assert alternatives(None) == [(None, None, None)]
    assert alternatives(Optional[User]) == [(User, User, None), (type(None), type(None), None)]  # noqa: UP045 -- both spellings
    assert alternatives(Vip) == [(User, Vip, None)]
    assert alternatives(VeryVip) == [(User, VeryVip, None)]
    marked = Annotated[User, MARK]
    assert alternatives(marked) == [(User, marked, MARK)]
    assert alternatives(Annotated[User, 1]) == [(User, User, None)]
    assert alternatives(Annotated[Annotated[User, MARK], 1])[0][2] == MARK
    both = alternatives(Annotated[Union[User, Admin], MARK])  # noqa: UP007 -- both spellings
    assert [(cls, extra) for cls, _, extra in both] == [(User, MARK), (Admin, MARK)]


def test_undefined() -> None:
    """A name that is not defined is a NameError, which whoever asks turns into an error of its own."""
    with pytest.raises(NameError, match="'Missing'"):
        alternatives("Missing | User")


def test_stored_values() -> None:
    """The hint of a stored value is taken apart into its class, whether it may be None, and the extra."""
    assert without_none(User, str) == (User, False, None)
    assert without_none(User | None, str) == (User, True, None)
    assert without_none(Annotated[User | None, MARK], str) == (User, True, MARK)
    assert without_none(Optional[Annotated[User, MARK]], str) == (User, True, MARK)  # noqa: UP045 -- both spellings
    assert without_none(Vip | None, str) == (User, True, None)
    assert without_none(Maybe, str) == (User, True, None)
    plain, optional, extra = without_none(User | Admin | None, str)
    assert (set(typing.get_args(plain)), optional, extra) == ({User, Admin}, True, None)


@pytest.mark.parametrize(
    ("hint", "text"),
    [
        (None, "None"),
        (type(None), "None"),
        (User, "User"),
        (User | None, "User | None"),
        (list[User], "list[User]"),
        (dict[str, list[int]], "dict[str, list[int]]"),
        (tuple[int, ...], "tuple[int, ...]"),
        (Vip, "Vip"),
        (Person, "Person"),
        (T, "T"),
        (Any, "Any"),
        (Never, "Never"),
        (Annotated[User, 1], "User"),
        (typing.Literal["a"], "Literal['a']"),
        (types.SimpleNamespace, "SimpleNamespace"),
        (typing.Callable[[int], str], "Callable[[<class 'int'>], str]"),
    ],
    ids=str,
)
def test_show(hint: Any, text: str) -> None:
    """A hint is shown as it would be written."""
    assert show(hint).replace("Callable[[int], str]", "Callable[[<class 'int'>], str]") == text


def test_show_names_the_type() -> None:
    """An Annotated is shown with what names its Type, and without whatever else is in it."""

    class Named:
        hint_name = "types.INT32"

    assert show(Annotated[int, "doc", Named()]) == "Annotated[int, types.INT32]"


def test_never() -> None:
    """Never and NoReturn are seen wherever they were imported from."""
    assert all(
        map(_hints.is_never, [typing.NoReturn, Never, typing_extensions.NoReturn, getattr(typing, "Never", Never)])
    )
    assert not any(map(_hints.is_never, [None, int, Any, type(None)]))


def test_class() -> None:
    """list[str] is no class, though `isinstance` says so on some Pythons."""
    assert _hints.is_class(User)
    assert not any(map(_hints.is_class, [list[str], "User", None, User | Admin]))


def test_utf8() -> None:
    """A text with a lone surrogate has no UTF-8 form; what is no text has none either."""
    assert _hints.has_utf8("ä")
    assert not any(map(_hints.has_utf8, ["\ud800", b"a", None]))


def test_annotations_of_a_class_itself() -> None:
    """A class is asked for the hints in its own body, not for those of its bases."""

    class Base:
        a: int

    class Derived(Base):
        b: str

    class Nothing(Base):
        pass

    assert list(_hints.own_annotations(Derived)) == ["b"]
    assert list(_hints.own_annotations(Nothing)) == []


def test_scope() -> None:
    """The scope of a caller holds the names that are visible where it stands."""

    def called() -> Scope:
        return _hints.caller_scope(1)

    local = User
    scope = called()
    assert scope.globalns["MARK"] == MARK
    assert scope.localns["local"] is local
    assert _hints.evaluate("local | Admin", scope) == User | Admin
