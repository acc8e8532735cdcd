"""Tests as FastAPI's documentation has them, and tests that go with what they test."""

from support.edits.project import APP, Project, edit


@edit()
def tutorial_test(project: Project) -> None:
    """FastAPI's tutorial: a test client of the application that `main.py` makes."""
    project.write(
        "tests/test_owner_tutorial_test.py",
        '''
        """A test of the owner."""

        from fastapi.testclient import TestClient

        from my_service.main import app

        client = TestClient(app)


        def test_read_main() -> None:
            response = client.get("/health/live")
            assert response.status_code == 200
            assert response.json() == {"status": "ok"}


        def test_a_key_is_needed() -> None:
            assert client.get("/users/me").status_code == 401


        def test_with_lifespan() -> None:
            with TestClient(app) as running:
                assert running.get("/health/ready").status_code == 200
        ''',
    )


@edit()
def dependency_overrides(project: Project) -> None:
    """FastAPI's "Testing Dependencies with Overrides", in both protections."""
    project.add_test(
        "dependency_overrides",
        """
        async def override_key() -> Consumer:
            return Consumer("tester", frozenset({"admin"}), "0" * 16, "test")


        def test_an_override_replaces_the_key(app: FastAPI) -> None:
            client = TestClient(app, base_url=base_url(app))
            app.dependency_overrides[get_api_key] = override_key
            assert client.get("/_tests/whoami").json()["consumer"] == "tester"
            assert client.post("/_tests/notes", json={}).status_code == 204
            app.dependency_overrides = {}
            assert client.get("/_tests/whoami").status_code == 401
            assert client.get("/_tests/whoami", **KEY).json()["consumer"] == "web"


        def test_an_optional_key_can_be_overridden(app: FastAPI) -> None:
            client = TestClient(app, base_url=base_url(app))
            app.dependency_overrides[get_optional_api_key] = override_key
            response = client.get("/_tests/greeting", **KEY)
            assert response.json() == "tester"
        """,
    )


@edit()
def deleted_examples(project: Project) -> None:
    """The examples go with their test, as the README says."""
    for name in ("about", "admin", "users"):
        (project.folder / f"src/my_service/routes/{name}.py").unlink()
        project.replace(APP, f"    app.include_router({name}.router)\n", "")
    (project.folder / "tests/test_examples.py").unlink(missing_ok=True)
