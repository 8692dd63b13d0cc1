"""Functions served by aiohttp, as the documentation of the 2.x SDK serves them. Needs aiohttp.

python examples/aiohttp_app.py
"""

import asyncio

from aiohttp import web

from statefun import AsyncRequestReplyHandler, Context, State, StatefulFunctions

functions = StatefulFunctions()


class Visits(State):
    """What is stored for each name."""

    visits: int = 0


@functions.bind("example/greeter")
async def greeter(context: Context[Visits], message: str) -> None:
    """Count, ask somebody slow, and greet the caller. Requests of other names are answered meanwhile."""
    context.state.visits += 1
    greeting = await look_up(message)
    if context.caller is not None:
        context.reply(f"{greeting} {message}, visit {context.state.visits}")


async def look_up(name: str) -> str:
    """Stand for a database, or another service."""
    await asyncio.sleep(0.01)
    return "Hello" if name.isascii() else "Salut"


handler = AsyncRequestReplyHandler(functions)


async def handle(request: web.Request) -> web.Response:
    """Answer a request of the runtime."""
    reply = await handler(await request.read())
    return web.Response(body=reply, content_type="application/octet-stream")


app = web.Application()
app.add_routes([web.post("/statefun", handle)])

if __name__ == "__main__":
    web.run_app(app, port=8000)
