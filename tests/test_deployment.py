"""Files that ship a service are valid, safe by default, and there only when they were chosen."""

import re
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


@pytest.fixture(scope="module", params=CHOICES["key_store"])
def store(request: pytest.FixtureRequest) -> str:
    """Return each place for keys in turn."""
    chosen: str = request.param
    return chosen


@pytest.fixture(scope="module", params=["no", "yes"], ids=["unlimited", "limited"])
def shipped_project(request: pytest.FixtureRequest, bake: Bake, store: str) -> Path:
    """Return a project with all there is to ship it, without limits and with them."""
    return bake(deployment="kubernetes", key_store=store, rate_limit=request.param)


def manifest(project: Path) -> dict[str, Any]:
    """Return the resources of a manifest by their kind."""
    documents = yaml.safe_load_all((project / "kubernetes.yaml").read_text(encoding="utf-8"))
    return {document["kind"]: document for document in documents}


def pod_of(project: Path) -> dict[str, Any]:
    """Return the description of the pods in a manifest."""
    pod: dict[str, Any] = manifest(project)["Deployment"]["spec"]["template"]["spec"]
    return pod


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


@pytest.mark.parametrize(
    ("deployment", "unsaid"),
    [
        ("none", "docker|compose|container|kube|image(?!/)|pod|secrets/"),
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
    built = [process for process in ours.values() if "build" in process]
    assert len(built) == (2 if store == "database" else 1)
    secret = "database_url" if store == "database" else "api_keys"
    assert all(process["secrets"] == [secret] for process in built)
    for name, origin in compose["secrets"].items():
        assert origin == {"file": f"secrets/{name}"}
        assert re.search(rf"> secrets/{name}( |$)", readme, re.MULTILINE), name


def test_processes_that_limit_count_in_one_place(bake: Bake, store: str) -> None:
    project = bake(deployment="kubernetes", key_store=store, rate_limit="yes")
    services = compose_services(project)
    ours = services["my-service"]
    assert "valkey" in ours["depends_on"]
    assert ours["environment"] == {"RATE_LIMIT_STORAGE_URL": "redis://valkey:6379"}
    assert "ports" not in services["valkey"]
    [container] = pod_of(project)["containers"]
    assert [variable["name"] for variable in container["env"]] == ["RATE_LIMIT_STORAGE_URL"]


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
    assert finished.stdout.count(" passed for resource ") == 4


def test_a_pod_may_do_no_more_than_it_must(resources: dict[str, Any]) -> None:
    pod = resources["Deployment"]["spec"]["template"]["spec"]
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
