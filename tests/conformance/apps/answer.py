"""Runs an app in the environment of the SDK that it was written for, and answers requests with its replies.

python answer.py sdk_2 | sdk_3     a request in hex per line in; {"reply": hex} or {"refusal": text} per line out
"""
# mypy: ignore-errors
# pyright: basic, reportAttributeAccessIssue=false

import asyncio
import json
import sys


def handlers(app):
    """Return the handlers of an app, each for the functions that those before it do not know."""
    import statefun  # noqa: PLC0415 - whichever SDK this environment has

    if app == "sdk_3":
        import cart_3  # noqa: PLC0415
        import sdk_3  # noqa: PLC0415

        return [statefun.RequestReplyHandler(app.functions).handle_sync for app in (sdk_3, cart_3)]
    import sdk_2  # noqa: PLC0415

    awaited = statefun.AsyncRequestReplyHandler(sdk_2.async_functions)
    return [statefun.RequestReplyHandler(sdk_2.functions), lambda request: asyncio.run(awaited(request))]


def answer(handlers, request):
    """Return the first answer that a handler has, or why the last one has none."""
    for handler in handlers:
        try:
            return {"reply": handler(request).hex()}
        except Exception as error:  # noqa: BLE001 - whatever it raises is the answer
            refusal = f"{type(error).__name__}: {error}"
            if not isinstance(error, KeyError):  # it knows the function
                break
    return {"refusal": refusal}


def main():
    """Answer the requests on standard input."""
    ready = handlers(sys.argv[1])
    for line in sys.stdin:
        print(json.dumps(answer(ready, bytes.fromhex(line))), flush=True)


if __name__ == "__main__":
    main()
