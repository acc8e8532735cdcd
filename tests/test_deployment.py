"""What ships a service is valid, safe by itself, and there only when it was asked for."""

import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import CHOICES, Bake, run, run_python, tree

DOCKER = {"Dockerfile", ".dockerignore", "compose.yaml"}
KUBERNETES = {"kubernetes.yaml"}
TOOLS = Path(sys.executable).parent


@pytest.fixture(scope="module", params=CHOICES["key_store"])
def store(request: pytest.FixtureRequest) -> str:
    """Return each place for keys in turn."""
    chosen: str = request.param
    return chosen


@pytest.fixture(scope="module", params=["no", "yes"], ids=["unlimited", "limited"])
def service(request: pytest.FixtureRequest, bake: Bake, store: str) -> Path:
    """Return a project with all there is to ship it, without limits and with them."""
    return bake(deployment="kubernetes", key_store=store, rate_limit=request.param)


@pytest.fixture(scope="module")
def resources(service: Path) -> dict[str, Any]:
    """Return the resources of the manifest by their kind."""
    documents = yaml.safe_load_all((service / "deploy/kubernetes.yaml").read_text(encoding="utf-8"))
    return {document["kind"]: document for document in documents}


@pytest.mark.parametrize(
    ("deployment", "expected"),
    [("none", set()), ("docker", DOCKER), ("kubernetes", DOCKER | KUBERNETES)],
)
def test_only_the_files_of_a_choice_are_there(
    bake: Bake, deployment: str, expected: set[str]
) -> None:
    names = {path.name for path in tree(bake(deployment=deployment))}
    assert names & (DOCKER | KUBERNETES) == expected


@pytest.mark.parametrize(
    ("deployment", "unsaid"),
    [
        ("none", "docker|compose|container|kube|image|pod|cluster|secrets/"),
        ("docker", "kube|pod|cluster|registry"),
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
def test_hadolint_has_nothing_to_say(service: Path) -> None:
    finished = run(TOOLS / "hadolint", "Dockerfile", cwd=service)
    assert (finished.returncode, finished.stdout) == (0, "")


def test_the_compose_file_is_valid_and_takes_privileges_away(service: Path, store: str) -> None:
    command = ["-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    finished = run_python(*command, "compose.yaml", cwd=service)
    assert finished.returncode == 0, finished.stdout
    readme = (service / "README.md").read_text(encoding="utf-8")
    compose = yaml.safe_load((service / "compose.yaml").read_text(encoding="utf-8"))
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
    compose = yaml.safe_load((project / "compose.yaml").read_text(encoding="utf-8"))
    service = compose["services"]["my-service"]
    assert "valkey" in service["depends_on"]
    assert service["environment"] == {"RATE_LIMIT_STORAGE_URL": "redis://valkey:6379"}
    assert "ports" not in compose["services"]["valkey"]
    manifest = (project / "deploy/kubernetes.yaml").read_text(encoding="utf-8")
    [container] = next(yaml.safe_load_all(manifest))["spec"]["template"]["spec"]["containers"]
    assert [variable["name"] for variable in container["env"]] == ["RATE_LIMIT_STORAGE_URL"]


def test_tables_are_made_before_the_service_serves(bake: Bake) -> None:
    service = bake(deployment="kubernetes", key_store="database")
    compose = yaml.safe_load((service / "compose.yaml").read_text(encoding="utf-8"))["services"]
    migrate = ["python", "-m", "my_service.keys", "migrate"]
    assert compose["migrate"]["command"] == migrate
    waits = {name: process.get("depends_on", {}) for name, process in compose.items()}
    assert waits["my-service"] == {"migrate": {"condition": "service_completed_successfully"}}
    assert waits["migrate"] == {"postgres": {"condition": "service_healthy"}}
    documents = yaml.safe_load_all((service / "deploy/kubernetes.yaml").read_text(encoding="utf-8"))
    pod = next(documents)["spec"]["template"]["spec"]
    [first], [container] = pod["initContainers"], pod["containers"]
    assert first["command"] == migrate
    for same in ("image", "securityContext", "resources"):
        assert first[same] == container[same]


def test_a_pod_that_served_goes_on_without_its_database_for_the_grace(bake: Bake) -> None:
    service = bake(deployment="kubernetes", key_store="database")
    documents = yaml.safe_load_all((service / "deploy/kubernetes.yaml").read_text(encoding="utf-8"))
    [container] = next(documents)["spec"]["template"]["spec"]["containers"]
    probe = container["readinessProbe"]
    settings = (service / "src/my_service/settings.py").read_text(encoding="utf-8")
    [grace] = re.findall(r"key_grace_seconds: int = Field\(default=(\d+)", settings)
    assert probe["failureThreshold"] * probe["periodSeconds"] == int(grace)


def test_the_manifest_is_valid(service: Path) -> None:
    finished = run(TOOLS / "kubernetes-validate", "--strict", "deploy/kubernetes.yaml", cwd=service)
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


def test_the_files_agree_with_each_other(service: Path, resources: dict[str, Any]) -> None:
    dockerfile = (service / "Dockerfile").read_text(encoding="utf-8")
    pod = resources["Deployment"]["spec"]["template"]["spec"]
    [container] = pod["containers"]
    user, group = (pod["securityContext"][name] for name in ("runAsUser", "runAsGroup"))
    assert f"USER {user}:{group}\n" in dockerfile
    assert f"EXPOSE {container['ports'][0]['containerPort']}\n" in dockerfile
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert mounts == {"secrets": "/run/secrets", "tmp": "/tmp"}  # noqa: S108
    [main] = service.glob("src/*/__main__.py")
    [patience] = re.findall(r"SHUTDOWN_SECONDS = (\d+)", main.read_text(encoding="utf-8"))
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
