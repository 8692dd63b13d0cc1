"""Names and addresses."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statefun import Address
from statefun.address import split_typename
from statefun.errors import DeclarationError
from tests.refusals import refusal

part = st.text(st.characters(exclude_characters="/", exclude_categories=["Cs"]), min_size=1, max_size=8)


@given(st.lists(part, min_size=1, max_size=3).map("/".join), part)
def test_split(namespace: str, name: str) -> None:
    """A typename is split at its last slash, so that a namespace may have some of its own."""
    assert split_typename(f"{namespace}/{name}") == (namespace, name)


@pytest.mark.parametrize("typename", ["", "greeter", "/greeter", "example/", "/", "//", "a/\ud800", None, 5, b"a/b"])
def test_no_typename(typename: Any) -> None:
    """What has no namespace, no name, or no UTF-8 form is no typename."""
    text = f"{typename!r} is not a typename: it must be '<namespace>/<name>', e.g. 'example/greeter'"
    assert refusal(DeclarationError, lambda: split_typename(typename)) == text


def test_address() -> None:
    """An address is a value, with the three fields of the protocol and two ways to write it."""
    address = Address("com.acme/shop", "cart", "ada")
    assert (address.namespace, address.type, address.identity) == ("com.acme/shop", "cart", "ada")
    assert address.typename() == "com.acme/shop/cart"
    assert str(address) == "com.acme/shop/cart/ada"
    assert {address: 1}[Address("com.acme/shop", "cart", "ada")] == 1
    assert address != Address("com.acme/shop", "cart", "bob")
    assert repr(address) == "Address(namespace='com.acme/shop', type='cart', identity='ada')"


@given(st.lists(part, min_size=1, max_size=3).map("/".join), part, part | st.just(""))
def test_parse(namespace: str, type: str, identity: str) -> None:
    """An address whose identity holds no slash is read as it was written."""
    address = Address(namespace, type, identity)
    assert Address.parse(str(address)) == address


@pytest.mark.parametrize("text", ["", "a", "a/b", "/a/b", "a//", "//", "//b"])
def test_no_address(text: str) -> None:
    """What has fewer than three parts is no address."""
    expected = f"{text!r} is not an address: it must be '<namespace>/<type>/<identity>', e.g. 'example/greeter/bob'"
    assert refusal(DeclarationError, lambda: Address.parse(text)) == expected
