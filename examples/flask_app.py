"""Functions served by Flask, as the documentation of the 2.x SDK serves them. Needs flask.

python examples/flask_app.py
"""

from flask import Flask, Response, make_response, request

from statefun import Context, RequestReplyHandler, State, StatefulFunctions

functions = StatefulFunctions()


class Visits(State):
    """What is stored for each name."""

    visits: int = 0


@functions.bind("example/greeter")
def greeter(context: Context[Visits], message: str) -> None:
    """Count, and greet the caller."""
    context.state.visits += 1
    if context.caller is not None:
        context.reply(f"Hello {message}, visit {context.state.visits}")


handler = RequestReplyHandler(functions)
app = Flask(__name__)


@app.post("/statefun")
def handle() -> Response:
    """Answer a request of the runtime."""
    response = make_response(handler(request.data))
    response.headers.set("Content-Type", "application/octet-stream")
    return response


if __name__ == "__main__":
    app.run(port=8000)
