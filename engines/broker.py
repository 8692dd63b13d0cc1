"""A Kafka broker: one node, broker and controller in one process (engines/kafka)."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from engines.errors import EngineError
from engines.jars import HERE, fetch, java
from engines.processes import JVM, free_port, kill, spawn, stop, wait_until

__all__ = ["Broker"]

CONF = HERE / "kafka" / "conf"
CLUSTER = "AAAAAAAAAAAAAAAAAAAAAQ"
"""An id of the right shape: 16 bytes in base64."""
STARTED = b"Kafka Server started"


@dataclass(frozen=True, slots=True, kw_only=True)
class Broker:
    """A broker and its folder. A folder that is there already is gone on with: topics, offsets and transactions."""

    folder: Path
    port: int
    controller: int
    settings: Mapping[str, str] = field(default_factory=dict[str, str])
    heap: str = "384m"

    @classmethod
    def start(cls, folder: Path, *, port: int | None = None, settings: Mapping[str, str] | None = None) -> Broker:
        """Start a broker that keeps its data in that folder; return when it serves. Raises EngineError."""
        broker = cls(folder=folder, port=port or free_port(), controller=free_port(), settings=settings or {})
        broker.run()
        return broker

    @property
    def address(self) -> str:
        """Where clients find it."""
        return f"127.0.0.1:{self.port}"

    def run(self) -> None:
        """Start it, again on the same ports if it has run before."""
        jars = fetch("kafka")
        self.folder.mkdir(parents=True, exist_ok=True)
        properties = self.folder / "server.properties"
        properties.write_text(self.properties())
        logging = f"-Dlog4j2.configurationFile={CONF / 'log4j2.properties'}"
        common = (*JVM, f"-Xmx{self.heap}", logging, "-cp", f"{jars}/*")
        if not (self.folder / "data" / "meta.properties").exists():
            command = (java(), *common, "kafka.tools.StorageTool", "format", "-t", CLUSTER, "-c", str(properties))
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise EngineError(f"Kafka could not make its folder {self.folder}:\n{done.stdout}{done.stderr}".strip())
        log = self.folder / "log"
        log.unlink(missing_ok=True)
        pid = spawn(self.folder, (*common, "kafka.Kafka", str(properties)))
        wait_until(lambda: STARTED in log.read_bytes(), what="the broker", pid=pid, folder=self.folder)

    def properties(self) -> str:
        """Return what it is configured with."""
        own = {
            "controller.quorum.voters": f"1@127.0.0.1:{self.controller}",
            "listeners": f"PLAINTEXT://{self.address},CONTROLLER://127.0.0.1:{self.controller}",
            "advertised.listeners": f"PLAINTEXT://{self.address}",
            "log.dirs": str(self.folder / "data"),
        }
        lines = (f"{name}={value}\n" for name, value in {**own, **self.settings}.items())
        return (CONF / "server.properties").read_text() + "".join(lines)

    def stop(self) -> None:
        """End it; its folder stays."""
        stop(self.folder)

    def kill(self) -> None:
        """End it without warning."""
        kill(self.folder)
