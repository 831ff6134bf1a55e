# SPDX-License-Identifier: MIT
"""What the pages show works: blocks compile, marked ones run, links lead somewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
from support.size import with_the_first_python
from werkzeug.test import Client

from frappe_enroll_alerts.signature import sign
from frappe_enroll_cli.main import cli


ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "examples").rglob("*.md")),
]
ADRS = sorted((ROOT / "docs" / "adr").glob("0*.md"))
#: A mark before a block, or none, and the block; "from FILE" marks lines of a file.
BLOCK = re.compile(r"(?ms)(?:<!-- ([^>\n]+) -->\n)?```python\n(.*?)^```$")
#: Blocks that are lines of a file: the file, and the lines.
EXCERPTS = [
    pytest.param(found[1].removeprefix("from "), found[2], id=f"{path.stem}-{number}")
    for path in PAGES
    for number, found in enumerate(BLOCK.finditer(path.read_text(encoding="utf-8")), 1)
    if (found[1] or "").startswith("from ")
]
#: What Stripe has to send; README and code agree on it.
EVENTS = {
    "checkout.session.completed",
    "checkout.session.expired",
    "checkout.session.async_payment_succeeded",
    "checkout.session.async_payment_failed",
    "charge.refunded",
    "refund.created",
    "refund.updated",
    "refund.failed",
    "charge.dispute.created",
    "charge.dispute.updated",
    "charge.dispute.closed",
    "radar.early_fraud_warning.created",
}


def blocks(mark=None):
    """Return the Python blocks (with this mark) as parameters named by their place."""
    return [
        pytest.param(found[2], id=f"{path.relative_to(ROOT)}-{number}")
        for path in PAGES
        for number, found in enumerate(
            BLOCK.finditer(path.read_text(encoding="utf-8")), 1
        )
        if (found[1] == mark if mark else not (found[1] or "").startswith("from "))
    ]


def id_of(path):
    """Return a page's name for a test's id."""
    return str(path.relative_to(ROOT))


@pytest.fixture
def made_up_settings(monkeypatch, tmp_path):
    """Settings of a host whose backends nobody will reach."""
    for name, value in {
        "DATABASE_URL": f"sqlite:///{tmp_path / 'enroll.sqlite3'}",
        "STRIPE_SECRET_KEY": "sk_test_made_up",
        "STRIPE_API_BASE": "http://127.0.0.1:9",
        "FRAPPE_LMS_URL": "http://127.0.0.1:9",
        "FRAPPE_LMS_API_KEY": "made-up",
        "FRAPPE_LMS_API_SECRET": "made-up",
        "FRAPPE_ENROLL_PUBLIC_URL": "http://127.0.0.1:5000/enroll",
    }.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("block", blocks())
def test_python_block_compiles(block):
    """Every Python block of the docs is Python."""
    compile(block, "<docs>", "exec")


@pytest.mark.parametrize("block", blocks("runnable"))
def test_runnable_block_runs(block, made_up_settings):
    """A block that is marked runnable runs as it stands, and does what is said."""
    if "flask" in block:
        pytest.importorskip("flask", reason="Flask is no dependency of ours")
    names = {"__name__": "docs_block"}
    exec(compile(block, "<docs>", "exec"), names)  # noqa: S102  our own docs
    if "checkout" in names:
        assert names["checkout"].status == "enrolled"
    for name, path in (("application", "/healthz"), ("app", "/enroll/healthz")):
        if name in names:
            assert Client(names[name]).get(path).json == {"status": "ok"}


def test_marked_blocks_are_found():
    """The marks are read: the README's quickstart, its two mounts, and the suites."""
    ids = [p.id for p in blocks("runnable")]
    assert [i for i in ids if i.startswith("README")] == ids
    assert len(ids) == 3
    assert len(blocks("pytest")) == 3
    assert len(blocks("receiver")) == 1
    assert len(EXCERPTS) > 5


@with_the_first_python
@pytest.mark.timeout(400)
@pytest.mark.parametrize("block", blocks("pytest"))
def test_pytest_block_passes(block, db_folder):
    """A block that is marked pytest is a test file that passes."""
    file = db_folder / "test_block.py"
    file.write_text(block, encoding="utf-8")
    # Races take long, and the suites' own runs have them.
    chosen = ["-k", "not race and not processes"]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *chosen]
    done = subprocess.run(
        [*command, f"--basetemp={db_folder / 'temp'}", str(file)],
        cwd=db_folder,
        capture_output=True,
        text=True,
        timeout=360,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("file", "text"), EXCERPTS)
def test_excerpt_is_what_the_file_says(file, text):
    """A block that is marked as a file's stands there, word by word."""
    assert text in (ROOT / file).read_text(encoding="utf-8")


@pytest.mark.parametrize("block", blocks("receiver"))
def test_receiver_block_takes_what_we_sign(block):
    """The page's check of a signature takes ours, and nobody else's."""
    names = {}
    exec(compile(block, "<docs>", "exec"), names)  # noqa: S102  our own docs
    is_ours, now_s = names["is_ours"], int(names["time"].time())
    old, new = "an-old-secret-of-ours", "the-next-secret-of-ours"
    header = sign(b"{}", [new, old], now_s)
    assert is_ours(b"{}", header, old)
    assert is_ours(b"{}", header, new)
    assert not is_ours(b"{ }", header, new)
    assert not is_ours(b"{}", header, "another")
    assert not is_ours(b"{}", sign(b"{}", [new], now_s - 400), new)


def anchors(path):
    """Return the anchors of a page's headings, as forges make them."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


@pytest.mark.parametrize("path", PAGES, ids=id_of)
def test_links_resolve(path):
    """A relative link leads to a file of the project, and to a heading in it."""
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    for link in re.findall(r"\]\(([^)]+)\)", text):
        if "://" in link:
            continue
        target, _, anchor = link.partition("#")
        file = (path.parent / target).resolve() if target else path
        assert file.is_file(), link
        assert file.is_relative_to(ROOT), link
        assert not anchor or anchor in anchors(file), link


def test_every_page_is_reached_from_the_readme():
    """A reader who follows links from the README finds every page of docs/."""
    seen, queue = set(), [README]
    while queue:
        path = queue.pop()
        if path in seen or path.suffix != ".md":
            continue
        seen.add(path)
        links = re.findall(r"\]\(([^):#]+)[^)]*\)", path.read_text(encoding="utf-8"))
        found = [(path.parent / link).resolve() for link in links]
        queue += [file for file in found if file.is_file()]
    assert {p.resolve() for p in (ROOT / "docs").rglob("*.md")} <= seen


def first_screen():
    """Return what a stranger sees of the README without scrolling."""
    return "\n".join(README.read_text(encoding="utf-8").splitlines()[:40])


def test_readme_begins_with_both_commands():
    """A stranger sees at once how to try it and how to test it."""
    text = first_screen()
    assert "pip install '.[all]' && frappe-enroll demo --once\n" in text
    assert "pip install nox && nox\n" in text


def test_ci_runs_the_command_of_the_readme():
    """What the README tells a stranger to run is what is run on each change."""
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert re.search(r"pip install .*nox$", script, re.MULTILINE)
    assert re.search(r"^ *nox\b", script, re.MULTILINE)


def go_live():
    """Return the README's part on going live."""
    text = README.read_text(encoding="utf-8")
    return re.search(r"^## Go live\n(.*?)^## ", text, re.DOTALL | re.MULTILINE)[1]


def test_readme_goes_live_in_six_steps():
    """There are six steps, and the event list is the exact one."""
    steps = re.findall(r"^(\d)\. ", go_live(), re.MULTILINE)
    assert "".join(steps) == "123456"
    named = re.findall(r"`((?:checkout|charge|refund|radar)\.[a-z_.]+)`", go_live())
    assert sorted(EVENTS) == sorted(named)


def test_events_of_the_readme_are_read():
    """Each event that Stripe is told to send means something to the plugin."""
    from frappe_enroll_stripe import records  # noqa: PLC0415  the driver's extra

    assert records.NEEDED_EVENTS == EVENTS


@pytest.mark.parametrize("path", PAGES, ids=id_of)
def test_commands_that_are_told_exist(path):
    """A command in the prose is one that the command line has."""
    text = path.read_text(encoding="utf-8")
    for told in re.findall(r"frappe-enroll ((?:[a-z][a-z-]* ?)+)", text):
        group, words = cli, told.split()
        while isinstance(group, click.Group) and words:
            command = group.get_command(click.Context(group), words.pop(0))
            assert command is not None, told
            group = command


@pytest.mark.parametrize("path", ADRS, ids=id_of)
def test_decision_has_its_parts(path):
    """A decision says its context, itself and its consequences, and is listed."""
    text = path.read_text(encoding="utf-8")
    number = path.name[:4]
    title = text.partition("\n")[0].removeprefix("# ")
    assert title.startswith(f"{number} ")
    parts = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert " ".join(parts) == "Context Decision Consequences"
    index = (path.parent / "README.md").read_text(encoding="utf-8")
    assert f"* [{title}]({path.name})" in index
