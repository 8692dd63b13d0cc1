"""What reading and checking a large module.yaml costs: 1,000 functions, 1,000 topics, 40,000 lines.

    python -m benchmarks.module

The largest file that is read, 250,000 values, is only read. Each row is a process of its own: its wall time from the
text to the report, and the peak of its memory in all. Fails where it takes more than 2 s or 200 MB with libyaml.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import chain

FUNCTIONS = 1_000
TOPICS = 1_000
LINES = 40_000
MOST_SECONDS = 2.0
MOST_MEGABYTES = 200
CASES = (("components", "libyaml"), ("2.0", "libyaml"), ("components", "python"), ("largest", "libyaml"))
LARGEST = 124_900
"""Properties of one ingress: about as many values as are read at all."""


def components() -> Iterator[str]:
    """Yield the documents of a file of components."""
    for number in range(FUNCTIONS):
        yield (
            f"kind: io.statefun.endpoints.v2/http\nspec:\n  functions: shop.n{number}/cart\n"
            f"  urlPathTemplate: http://carts{number}.internal:8000/statefun\n  transport:\n"
            "    type: io.statefun.transports.v1/async\n    call: 90sec\n    connect: 5sec\n    pool_size: 256\n---\n"
        )
    for ingress in range(10):
        yield f"kind: io.statefun.kafka.v1/ingress\nspec:\n  id: shop.io/in{ingress}\n  address: kafka:9092\n"
        yield f"  consumerGroupId: carts{ingress}\n  startupPosition:\n    type: earliest\n  topics:\n"
        yield from topics(ingress, "valueType", "    ")
        yield from padding(LINES - FUNCTIONS * 10 - TOPICS * 7, "  ")
        yield "---\n"


def format_2() -> Iterator[str]:
    """Yield a file of format 2.0."""
    yield 'version: "2.0"\nmodule:\n  meta:\n    type: remote\n  spec:\n    functions:\n'
    for number in range(FUNCTIONS):
        yield f"      - function:\n          meta:\n            kind: http\n            type: shop.n{number}/cart\n"
        yield "          spec:\n            endpoint: http://carts.internal:8000/statefun\n            states:\n"
        yield "              - name: count\n              - name: last\n                expireAfter: 1d\n"
        yield "                expireMode: after-write\n"
    yield "    ingresses:\n"
    for ingress in range(10):
        yield "      - ingress:\n          meta:\n            type: statefun.kafka.io/routable-protobuf-ingress\n"
        yield f"            id: shop.io/in{ingress}\n          spec:\n            address: kafka:9092\n"
        yield f"            consumerGroupId: carts{ingress}\n"
        yield "            startupPosition:\n              type: earliest\n"
        yield "            topics:\n"
        yield from topics(ingress, "typeUrl", "              ")
        yield from padding(LINES - FUNCTIONS * 11 - TOPICS * 7, "            ")


def largest() -> Iterator[str]:
    """Yield a file with as many values as are read at all."""
    yield "kind: io.statefun.kafka.v1/ingress\nspec:\n  id: shop.io/in\n  address: kafka:9092\n  consumerGroupId: g\n"
    yield "  topics:\n    - {topic: t, valueType: a/b, targets: [a/b]}\n  properties:\n"
    yield from (f"    - {'x' * 24}{number}: {number}\n" for number in range(LARGEST))


def topics(ingress: int, key: str, indent: str) -> Iterator[str]:
    """Yield a tenth of the topics."""
    for topic in range(TOPICS // 10):
        first = ingress * 100 + topic
        targets = "".join(f"{indent}    - shop.n{(first + more) % FUNCTIONS}/cart\n" for more in range(4))
        yield f"{indent}- topic: orders{first}\n{indent}  {key}: statefun.python/bytes\n{indent}  targets:\n{targets}"


def padding(lines: int, indent: str) -> Iterator[str]:
    """Yield a tenth of the lines that are left, as properties."""
    yield f"{indent}properties:\n"
    yield from (f"{indent}  - some.property.{number}: {number}\n" for number in range(lines // 10))


def measure(style: str, parser: str) -> None:
    """Read and check the file, and print what it took."""
    import yaml  # noqa: PLC0415 -- the memory of this process is measured

    from statefun import Context, State, StatefulFunctions, value  # noqa: PLC0415 -- the same
    from statefun.module import _yaml, check, read_text  # noqa: PLC0415 -- the same

    if parser == "python":
        _yaml._LOADER = yaml.SafeLoader  # noqa: SLF001 -- as where PyYAML is built without libyaml

    from datetime import timedelta  # noqa: PLC0415 -- the same

    class CartState(State):
        count: int = 0
        last: str | None = value(default=None, expire_after_write=timedelta(days=1))

    functions = StatefulFunctions()

    def cart(context: Context[CartState], message: bytes) -> None: ...

    cart.__annotations__["context"] = Context[CartState]
    for number in range(FUNCTIONS):
        functions.register(f"shop.n{number}/cart", cart)
    text = "".join({"components": components, "2.0": format_2, "largest": largest}[style]())
    started = time.perf_counter()
    module = read_text(text)
    report = None if style == "largest" else check(functions, module)
    seconds = time.perf_counter() - started
    assert report is None or report.findings == (), report
    print(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, text.count("\n"), len(text))


def main() -> int:
    """Print the table; return 1 if it costs too much."""
    print("| format | parser | lines | seconds | MB |\n| --- | --- | ---: | ---: | ---: |")
    failed = False
    for style, parser in CASES:
        runs = [_run(style, parser) for _ in range(3)]
        seconds, megabytes, lines, _ = min(runs)
        print(f"| {style} | {parser} | {lines:,.0f} | {seconds:.2f} | {megabytes:.0f} |", flush=True)
        failed |= style != "largest" and parser == "libyaml" and (seconds > MOST_SECONDS or megabytes > MOST_MEGABYTES)
    return 1 if failed else 0


def _run(style: str, parser: str) -> list[float]:
    command = [sys.executable, "-m", "benchmarks.module", style, parser]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [float(part) for part in chain.from_iterable(line.split() for line in done.stdout.splitlines())]


if __name__ == "__main__":
    if sys.argv[1:]:
        measure(*sys.argv[1:])
    else:
        sys.exit(main())
