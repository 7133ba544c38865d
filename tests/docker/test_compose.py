"""The compose files hold together: with .env.example, with the settings, with the image, with themselves."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.caddy import CADDY
from worker.settings import PREFIX, Settings

BESIDE_PYTHON = Path(sys.executable).parent
SECRETS = {"REDIS_PASSWORD": "queuesecret", "ORTHANC_PASSWORD": "pacssecret"}


def test_the_files_are_valid_compose_files(both):
    """By the schema of the Compose Specification, which check-jsonschema brings with it."""
    checker = shutil.which("check-jsonschema", path=BESIDE_PYTHON)
    if checker is None:
        pytest.skip("needs check-jsonschema (pip install -e .[dev])")
    command = [checker, "--builtin-schema", "vendor.compose-spec", *(str(file.path) for file in both)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


def test_docker_compose_takes_them(both, tmp_path):
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "compose", "version"], capture_output=True).returncode != 0:
        pytest.skip("needs docker with its compose plugin")
    environment = tmp_path / "env"
    values = {**SECRETS, "FILMS_DIR": str(tmp_path), "RESULTS_DIR": str(tmp_path)}
    environment.write_text("".join(f"{name}={value}\n" for name, value in values.items()))
    command = [docker, "compose", "--env-file", str(environment)]
    command += [part for file in both for part in ("--file", str(file.path))]
    run = subprocess.run([*command, "config", "--quiet"], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


def test_every_variable_is_explained_and_every_explained_one_is_used(both, example):
    used = {variable.name for file in both for variable in file.variables}
    assert used == set(example)


def test_what_must_be_set_is_empty_in_the_example_and_says_what_is_missing(both, example):
    required = {variable.name for file in both for variable in file.variables if variable.operator == ":?"}
    assert required == {name for name, (_, commented) in example.items() if not commented}
    assert all(example[name][0] == "" for name in required)
    messages = [variable.rest for file in both for variable in file.variables if variable.operator == ":?"]
    assert all("set it in .env" in message for message in messages)


def test_the_example_shows_the_defaults(both, example):
    settings = {name: Settings.model_fields[field] for name, field, _ in Settings.variables()}
    for file in both:
        for variable in file.variables:
            if variable.operator == ":?":
                continue
            assert variable.operator == ":-"
            shown = example[variable.name][0]
            if variable.rest:
                assert shown == variable.rest, variable.name
            elif settings[variable.name].default is None:
                assert shown == "", variable.name
            else:
                assert shown == str(settings[variable.name].default), variable.name


def test_every_setting_that_is_passed_on_is_one(both, example):
    known = {name for name, _, _ in Settings.variables()}
    passed = {name for file in both for service in file.services.values() for name in environment(service)}
    assert {name for name in passed | set(example) if name.startswith(PREFIX)} <= known


def test_the_settings_that_are_given_can_be_used(compose, monkeypatch):
    from worker.settings import load_settings
    from worker.unknown_settings import unknown_variables

    values = {**SECRETS, "FILMS_DIR": "/a", "RESULTS_DIR": "/b"}
    for service in ("worker", "gateway", "admin"):
        given = environment(compose.filled_in(**values)["services"][service])
        ours = {name: value for name, value in given.items() if name.startswith(PREFIX)}
        with monkeypatch.context() as patch:
            for name, _, _ in Settings.variables():
                patch.delenv(name, raising=False)
            for name, value in ours.items():
                patch.setenv(name, str(value))
            settings = load_settings()
        assert settings.broker_url == "redis://:queuesecret@redis:6379/0"
        assert settings.log_level == "INFO"
        assert not unknown_variables(ours)


def test_no_service_has_more_rights_than_it_needs(compose):
    for name, service in compose.services.items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["user"] not in ("", "root", "0", "0:0"), name
        assert not service.keys() & {"privileged", "cap_add", "network_mode", "pid", "devices"}, name
        # Orthanc's own start script writes below /usr and /etc
        assert service.get("read_only", False) is (name != "orthanc")


def test_every_service_is_limited_and_its_log_is_rotated(compose):
    for name, service in compose.services.items():
        assert {"cpus", "mem_limit", "pids_limit"} <= service.keys(), name
        assert {"max-size", "max-file"} <= service["logging"]["options"].keys(), name
        assert service["restart"] == ("no" if name == "admin" else "unless-stopped")


def test_every_reference_leads_somewhere(both):
    compose, _ = both
    networks, volumes = compose.content["networks"], compose.content["volumes"]
    for file in both:
        assert file.services.keys() <= compose.services.keys()
        assert file.content.get("networks", {}).keys() <= networks.keys()
    for service in compose.services.values():
        assert set(service["networks"]) <= networks.keys()
        for volume in service["volumes"]:
            source, *_ = volume.split(":") if isinstance(volume, str) else [""]
            if source.startswith("./"):
                assert (compose.path.parent / source).is_file()
            elif source:
                assert source in volumes
        for needed, how in service.get("depends_on", {}).items():
            assert how == {"condition": "service_healthy"}
            assert compose.services[needed]["healthcheck"]["test"]
    used = {
        str(volume).split(":")[0] for service in compose.services.values() for volume in service["volumes"]
    }
    assert volumes.keys() <= used


def test_the_image_is_built_from_a_dockerfile_that_is_there_with_its_arguments(compose, stages):
    build = compose.services["worker"]["build"]
    context = (compose.path.parent / build["context"]).resolve()
    assert (context / "pyproject.toml").is_file()
    assert (context / build["dockerfile"]).is_file()
    known = {argument.split("=")[0] for stage in stages for argument in stage.all("ARG")}
    assert build["args"].keys() <= known


def test_the_command_line_sees_what_the_worker_sees(compose):
    worker, admin = compose.services["worker"], compose.services["admin"]
    for part in ("image", "user", "volumes", "networks", "tmpfs", "read_only"):
        assert worker[part] == admin[part]
    shared = environment(worker).items() & environment(admin).items()
    assert {"BCD_BROKER_URL", "BCD_INPUT_ROOTS", "BCD_OUTPUT_ROOTS", "BCD_RESULTS_DIR", "TZ"} <= dict(
        shared
    ).keys()
    assert admin["profiles"]  # started by hand alone


def test_films_cannot_be_written_and_results_can_and_nothing_else(compose):
    worker = compose.services["worker"]
    by_target = {volume["target"]: volume for volume in worker["volumes"]}
    settings = environment(worker)
    films, uploads = settings["BCD_INPUT_ROOTS"].split(":")
    assert by_target.keys() == {films, settings["BCD_OUTPUT_ROOTS"]}
    assert uploads == f"{settings['BCD_GATEWAY_DIR']}/uploads"
    assert by_target[films]["read_only"] is True
    assert "read_only" not in by_target[settings["BCD_RESULTS_DIR"]]
    # a share that is not mounted must not become an empty folder of the host
    assert all(volume["bind"] == {"create_host_path": False} for volume in by_target.values())
    assert [mount.split(":")[0] for mount in worker["tmpfs"]] == ["/tmp"]


def test_the_gateway_shares_with_the_workers_what_it_must_and_no_more(compose):
    worker, gateway = compose.services["worker"], compose.services["gateway"]
    (mounted,) = gateway["volumes"]
    assert mounted in worker["volumes"]
    assert "read_only" not in mounted
    assert (gateway["image"], gateway["user"]) == (worker["image"], worker["user"])
    folders = {environment(service)["BCD_GATEWAY_DIR"] for service in (worker, gateway)}
    folders.add(environment(compose.services["admin"])["BCD_GATEWAY_DIR"])  # where tokens are made
    (folder,) = folders
    assert folder.startswith(f"{mounted['target']}/")


def test_the_gateway_is_started_by_name(compose):
    assert compose.services["gateway"]["profiles"] == compose.services["caddy"]["profiles"] == ["gateway"]


def test_the_port_of_the_gateway_is_the_one_behind_the_front_door_and_asked_for_its_health(
    compose, command_line
):
    services = compose.filled_in(**SECRETS)["services"]
    gateway, caddy = services["gateway"], services["caddy"]
    assert "ports" not in gateway
    assert set(gateway["networks"]) & set(caddy["networks"]) == {"gateway"}
    assert compose.content["networks"]["gateway"]["internal"] is True
    caddyfile = (compose.path.parent / "Caddyfile").read_text()
    assert f"reverse_proxy gateway:{environment(gateway)['BCD_GATEWAY_PORT']} {{" in caddyfile
    assert f":{caddy['ports'][0].rpartition(':')[2]} {{" in caddyfile
    assert environment(caddy).keys() == set(re.findall(r"\{\$(\w+):", caddyfile))
    assert environment(gateway)["BCD_GATEWAY_PORT"] == str(Settings.model_fields["gateway_port"].default)
    kind, program, *health = gateway["healthcheck"]["test"]
    assert (kind, program) == ("CMD", "bcd-admin")
    command_line(health)
    command_line(gateway["command"])


def test_workers_can_be_scaled(compose):
    worker = compose.services["worker"]
    assert not worker.keys() & {"container_name", "ports", "hostname", "deploy"}


def test_the_worker_has_time_to_finish_a_study(compose):
    grace = compose.services["worker"]["stop_grace_period"]
    assert grace.endswith("m")
    assert int(grace[:-1]) >= 5
    assert compose.services["worker"]["init"] is True  # process 1 ignores SIGTERM until it handles it


def test_the_threads_that_are_started_fit_the_cores_that_are_given(example):
    given = {name: int(example[name][0]) for name in example if name.startswith(("BCD_WORKER", "BCD_TORCH"))}
    assert given["BCD_WORKER_PROCESSES"] * given["BCD_TORCH_THREADS"] <= float(example["WORKER_CPUS"][0])
    gigabytes = int(example["WORKER_MEMORY_LIMIT"][0].removesuffix("g"))
    assert gigabytes >= 1.5 * given["BCD_WORKER_PROCESSES"]


def test_the_front_door_waits_longer_than_an_upload_may_take_and_shorter_on_idle_ones(compose):
    caddyfile = (compose.path.parent / "Caddyfile").read_text()
    minutes = dict(re.findall(r"(read_body|write) (\d+)m", caddyfile))
    assert int(minutes["write"]) * 60 >= int(minutes["read_body"]) * 60
    assert int(minutes["read_body"]) * 60 > Settings.model_fields["gateway_upload_seconds"].default
    (keepalive,) = re.findall(r"keepalive (\d+)s", caddyfile)
    assert int(keepalive) < Settings.model_fields["gateway_idle_seconds"].default


@pytest.mark.debian
@pytest.mark.skipif(CADDY is None, reason="needs Debian's caddy")
def test_caddy_takes_its_file(compose):
    command = [CADDY, "validate", "--adapter", "caddyfile", "--config", compose.path.parent / "Caddyfile"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


def test_only_orthanc_and_the_front_door_of_the_gateway_are_published_and_only_on_this_host(both):
    compose, hosts = (file.filled_in(**SECRETS)["services"] for file in both)
    ports = {name: service["ports"] for name, service in compose.items() if "ports" in service}
    assert ports == {
        "orthanc": ["127.0.0.1:8042:8042", "127.0.0.1:4242:4242"],
        "caddy": ["127.0.0.1:8970:8443"],
    }
    assert hosts["redis"]["ports"] == ["127.0.0.1:6379:6379"]


def test_films_and_queue_have_no_way_out(compose):
    assert compose.content["networks"]["queue"]["internal"] is True
    for name in ("redis", "worker", "admin"):
        assert compose.services[name]["networks"] == ["queue"]


def test_the_metrics_are_served_inside_only(compose):
    worker = compose.services["worker"]
    assert worker["expose"] == [environment(worker)["BCD_METRICS_PORT"]]


def test_passwords_are_in_the_environment_alone(compose):
    """A command line, a health check's too, can be read by every user of the host."""
    for name, service in compose.filled_in(**SECRETS)["services"].items():
        rest = {part: value for part, value in service.items() if part != "environment"}
        assert not any(secret in str(rest) for secret in SECRETS.values()), name


def environment(service: dict) -> dict:
    return service.get("environment", {})
