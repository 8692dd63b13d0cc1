"""int, bool and float: one tower to Python and to the checkers, three typenames on the wire."""

from __future__ import annotations

from typing_extensions import assert_never, assert_type

from statefun import Context, FunctionRef, State, StatefulFunction, StatefulFunctions

functions = StatefulFunctions()


# a bool is an int to isinstance: its case comes first
@functions.bind("example/int_or_bool")
def int_or_bool(context: Context, message: int | bool) -> None:
    match message:
        case bool():
            assert_type(message, bool)
        case int():
            assert_type(message, int)  # E: ty
        case _:
            assert_never(message)


@functions.bind("example/one_case")
def one_case(context: Context, message: int | bool | str) -> None:
    match message:
        case bool() | int():
            print(message + 1)
        case str():
            print(message)
        case _:
            assert_never(message)


# the wrong order: the second case never runs
@functions.bind("example/wrong_order")
def wrong_order(context: Context, message: int | bool) -> None:
    match message:  # E: mypy
        case int():
            print("also of True")
        case bool():  # E: pyright basedpyright
            print("never")  # E: mypy


# `float` means `float | int` to a checker (an int may stand for one), so both are named; what arrives is a float
@functions.bind("example/number")
def number(context: Context, message: float) -> None:
    match message:
        case int() | float():
            print(message / 2)
        case _:
            assert_never(message)


@functions.bind("example/float_alone")
def float_alone(context: Context, message: float) -> None:
    match message:
        case float():
            print(message.hex())
        case _:
            assert_never(message)  # E: pyright basedpyright ty


@functions.bind("example/int_or_float")
def int_or_float(context: Context, message: int | float | str) -> None:
    match message:
        case int():
            assert_type(message, int)
        case float():
            print(message.hex())
        case str():
            print(message.upper())
        case _:
            assert_never(message)


@functions.bind("example/missing")
def missing(context: Context, message: int | str | bytes) -> None:
    match message:
        case int():
            pass
        case str():
            pass
        case _:
            assert_never(message)  # E


assert_type(number, StatefulFunction[float, State, None])
FLAG = FunctionRef[bool]("example/flag")
FLOAT = FunctionRef[float]("example/float")


def sends(context: Context) -> None:
    context.send(FLOAT.at("x"), 1.5)
    context.send(FLOAT.at("x"), 1)  # written as a double
    context.send(FLAG.at("x"), True)
    context.send(int_or_float.at("x"), 1)  # written as a long
    context.send(FLAG.at("x"), 1)  # E
    context.send(int_or_bool.at("x"), 1.5)  # E
    context.send(FLOAT.at("x"), "1")  # E
