# SPDX-License-Identifier: MIT
"""The reference pages say what the code says: nothing missing, nothing unknown."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

import attrs
import click
import pytest
from jinja2 import meta

from frappe_enroll_alerts.settings import AlertSettings
from frappe_enroll_cli.main import cli
from frappe_enroll_mail.settings import TEMPLATES, MailSettings
from frappe_enroll_mail.templates import PARTS, Templates
from frappe_enroll_sdk import errors, states
from frappe_enroll_sdk.hookspecs import OBSERVERS, HookSpecs
from frappe_enroll_sdk.metrics import MEASURES
from frappe_enroll_sdk.models import JobState, LMSStatus, Override, Status
from frappe_enroll_sdk.outcomes import Dead, Outcome
from frappe_enroll_sdk.plugins import ALLOWED_PARAMETERS
from frappe_enroll_sdk.policies import SettlePolicy, longest_s
from frappe_enroll_sdk.services.payments.apply import UNREADABLE
from frappe_enroll_sdk.services.settle.decide_slot import TAKEN
from frappe_enroll_sdk.services.settle.effects import ALERTS
from frappe_enroll_sdk.settings import Settings
from frappe_enroll_wsgi import ROUTES
from frappe_enroll_wsgi._internal.errors import UnsupportedError
from frappe_enroll_wsgi._internal.openapi import codes_of, status_of
from frappe_enroll_wsgi._internal.routing import Area


ROOT = Path(__file__).parents[2]
#: The routes of docs/http.md; the others stand in docs/admin.md.
HTTP_ROUTES = [r for r in ROUTES if r.area in {Area.LEARNER, Area.MACHINE}]
#: Variables that are read beside the settings: the TOML file's, the command line's.
OTHER_VARIABLES = {
    "FRAPPE_ENROLL_URL_PREFIX",  # a config key of the Flask extension
    "FRAPPE_ENROLL_CONFIG",
    "STRIPE_LOG",  # the library's own: the page says not to set it
    "LOG_FORMAT",
    "LOG_LEVEL",
    "WORKER_CONCURRENCY",
    "WORKER_METRICS_PORT",
    "WORKER_POLL",
    "WORKER_SHUTDOWN_TIMEOUT",
    "ENROLL_ACTOR",
}


#: The operators' verbs by what they say.
WORDS = {
    Override.REVOKED: "revoke",
    Override.REINSTATED: "reinstate",
    Override.ACCEPTED: "accept",
    Override.DISMISSED: "dismiss",
}


def page(name):
    """Return the text of a page."""
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def tables(text):
    """Return the tables of a text: lists of rows, each a tuple of cells."""
    found = []
    for block in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        rows = [tuple(c.strip() for c in r[1:-1].split("|")) for r in block.split("\n")]
        found.append([rows[0], *rows[2:-1]])
    return found


def table(text, first_cell):
    """Return the rows of the only table with this first cell in its head."""
    (rows,) = [t[1:] for t in tables(text) if t[0][0] == first_cell]
    return rows


def quoted(text):
    """Return the words between backticks."""
    return re.findall(r"`([^`]+)`", text)


def shown(default):
    """Return a default as an environment variable would give it."""
    if isinstance(default, bool):
        return str(int(default))
    if isinstance(default, tuple):
        return ",".join(shown(item) for item in default)
    return f"{default:g}" if isinstance(default, float) else str(default)


def setting_row(field):
    """Return the row that describes a setting."""
    variables = ", ".join(f"`{name}`" for name in field.metadata["env"])
    default = "secret"
    if not field.metadata["secret"]:
        default = f"`{shown(field.default)}`" if field.default not in ("", ()) else "–"
    return (variables, f"`{field.name}`", default, field.metadata["help"])


def settings_fields():
    """Return the fields of our settings, and of those of the plugins that ship."""
    return [
        field
        for cls in (Settings, MailSettings, AlertSettings)
        for field in attrs.fields(cls)
        if "env" in field.metadata
    ]


def test_settings_are_documented():
    """Each setting has a row with its variables, field, default and meaning."""
    wanted = {setting_row(field) for field in settings_fields()}
    found = [
        row
        for rows in tables(page("settings.md"))
        if rows[0][0] == "Variable"
        for row in rows[1:]
    ]
    assert wanted == set(found)
    assert len(found) == len(set(found))


def test_docs_name_only_variables_that_exist():
    """No page tells of a variable that nothing reads."""
    known = {n for f in settings_fields() for n in f.metadata["env"]} | OTHER_VARIABLES
    known |= {f"{field}_FILE" for field in known}
    # What ends with an underscore is a prefix.
    pattern = r"\b(?:FRAPPE|STRIPE|MONGODB|DATABASE|CRON|ENROLL)_[A-Z_]*[A-Z]\b"
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        named = set(re.findall(pattern, path.read_text(encoding="utf-8")))
        assert set() == named - known, path.name


def error_classes(base=errors.EnrollError):
    """Yield the SDK's classes of errors."""
    for cls in base.__subclasses__():
        if cls.__module__ == errors.__name__:
            yield cls
            yield from error_classes(cls)


def test_errors_are_documented():
    """Each class has a row with its base, code, status, retryability and message."""
    wanted = {
        (
            f"`{cls.__name__}`",
            f"`{cls.__bases__[0].__name__}`",
            f"`{cls.code}`",
            str(cls.http_status),
            "yes" if cls.retryable else "no",
            cls.public_message,
        )
        for cls in error_classes()
    }
    assert wanted == set(table(page("errors.md"), "Class"))


def calls():
    """Yield every call in the code that ships, without the sandbox and the suites."""
    for folder in ("frappe_enroll_sdk", "plugins", "contrib"):
        for path in (ROOT / folder).rglob("*.py"):
            if "testing" in path.parts or "frappe_enroll_sandbox" in path.parts:
                continue
            tree = ast.parse(path.read_text(encoding="utf-8"))
            yield from (n for n in ast.walk(tree) if isinstance(n, ast.Call))


def name_of(call):
    """Return the last name of what is called."""
    function = call.func
    return getattr(function, "attr", getattr(function, "id", ""))


def code_of(call):
    """Return the literal keyword argument `code` of a call, or None."""
    for keyword in call.keywords:
        if keyword.arg == "code" and isinstance(keyword.value, ast.Constant):
            return keyword.value.value
    return None


def test_codes_without_a_class_are_documented():
    """A code that is given to an error where it is raised has its row."""
    raised = {
        (f"`{code_of(call)}`", f"`{name_of(call)}`")
        for call in calls()
        if code_of(call) and hasattr(errors, name_of(call))
    }
    rows = [t[1:] for t in tables(page("errors.md")) if t[0][1] == "Class"]
    assert raised == {row[:2] for row in rows[0]}


def test_codes_of_tries_are_documented():
    """A code that only a job's errors show has its row."""
    written = {
        f"`{code_of(call)}`"
        for call in calls()
        if code_of(call)
        and (
            name_of(call) == "TryError"
            # A snooze without a cause leaves no error there.
            or (name_of(call) == "Verdict" and "SNOOZE" not in ast.unparse(call))
        )
    }
    # A handler's own code, and the one of a handler that gives none.
    dead = [
        call.args[1] for call in calls() if name_of(call) == "Dead" and call.args[1:]
    ]
    written |= {f"`{arg.value}`" for arg in dead if isinstance(arg, ast.Constant)}
    written.add(f"`{Dead('').code}`")
    (rows,) = [t[1:] for t in tables(page("errors.md")) if t[0] == ("`code`", "When")]
    assert written == {row[0] for row in rows if row[0].startswith("`")}


def alert_codes():
    """Return the literal codes of alerts."""
    for call in calls():
        literals = [a.value for a in call.args if isinstance(a, ast.Constant)]
        if name_of(call) in {"_alert", "_odd", "raise_alert"}:
            # An occasion may be empty.
            yield from [a for a in literals if a][:1]


def test_alerts_are_documented():
    """Each alert's code says what to do; held payments alert by their reason."""
    held = {"late_payment", "amount_mismatch", "currency_mismatch", "mode_mismatch"}
    held |= TAKEN | {UNREADABLE}
    rows = table(page("operations.md"), "Code")
    assert {*alert_codes(), *held, *ALERTS} == {
        c for row in rows for c in quoted(row[0])
    }


def test_statuses_are_documented():
    """Each status has a row with its groups and the transitions that it allows."""
    groups = {
        "entitled": states.ENTITLED,
        "unpaid": states.UNPAID,
        "exit": states.EXITS,
    }
    wanted = {
        (
            str(status),
            ", ".join(name for name, members in groups.items() if status in members)
            or "–",
            frozenset(str(after) for after in states.TRANSITIONS[status]),
        )
        for status in Status
    }
    found = {
        (quoted(status)[0], group, frozenset(quoted(after)))
        for status, _, group, after in next(
            rows[1:] for rows in tables(page("states.md")) if "Group" in rows[0]
        )
    }
    assert wanted == found


def test_stays_are_documented():
    """Each case has its longest time under the defaults, and its words."""
    chosen, policy = Settings(), SettlePolicy()
    wanted = set()
    for stay in states.STAYS:
        seconds = longest_s(stay, chosen, policy)
        by_itself = "–"
        if seconds is not None:
            by_itself = f"{seconds / 3600:g} h" if seconds >= 3600 else "2 min"
            assert seconds >= 3600 or seconds == 120
        words = frozenset(WORDS[word] for word in stay.words)
        wanted.add((str(stay.status), stay.case, by_itself, words))
    found = {
        (quoted(status)[0], case, by_itself, frozenset(quoted(words)))
        for status, case, by_itself, words in next(
            rows[1:]
            for rows in tables(page("states.md"))
            if rows[0] == ("Status", "Case", "By itself after", "Action that ends it")
        )
    }
    assert wanted == found


def test_lms_statuses_are_documented():
    """Each `lms_status` has a row."""
    rows = table(page("states.md"), "`lms_status`")
    assert {str(s) for s in LMSStatus} == {quoted(row[0])[0] for row in rows}


def test_job_states_are_documented():
    """Each state of a job has a row that says whether it is an end."""
    wanted = {(str(s), "yes" if s in states.FINISHED else "no") for s in JobState}
    rows = table(page("states.md"), "State")
    assert wanted == {(quoted(row[0])[0], row[1]) for row in rows}


def hooks():
    """Return each hook as it is written in the docs: name and arguments."""
    return {
        f"{name}({', '.join(list(inspect.signature(spec).parameters)[1:])})"
        for name, spec in vars(HookSpecs).items()
        if not name.startswith("_")
    }


def test_hooks_are_documented():
    """Each hook stands there with its arguments; no other does."""
    text = page("plugins.md")
    headed = re.findall(r"^### `([^`]+)`", text, re.MULTILINE)
    observed = [quoted(row[0])[0] for row in table(text, "Hook")]
    assert hooks() == {*headed, *observed}
    assert set(OBSERVERS) == {name.partition("(")[0] for name in observed}


def test_hooks_name_their_error_policy():
    """The section of each hook that is called says what its errors do."""
    sections = re.split(r"^### ", page("plugins.md"), flags=re.MULTILINE)[1:]
    for section in sections:
        uncalled = "calls it yet" in section or "not call it yet" in section
        assert uncalled or re.search(r"[Ee]rrors", section), section[:40]


def test_job_outcomes_are_documented():
    """Each answer of a job's handler has a row."""
    rows = table(page("plugins.md"), "Outcome")
    wanted = {cls.__name__ for cls in Outcome.__args__}
    assert wanted == {quoted(row[0])[0].partition("(")[0] for row in rows}


def test_session_parameters_are_documented():
    """The parameters that a plugin may set are those that the docs allow."""
    said = re.search(r"Allowed parameters:(.*?)\. ", page("plugins.md"), re.DOTALL)
    assert set(quoted(said[1])) == set(ALLOWED_PARAMETERS)


def test_routes_are_documented():
    """The list of routes equals the application's table; each has a section."""
    text = page("http.md")
    wanted = {(route.methods, route.path) for route in HTTP_ROUTES}
    rows = table(text, "Methods")
    assert wanted == {(tuple(quoted(row[0])), quoted(row[1])[0]) for row in rows}
    sections = re.findall(r"^## `([A-Z|]+) ([^`]+)`", text, re.MULTILINE)
    assert wanted == {(tuple(m.split("|")), path) for m, path in sections}


def test_admin_routes_are_documented():
    """Each stands in the table of the admin page, with who gets in."""
    wanted = {
        (quoted_methods, route.path, str(route.access))
        for route in ROUTES
        if route not in HTTP_ROUTES
        for quoted_methods in route.methods
    }
    rows = [
        row for t in tables(page("admin.md")) if t[0][0] == "Method" for row in t[1:]
    ]
    assert wanted == {(quoted(m)[0], quoted(p)[0], who) for m, p, who, _ in rows}


def sections_of_http():
    """Return the text of the section of each route, by its path and methods."""
    parts = re.split(r"^## `", page("http.md"), flags=re.MULTILINE)[1:]
    found = (re.match(r"([A-Z|]+) ([^`]+)`\n(.*)", p, re.DOTALL) for p in parts)
    return {(tuple(f[1].split("|")), f[2]): f[3] for f in found if f}


@pytest.mark.parametrize("route", HTTP_ROUTES, ids=lambda route: route.name)
def test_codes_of_routes_are_documented(route):
    """What a route may answer stands in its section, or at the top of the page."""
    text = page("http.md")
    general = text[: text.index("\n## `")]
    section = sections_of_http()[route.methods, route.path]
    for code in codes_of(route):
        assert f"`{code}`" in section + general, code
        assert str(status_of(code)) in section + general, code


def test_http_codes_exist():
    """The codes that the HTTP page names are ones that a route answers with."""
    known = {code for route in ROUTES for code in codes_of(route)}
    ours = {cls.code for cls in error_classes()} | {UnsupportedError.code}
    for rows in tables(page("http.md")):
        if rows[0][:2] == ("Status", "`code`"):
            for row in rows[1:]:
                assert set() == set(quoted(row[1])) - known - ours, row


def commands(group=cli, path=("frappe-enroll",)):
    """Yield (path, command) of every command."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        yield " ".join((*path, name)), command
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


def test_commands_are_documented():
    """Each command has a section; no other has."""
    headed = re.findall(r"^###? `([^`]+)`", page("cli.md"), re.MULTILINE)
    assert sorted(path for path, _ in commands()) == sorted(headed)


@pytest.mark.parametrize(("path", "command"), list(commands()), ids=str)
def test_options_are_documented(path, command):
    """The section of a command lists its options, and the variables they read."""
    section = re.search(
        rf"^###? `{re.escape(path)}`\n(.*?)(?=^##|\Z)",
        page("cli.md"),
        re.MULTILINE | re.DOTALL,
    )[1]
    wanted = {
        (o.opts[-1], o.envvar, o.required)
        for o in command.params
        if isinstance(o, click.Option)
    }
    rows = [row for t in tables(section) for row in t[1:]]
    found = {
        (
            quoted(option)[0],
            (re.findall(r"Variable: `([A-Z_]+)`", meaning) or [None])[0],
            meaning.endswith("Required."),
        )
        for option, meaning in rows
    }
    assert wanted == found


def test_sessions_of_the_matrix_are_documented():
    """CONTRIBUTING lists the sessions that the noxfile has."""
    tree = ast.parse((ROOT / "noxfile.py").read_text(encoding="utf-8"))
    wanted = {
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
        and any("session" in ast.unparse(d) for d in node.decorator_list)
    }
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert wanted == {quoted(row[0])[0] for row in table(text, "Session")}


def test_sessions_run_what_there_is():
    """A file that is renamed is renamed in the noxfile, or its session breaks."""
    tree = ast.parse((ROOT / "noxfile.py").read_text(encoding="utf-8"))
    # Not the beginnings of f-strings.
    parts = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr)
        for part in node.values
    }
    named = {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and id(node) not in parts
        if str(node.value).startswith("tests/")
    }
    assert len(named) > 10
    assert {path for path in named if not (ROOT / path).exists()} == set()


def test_metrics_are_documented():
    """Each measure has its row, with its labels."""
    rows = {r[0]: r[1] for r in table(page("operations.md"), "Metric")}
    for measure in MEASURES:
        labels = ", ".join(f"`{label}`" for label in measure.labels)
        assert rows[f"`{measure.name}`"] == labels


def test_mails_are_documented():
    """Each template has its two rows, and what ours ask for is given by the page."""
    sent, given = (
        {name: row[-1] for row in rows[1:] for name in quoted(row[0])}
        for rows in tables(page("mail.md"))
        if rows[0][0] == "Template"
    )
    assert set(sent) == set(given) == set(TEMPLATES)
    environment = Templates()._environment
    folder = ROOT / "plugins" / "frappe_enroll_mail" / "templates"
    for name, names in given.items():
        for part in PARTS:
            text = (folder / f"{name}{part}").read_text(encoding="utf-8")
            asked = meta.find_undeclared_variables(environment.parse(text))
            assert asked - {"sender_name"} <= set(quoted(names)), f"{name}{part}"


def test_rules_stand_where_contributing_says():
    """Each of the twenty answers names a file, and what is defined there."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = table(text, "Question")
    assert len(rows) == 20
    for _, file, name in rows:
        tree = ast.parse((ROOT / file.strip("`")).read_text(encoding="utf-8"))
        defined = {
            getattr(node, "name", None) or getattr(node, "id", None)
            for node in ast.walk(tree)
            if isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.Name))
        }
        assert name.strip("`") in defined, file
