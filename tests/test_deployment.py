"""Files that ship a service are valid, safe by default, and there only when they were chosen."""

import json
import os
import re
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.combinations import CHOICES
from support.commands import program, run, run_python
from support.files import tree
from support.generation import Bake

DOCKER = {"Dockerfile", ".dockerignore", "compose.yaml"}
KUBERNETES = {"kubernetes.yaml"}
ROLES = {"roles.sql"}


@pytest.fixture(scope="module", params=CHOICES["key_store"])
def store(request: pytest.FixtureRequest) -> str:
    """Return each place for keys in turn."""
    chosen: str = request.param
    return chosen


@pytest.fixture(scope="module", params=["no", "yes"], ids=["unlimited", "limited"])
def shipped_project(request: pytest.FixtureRequest, bake: Bake, store: str) -> Path:
    """Return a project with all there is to ship it, without limits and with them."""
    return bake(deployment="kubernetes", key_store=store, rate_limit=request.param)


def manifest(project: Path, name: str = "my-service") -> dict[str, Any]:
    """Return the resources with a name in a manifest, by their kind."""
    documents = yaml.safe_load_all((project / "kubernetes.yaml").read_text(encoding="utf-8"))
    return {
        document["kind"]: document for document in documents if document["metadata"]["name"] == name
    }


def pod_of(project: Path) -> dict[str, Any]:
    """Return the description of the pods in a manifest."""
    pod: dict[str, Any] = manifest(project)["Deployment"]["spec"]["template"]["spec"]
    return pod


def test_development_container_is_short_and_forwards_the_port(bake: Bake) -> None:
    file = bake() / ".devcontainer.json"
    text = file.read_text(encoding="utf-8")
    assert len(text.splitlines()) < 30
    container = json.loads(text)
    assert {"name", "image", "postCreateCommand"} <= container.keys()
    assert container["forwardPorts"] == [8000]
    assert not (bake(deployment="none") / ".devcontainer.json").exists()


def compose_services(project: Path) -> dict[str, Any]:
    """Return the services of a compose file by their names."""
    content = yaml.safe_load((project / "compose.yaml").read_text(encoding="utf-8"))
    services: dict[str, Any] = content["services"]
    return services


@pytest.fixture(scope="module")
def resources(shipped_project: Path) -> dict[str, Any]:
    """Return the resources of the manifest by their kind."""
    return manifest(shipped_project)


@pytest.mark.parametrize(
    ("deployment", "expected"),
    [("none", set()), ("docker", DOCKER), ("kubernetes", DOCKER | KUBERNETES)],
)
def test_only_the_files_of_a_choice_are_there(
    bake: Bake, deployment: str, expected: set[str]
) -> None:
    project = bake(deployment=deployment)
    names = {path.relative_to(project).as_posix() for path in tree(project)}
    assert names & (DOCKER | KUBERNETES) == expected


@pytest.mark.parametrize("deployment", CHOICES["deployment"])
def test_roles_are_there_where_a_database_is_shipped(
    bake: Bake, store: str, deployment: str
) -> None:
    project = bake(deployment=deployment, key_store=store)
    shipped = deployment != "none" and store == "database"
    assert {path.name for path in tree(project)} & ROLES == (ROLES if shipped else set())


@pytest.mark.parametrize(
    ("deployment", "unsaid"),
    [
        ("none", "docker|compose|container|kube|image(?!/)|pod"),
        ("docker", "kube|pod|registry"),
    ],
)
def test_what_was_not_chosen_is_not_mentioned(
    bake: Bake, store: str, deployment: str, unsaid: str
) -> None:
    fields = {"deployment": deployment, "key_store": store}
    projects = [bake(rate_limit=limit, **fields) for limit in ("no", "yes")]
    for path in [path for project in projects for path in tree(project)]:
        if path.is_file() and path.name not in ("LICENSE", ".env"):
            text = path.read_text(encoding="utf-8").replace("/run/secrets/", "")
            assert not re.findall(rf"\b(?:{unsaid})\w*", text, re.IGNORECASE), path


@pytest.mark.skipif(sys.platform == "win32", reason="there is no hadolint for Windows")
def test_hadolint_has_nothing_to_say(shipped_project: Path) -> None:
    finished = run(program("hadolint"), "Dockerfile", cwd=shipped_project)
    assert (finished.returncode, finished.stdout) == (0, "")


def test_the_compose_file_is_valid_and_takes_privileges_away(
    shipped_project: Path, store: str
) -> None:
    command = ["-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    finished = run_python(*command, "compose.yaml", cwd=shipped_project)
    assert finished.returncode == 0, finished.stdout
    readme = (shipped_project / "README.md").read_text(encoding="utf-8")
    compose = yaml.safe_load((shipped_project / "compose.yaml").read_text(encoding="utf-8"))
    ours = {name: process for name, process in compose["services"].items() if name != "postgres"}
    for process in ours.values():
        assert process["read_only"] is True
        assert process["cap_drop"] == ["ALL"]
        assert process["security_opt"] == ["no-new-privileges:true"]
    limits = ["rate_limit_storage_url"] if "valkey" in ours else []
    own = ["database_url" if store == "database" else "api_keys"]
    assert ours["my-service"]["secrets"] == own + limits
    if store == "database":
        assert ours["migrate"]["secrets"] == ["migration_database_url"]
    for name, origin in compose["secrets"].items():
        assert origin == {"file": f"secrets/{name}"}
        assert re.search(rf"> secrets/{name}( |$)", readme, re.MULTILINE), name


def test_processes_that_limit_count_in_one_place(bake: Bake, store: str) -> None:
    project = bake(deployment="kubernetes", key_store=store, rate_limit="yes")
    services = compose_services(project)
    assert services["my-service"]["depends_on"]["valkey"] == {"condition": "service_healthy"}
    assert "ports" not in services["valkey"]
    readme = (project / "README.md").read_text(encoding="utf-8")
    urls = re.findall(r'^echo "redis://:\$valkey@(\S+):6379" > secrets/rate_limit', readme, re.M)
    counter = manifest(project, "my-service-valkey")
    assert urls == ["valkey", counter["Service"]["metadata"]["name"]]
    assert counter["Deployment"]["spec"]["replicas"] == 1


def test_valkey_refuses_who_has_no_password(bake: Bake, store: str) -> None:
    project = bake(deployment="kubernetes", key_store=store, rate_limit="yes")
    valkey = compose_services(project)["valkey"]
    assert valkey["secrets"] == ["valkey.conf"]
    assert valkey["command"].split()[:2] == ["valkey-server", "/run/secrets/valkey.conf"]
    [container] = manifest(project, "my-service-valkey")["Deployment"]["spec"]["template"]["spec"][
        "containers"
    ]
    assert shlex.join(container["args"]).replace("''", '""') == valkey["command"]
    readme = (project / "README.md").read_text(encoding="utf-8")
    assert 'echo "requirepass $valkey" > secrets/valkey.conf\n' in readme


def test_pods_get_the_secrets_they_use_and_no_others(shipped_project: Path) -> None:
    pod = pod_of(shipped_project)
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    compose = compose_services(shipped_project)
    containers = {c["name"]: c for c in [*pod.get("initContainers", []), *pod["containers"]]}
    for name, container in containers.items():
        [mounted] = [m for m in container["volumeMounts"] if m["mountPath"] == "/run/secrets"]
        items = volumes[mounted["name"]]["secret"]["items"]  # without one of them, no pod starts
        assert [item["key"] for item in items] == compose[name]["secrets"]
        assert all(item["key"] == item["path"] for item in items)


def test_manifest_that_was_not_edited_does_not_start(shipped_project: Path) -> None:
    [container] = pod_of(shipped_project)["containers"]
    [proxies] = [item for item in container["env"] if item["name"] == "FORWARDED_ALLOW_IPS"]
    script = "from my_service.settings import load_settings; load_settings()"
    entry = json.dumps([{"consumer": "web", "sha256": "0" * 64}])
    env = {**os.environ, "PYTHONPATH": "src", "API_KEYS": entry}

    def start(value: str) -> str:
        settings = {**env, "FORWARDED_ALLOW_IPS": value}
        return run_python("-c", script, cwd=shipped_project, env=settings).stderr

    assert "FORWARDED_ALLOW_IPS: use addresses or networks" in start(proxies["value"])
    assert start("10.42.0.0/16") == ""


def test_network_policies_name_every_connection(shipped_project: Path, store: str) -> None:
    policy = manifest(shipped_project)["NetworkPolicy"]["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    [entry] = policy["ingress"]
    assert entry["ports"] == [{"port": "http"}]
    assert entry["from"]
    limited = "valkey" in compose_services(shipped_project)
    wanted = {53} | ({5432} if store == "database" else set()) | ({6379} if limited else set())
    assert {port["port"] for rule in policy["egress"] for port in rule["ports"]} == wanted
    if limited:
        counter = manifest(shipped_project, "my-service-valkey")["NetworkPolicy"]["spec"]
        assert counter["policyTypes"] == ["Ingress", "Egress"]
        assert "egress" not in counter
        assert counter["ingress"] == [
            {"from": [{"podSelector": policy["podSelector"]}], "ports": [{"port": "valkey"}]}
        ]


@pytest.mark.parametrize("slug", ["a" * 63, "a" + "-b" * 31, "user", "public"])
def test_names_fit_whatever_the_service_is_called(bake: Bake, slug: str) -> None:
    project = bake(
        project_slug=slug, deployment="kubernetes", key_store="database", rate_limit="yes"
    )
    documents = yaml.safe_load_all((project / "kubernetes.yaml").read_text(encoding="utf-8"))
    names = {document["metadata"]["name"] for document in documents}
    assert len(names) == 2
    assert all(re.fullmatch(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?", name) for name in names)
    roles = re.findall(r"^CREATE ROLE (\S+)", (project / "roles.sql").read_text(), re.MULTILINE)
    assert len(set(roles)) == 2
    assert all(re.fullmatch("[a-z][a-z0-9_]{4,62}", role) for role in roles)


def test_tables_are_made_before_the_service_serves(bake: Bake) -> None:
    project = bake(deployment="kubernetes", key_store="database")
    services = compose_services(project)
    migrate = ["python", "-m", "my_service", "migrate"]
    assert services["migrate"]["command"] == migrate
    waits = {name: process.get("depends_on", {}) for name, process in services.items()}
    assert waits["my-service"] == {"migrate": {"condition": "service_completed_successfully"}}
    assert waits["migrate"] == {"postgres": {"condition": "service_healthy"}}
    pod = pod_of(project)
    [first], [container] = pod["initContainers"], pod["containers"]
    assert first["command"] == migrate
    for same in ("image", "securityContext", "resources"):
        assert first[same] == container[same]


def test_a_pod_that_served_goes_on_without_its_database_for_the_grace(bake: Bake) -> None:
    project = bake(deployment="kubernetes", key_store="database")
    [container] = pod_of(project)["containers"]
    probe = container["readinessProbe"]
    settings = (project / "src/my_service/auth/settings.py").read_text(encoding="utf-8")
    [grace] = re.findall(r"key_grace_seconds: int = Field\(default=(\d+)", settings)
    assert probe["failureThreshold"] * probe["periodSeconds"] == int(grace)


def test_the_manifest_is_valid(shipped_project: Path) -> None:
    validate = program("kubernetes-validate")
    finished = run(validate, "--strict", "kubernetes.yaml", cwd=shipped_project)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    limited = "valkey" in compose_services(shipped_project)
    assert finished.stdout.count(" passed for resource ") == (8 if limited else 5)


def test_a_pod_may_do_no_more_than_it_must(shipped_project: Path) -> None:
    documents = yaml.safe_load_all(
        (shipped_project / "kubernetes.yaml").read_text(encoding="utf-8")
    )
    for document in [document for document in documents if document["kind"] == "Deployment"]:
        pod = document["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not pod["automountServiceAccountToken"]
        [container] = pod["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"].keys() == {"requests", "limits"}


def test_the_files_agree_with_each_other(shipped_project: Path, resources: dict[str, Any]) -> None:
    dockerfile = (shipped_project / "Dockerfile").read_text(encoding="utf-8")
    pod = resources["Deployment"]["spec"]["template"]["spec"]
    [container] = pod["containers"]
    user, group = (pod["securityContext"][name] for name in ("runAsUser", "runAsGroup"))
    assert f"USER {user}:{group}\n" in dockerfile
    assert f"EXPOSE {container['ports'][0]['containerPort']}\n" in dockerfile
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert mounts == {"secrets": "/run/secrets", "tmp": "/tmp"}  # noqa: S108
    [server] = shipped_project.glob("src/*/server.py")
    [patience] = re.findall(r"SHUTDOWN_SECONDS = (\d+)", server.read_text(encoding="utf-8"))
    drained = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert drained + int(patience) < pod["terminationGracePeriodSeconds"]


def test_pods_change_without_one_missing(resources: dict[str, Any]) -> None:
    spec = resources["Deployment"]["spec"]
    assert spec["replicas"] == 2
    assert spec["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    selector = spec["selector"]["matchLabels"]
    assert spec["template"]["metadata"]["labels"] == selector
    assert resources["Service"]["spec"]["selector"] == selector
    assert resources["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == selector
    scaled = resources["HorizontalPodAutoscaler"]["spec"]
    assert scaled["scaleTargetRef"]["name"] == resources["Deployment"]["metadata"]["name"]
    assert scaled["minReplicas"] == spec["replicas"]


def test_every_probe_is_answered_without_a_key(resources: dict[str, Any]) -> None:
    [container] = resources["Deployment"]["spec"]["template"]["spec"]["containers"]
    paths = {
        name: container[f"{name}Probe"]["httpGet"]["path"]
        for name in ("startup", "liveness", "readiness")
    }
    assert paths == {
        "startup": "/health/live",
        "liveness": "/health/live",
        "readiness": "/health/ready",
    }
