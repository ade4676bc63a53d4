"""deploy/: the manifest, the scripts and the image's parts, as far as no cluster is needed."""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest
import yaml

from keras_albert import cli
from keras_albert.distribute import strategies, workers
from tests.paths import ROOT

DEPLOY = ROOT / "deploy"
SBATCH = DEPLOY / "slurm" / "fit.sbatch"
PAGE = (ROOT / "docs" / "clusters.md").read_text(encoding="utf-8")
SERVICE, JOB, CLAIM = yaml.safe_load_all(
    (DEPLOY / "kubernetes" / "fit.yaml").read_text(encoding="utf-8")
)
POD = JOB["spec"]["template"]["spec"]
(CONTAINER,) = POD["containers"]
SLURM = {"SLURM_JOB_ID": "120345", "SLURM_JOB_NODELIST": "node[1,7,9]"}


@pytest.fixture
def run(tmp_path):
    """Runs words where `keras-albert` and the scheduler's commands are stand-ins."""
    stand_ins = {
        "keras-albert": 'echo "$TF_CONFIG"; for word in "$@"; do echo "$word"; done; exit $STATUS',
        "scontrol": 'test "$1" = show && printf "node1\\nnode7\\nnode9\\n" || echo "scontrol $*"',
        # The second of the tasks.
        "srun": 'while [[ $1 == --* ]]; do shift; done; SLURM_PROCID=1 exec "$@"',
    }
    for name, body in stand_ins.items():
        path = tmp_path / name
        path.write_text(f"#!/bin/bash\n{body}\n")
        path.chmod(0o755)

    def run(words, **environment):
        path = f"{tmp_path}:{os.environ['PATH']}"
        values = {"PATH": path, "STATUS": "0"} | environment
        return subprocess.run(words, env=values, capture_output=True, text=True)

    return run


def test_a_pod_is_the_worker_of_its_index(run):
    words = [*CONTAINER["command"], *CONTAINER["args"]]
    ran = run(words, WORKERS="3", JOB_COMPLETION_INDEX="1")
    config, *arguments = ran.stdout.splitlines()
    assert json.loads(config) == {
        "cluster": {"worker": [f"albert-fit-{index}.albert-fit:2222" for index in range(3)]},
        "task": {"type": "worker", "index": 1},
    }
    assert arguments == ["fit", "--strategy", "multi_worker", "--resume", *CONTAINER["args"]]


def test_a_workers_place_is_one_that_fit_takes(run, monkeypatch):
    pod = run([*CONTAINER["command"], *CONTAINER["args"]], WORKERS="3", JOB_COMPLETION_INDEX="1")
    for ran in (pod, run([SBATCH], **SLURM)):
        monkeypatch.setenv(workers.VARIABLE, ran.stdout.splitlines()[0])
        found = workers.cluster()
        assert (found.index, len(found.addresses)) == (1, 3)


def test_the_commands_are_ones_that_fit_takes(run):
    pod = run([*CONTAINER["command"], *CONTAINER["args"]], WORKERS="3", JOB_COMPLETION_INDEX="1")
    usage = re.search(r"^#   sbatch \S+ (.*)$", SBATCH.read_text(), re.MULTILINE)[1]
    for ran in (pod, run([SBATCH, *usage.split()], **SLURM)):
        found = cli.build_parser().parse_args(ran.stdout.splitlines()[1:])
        assert (found.command, found.strategy, found.resume) == ("fit", "multi_worker", True)
        assert found.save_every == 200


def test_a_pod_waits_longer_than_kubernetes_does_before_it_starts_one_again():
    words = ["fit", *CONTAINER["args"]]
    assert cli.build_parser().parse_args(words).wait > 360  # the longest back-off of a Job


def test_the_page_says_how_long_workers_are_waited_for():
    assert f"`--wait` seconds, {strategies.START_SECONDS} unless given" in section("Time")


def test_a_pods_status_is_that_of_fit(run):
    words = [*CONTAINER["command"], *CONTAINER["args"]]
    for status in (0, 1, 2):
        ran = run(words, WORKERS="3", JOB_COMPLETION_INDEX="1", STATUS=str(status))
        assert ran.returncode == status


def test_the_manifests_parts_fit_together():
    job = JOB["spec"]
    (workers,) = [variable for variable in CONTAINER["env"] if variable["name"] == "WORKERS"]
    assert job["completions"] == job["parallelism"] == int(workers["value"])
    assert job["completionMode"] == "Indexed"
    # The names that the addresses are made of: pod's, then the headless service's.
    assert POD["subdomain"] == SERVICE["metadata"]["name"]
    assert SERVICE["spec"]["clusterIP"] == "None"
    assert SERVICE["spec"]["publishNotReadyAddresses"] is True
    assert SERVICE["spec"]["selector"] == {"job-name": JOB["metadata"]["name"]}
    assert f"{JOB['metadata']['name']}-%.0f.{POD['subdomain']}:2222" in CONTAINER["command"][2]
    (port,) = CONTAINER["ports"]
    assert (port["containerPort"], SERVICE["spec"]["ports"][0]["port"]) == (2222, 2222)
    (volume,), (mount,) = POD["volumes"], CONTAINER["volumeMounts"]
    assert volume["name"] == mount["name"]
    assert volume["persistentVolumeClaim"]["claimName"] == CLAIM["metadata"]["name"]
    assert CLAIM["spec"]["accessModes"] == ["ReadWriteMany"]
    output = re.search(r"--output=(\S+)", " ".join(CONTAINER["args"]))[1]
    assert output.startswith(mount["mountPath"] + "/")


def test_the_job_gives_up_on_bad_input_and_lets_a_worker_save():
    assert POD["restartPolicy"] == "Never"  # without it there is no podFailurePolicy
    assert POD["terminationGracePeriodSeconds"] >= 60
    rule, _ = JOB["spec"]["podFailurePolicy"]["rules"]
    assert rule["action"] == "FailJob"
    assert rule["onExitCodes"]["values"] == [2]
    assert rule["onExitCodes"]["containerName"] == CONTAINER["name"]


def keys(value):
    """Every key of a manifest."""
    if isinstance(value, dict):
        return set(value) | {key for part in value.values() for key in keys(part)}
    return {key for part in value for key in keys(part)} if isinstance(value, list) else set()


def section(title):
    return re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)[1]


def test_the_page_names_fields_that_the_manifest_has():
    named = set(re.findall(r"`([a-z]+(?:[A-Z][a-z]+)+)`", section("Kubernetes")))
    assert named >= {"podFailurePolicy", "terminationGracePeriodSeconds", "backoffLimit"}
    assert named <= keys([SERVICE, JOB, CLAIM])


def test_the_page_names_options_that_the_slurm_script_has():
    named = set(re.findall(r"`(--[a-z-]+(?:=[\w@]+)?)`", section("Slurm")))
    assert named >= {"--requeue", "--wait=120", "--signal=TERM@120"}
    text = SBATCH.read_text()
    assert all(option in text for option in named)


def test_the_shell_takes_the_slurm_script():
    assert SBATCH.stat().st_mode & 0o111
    subprocess.run(["bash", "-n", SBATCH], check=True)


def test_a_slurm_task_is_the_worker_of_its_number(run):
    ran = run([SBATCH, "--train", "a b.tsv"], **SLURM)
    config, *arguments = ran.stdout.splitlines()
    assert json.loads(config) == {
        "cluster": {"worker": ["node1:20345", "node7:20345", "node9:20345"]},
        "task": {"type": "worker", "index": 1},
    }
    wanted = ["fit", "--strategy", "multi_worker", "--resume", "--train", "a b.tsv"]
    assert (ran.returncode, arguments) == (0, wanted)


@pytest.mark.parametrize(
    ("status", "count", "requeued"),
    [
        ("0", None, False),
        ("1", None, True),
        ("137", "9", True),
        ("1", "10", False),
        ("2", None, False),
    ],
)
def test_a_slurm_job_goes_back_to_the_queue_unless_that_is_in_vain(run, status, count, requeued):
    counted = {} if count is None else {"SLURM_RESTART_COUNT": count}
    ran = run([SBATCH], STATUS=status, **SLURM, **counted)
    assert ("scontrol requeue 120345" in ran.stdout) is requeued
    assert ran.returncode == (0 if requeued else int(status))


def copied():
    """(sources, target) of every COPY of the Dockerfile."""
    lines = re.findall(r"^COPY (.*)$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)
    return [(words[:-1], words[-1]) for words in map(str.split, lines)]


def test_the_image_gets_what_is_there_and_runs_as_nobody_special():
    sources = [source for names, _ in copied() for source in names]
    assert all((ROOT / source).exists() for source in sources)
    passed = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    assert {f"!{source}" for source in sources} == {line for line in passed if line[0] == "!"}
    users = re.findall(r"^USER (.*)$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)
    security = POD["securityContext"]
    assert users == [f"{security['runAsUser']}:{security['runAsGroup']}"]
    assert security["runAsNonRoot"] is True


@pytest.mark.slow
def test_what_the_image_copies_is_enough_to_build_the_package(tmp_path):
    for sources, target in copied():
        for source in sources:
            path = tmp_path / target.lstrip("/")
            if (ROOT / source).is_dir():
                ignored = shutil.ignore_patterns("__pycache__")
                shutil.copytree(ROOT / source, path, ignore=ignored)
            else:
                path.mkdir(exist_ok=True)
                shutil.copy(ROOT / source, path)
    words = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", tmp_path]
    subprocess.run([*words, tmp_path / "src"], check=True)
    assert list(tmp_path.glob("keras_albert-*.whl"))
