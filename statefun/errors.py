"""The error tree: who is at fault, and as which built-in kind a caller may catch it.

Here: every exception that the core raises on purpose, and nothing that raises one. What is drawn with the name of a
module is defined there, since it holds what only that module knows. A text says what is wrong, where it
is, and what to do (the line that starts with "help:").

    StatefunError
    ├── UserCodeError              the app's code is wrong
    │   ├── BindError              TypeError      a function cannot be bound; raised at import, never on a message
    │   ├── StateError             TypeError      a State class, a ValueSpec or an assigned value is not what it must be
    │   │   └── UndeclaredState    AttributeError, KeyError    a value is looked at that nobody declared
    │   ├── DeclarationError       TypeError, ValueError    a type, a reference or an egress is declared wrongly
    │   ├── SendError              ValueError     what is sent, or where to, is refused at the call
    │   │   └── UnsendableError    TypeError      what is sent has no way onto the wire
    │   └── ContextError           RuntimeError   a Context is used outside its invocation
    ├── PeerError                  what arrived is wrong
    │   ├── MalformedRequest       ValueError     the bytes are no request of this protocol
    │   ├── UnknownFunction        KeyError       no function is bound to the name asked for
    │   ├── UnexpectedMessage      ValueError     a message of a type that the function does not accept
    │   ├── UndecodableMessage     ValueError     a message whose bytes are not of its type
    │   └── UndecodableState       ValueError     a stored value whose bytes or type are not what the function declares
    └── ConfigError                the installation or the deployment is wrong
        ├── MissingState           LookupError    the runtime did not send a state that the function declares
        ├── findings.ModuleError   ValueError     a module.yaml cannot be read, or does not fit the app
        └── lock.LockError         ValueError     a change would lose state or messages, or the lock cannot be read
"""

from __future__ import annotations

__all__ = [
    "BindError",
    "ConfigError",
    "ContextError",
    "DeclarationError",
    "MalformedRequest",
    "MissingState",
    "PeerError",
    "SendError",
    "StateError",
    "StatefunError",
    "UndeclaredState",
    "UndecodableMessage",
    "UndecodableState",
    "UnexpectedMessage",
    "UnknownFunction",
    "UnsendableError",
    "UserCodeError",
]


class StatefunError(Exception):
    """The root: catch it to catch whatever the SDK raises on purpose."""


class UserCodeError(StatefunError):
    """The code of the app is wrong."""


class PeerError(StatefunError):
    """What arrived from the other side is wrong."""


class ConfigError(StatefunError):
    """The installation or the deployment is wrong."""


class BindError(UserCodeError, TypeError):
    """A function cannot be bound."""

    def __init__(self, typename: str, function: str, problem: str, help: str = "") -> None:
        super().__init__(with_help(f"cannot bind {typename!r} to {function}: {problem}", help))
        self.typename = typename
        """The name under which it was to be bound."""
        self.function = function
        """The function and where it is: `greeter (app.py:12)`."""
        self.problem = problem
        self.help = help


class StateError(UserCodeError, TypeError):
    """A State class, a ValueSpec or an assigned value is not what it must be."""


class UndeclaredState(StateError, AttributeError, KeyError):
    """A value is looked at that the function does not declare."""

    def __str__(self) -> str:
        """Return the text itself, where KeyError would return its repr."""
        return str(self.args[0])


class DeclarationError(UserCodeError, TypeError, ValueError):
    """A type, a function reference or an egress is declared wrongly."""


class SendError(UserCodeError, ValueError):
    """What is sent, or where it is sent to, is refused at the call."""


class UnsendableError(SendError, TypeError):
    """What is sent has no way onto the wire."""


class ContextError(UserCodeError, RuntimeError):
    """A Context, or a state that came from one, is used outside its invocation."""


class MalformedRequest(PeerError, ValueError):
    """The bytes are no request of this protocol."""


class UnknownFunction(PeerError, KeyError):
    """No function is bound to the name asked for."""

    def __str__(self) -> str:
        """Return the text itself, where KeyError would return its repr."""
        return str(self.args[0])


class UnexpectedMessage(PeerError, ValueError):
    """A message arrived whose type the function does not accept."""


class UndecodableMessage(PeerError, ValueError):
    """A message arrived whose bytes are not of its type."""


class UndecodableState(PeerError, ValueError):
    """A stored value has not the type that the function declares, or its bytes are not of that type."""


class MissingState(ConfigError, LookupError):
    """The runtime did not send a state that the function declares."""


def reason(error: Exception) -> str:
    """Return the text of an error, or the name of its class where it has none."""
    return str(error) or type(error).__name__


def with_help(problem: str, help: str) -> str:
    """Return the problem with its help in a line of its own."""
    return f"{problem}\n  help: {help}" if help else problem
