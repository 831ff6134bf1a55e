# SPDX-License-Identifier: MIT
"""The settings: where they come from, what is refused, and what never shows."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import attrs
import pytest

from frappe_enroll_sdk import EnrollSDK, Settings
from frappe_enroll_sdk.errors import SettingsError
from frappe_enroll_sdk.settings.options import Secret
from frappe_enroll_sdk.settings.text import describe, template
from frappe_enroll_sdk.testing.lms import FakeLMS
from frappe_enroll_sdk.testing.memory import MemoryStorage
from frappe_enroll_sdk.testing.payments import FakePayments


SECRETS = {
    "STRIPE_SECRET_KEY": "sk_test_hidden_key",
    "STRIPE_WEBHOOK_SECRET": "whsec_hidden_one,whsec_hidden_two",
    "FRAPPE_LMS_API_KEY": "hidden_api_key",
    "FRAPPE_LMS_API_SECRET": "hidden_api_secret",
    "FRAPPE_ENROLL_SECRET_KEY": "hidden_secret_key",
    "FRAPPE_ENROLL_ADMIN_TOKENS": "viewer:me:" + "0" * 64,
    "FRAPPE_ENROLL_CRON_SECRET": "hidden_cron_secret",
    "MONGODB_URI": "mongodb://ada:hidden_password@127.0.0.1/",
}
NAME = "FRAPPE_ENROLL_INLINE_S"


def problems(environ=None, **more):
    """Return the problems that these settings have."""
    with pytest.raises(SettingsError) as caught:
        Settings.from_env(environ or {}, **more)
    return caught.value.problems


@pytest.fixture
def toml(tmp_path):
    """Return a writer of a TOML file; it answers the environment that names it."""

    def write(text):
        path = tmp_path / "enroll.toml"
        path.write_text(text, encoding="utf-8")
        return {"FRAPPE_ENROLL_CONFIG": str(path)}

    return write


SOURCES = ["argument", "host", "environment", "file", "default"]


@pytest.mark.parametrize("highest", range(5))
def test_precedence_is_argument_host_environment_file_default(toml, highest):
    """Each source wins over those after it, and is named."""
    given = [number >= highest for number in range(4)]
    arguments = {"inline_s": 1} if given[0] else {}
    config = {NAME: "2"} if given[1] else {}
    environ = {NAME: "3"} if given[2] else {}
    environ |= toml("inline_s = 4" if given[3] else "")
    settings = Settings.from_env(environ, config=config, **arguments)
    assert settings.inline_s == [1, 2, 3, 4, 3.0][highest]
    assert settings.sources.get("inline_s", "default") == SOURCES[highest]


def test_host_dict_takes_variable_and_field_names_and_keeps_its_own():
    """A Flask config is full of keys that are not ours."""
    config = {"inline_s": 7, "FRAPPE_LMS_SITE": "lms.local", "SQLALCHEMY_ECHO": True}
    settings = Settings.from_env({}, config=config)
    assert (settings.inline_s, settings.frappe_lms_site) == (7, "lms.local")
    assert problems(config={"FRAPPE_ENROLL_INLIN_S": 1}) == [
        "FRAPPE_ENROLL_INLIN_S: unknown setting (host)"
    ]


def test_toml_may_have_a_table_of_ours(toml):
    """Beside other tools' tables."""
    environ = toml('[frappe_enroll]\nFRAPPE_LMS_SITE = "a"\n[other]\nx = 1\n')
    assert Settings.from_env(environ).frappe_lms_site == "a"


@pytest.mark.parametrize("empty", ["", None])
def test_empty_value_is_unset(empty, toml):
    """The next source is asked."""
    environ = toml("inline_s = 4")
    if empty is not None:
        environ[NAME] = empty
    settings = Settings.from_env(environ, config={NAME: empty}, inline_s=empty)
    assert settings.inline_s == 4


def test_file_variable_reads_the_value(tmp_path):
    """`NAME_FILE` (Docker, systemd): trimmed; the plain name wins."""
    path = tmp_path / "key"
    path.write_text(" sk_test_from_file\n", encoding="utf-8")
    environ = {"STRIPE_SECRET_KEY_FILE": str(path)}
    settings = Settings.from_env(environ)
    assert settings.stripe_secret_key.value == "sk_test_from_file"
    assert settings.sources["stripe_secret_key"] == "environment"
    settings = Settings.from_env(environ | {"STRIPE_SECRET_KEY": "sk_test_plain"})
    assert settings.stripe_secret_key.value == "sk_test_plain"


def test_settings_made_by_arguments_say_so():
    """What is given to the class itself comes from an argument, too."""
    assert Settings(lease_s=61).sources == {"lease_s": "argument"}
    assert Settings().sources == {}


def test_schedule_without_a_wait_is_refused():
    """What can't be settled is put off by one of its waits: there has to be one."""
    assert problems({"FRAPPE_ENROLL_RETRY_SCHEDULE_S": ","}) == [
        "FRAPPE_ENROLL_RETRY_SCHEDULE_S: must have one wait or more"
    ]


def test_file_variable_that_cannot_be_read_is_named(tmp_path):
    """Without the path's content, and not as a value."""
    missing = {"FRAPPE_LMS_API_KEY_FILE": str(tmp_path / "none")}
    assert problems(missing) == [
        "FRAPPE_LMS_API_KEY_FILE: can't be read (FileNotFoundError)"
    ]


@pytest.mark.parametrize("text", ["= =", "frappe_enroll = 5"])
def test_toml_that_is_none_is_named(toml, text, tmp_path):
    """Neither a broken file nor a missing one is passed over."""
    assert len(problems(toml(text))) == 1
    (told,) = problems({"FRAPPE_ENROLL_CONFIG": str(tmp_path / "none.toml")})
    assert told == "FRAPPE_ENROLL_CONFIG: can't be read (FileNotFoundError)"


def test_cron_secret_has_a_second_name():
    """Vercel names it so; ours wins."""
    assert Settings.from_env({"CRON_SECRET": "b" * 16}).cron_secret == Secret("b" * 16)
    both = {"CRON_SECRET": "b" * 16, "FRAPPE_ENROLL_CRON_SECRET": "a" * 16}
    assert Settings.from_env(both).cron_secret == Secret("a" * 16)


def test_every_problem_is_told_at_once(toml, tmp_path):
    """One run, one list, each with its variable."""
    environ = toml("nonsense = 1") | {
        NAME: "soon",
        "FRAPPE_ENROLL_BODY_LIMIT": "5",
        "FRAPPE_ENROLL_FREE_COURSES": "perhaps",
        "FRAPPE_ENROLL_REFUND_POLICY": "shred",
        "FRAPPE_ENROLL_RETRY_SCHEDULE_S": "60,soon",
        "FRAPPE_ENROLL_TYPO": "1",
        "STRIPE_SECRET_KEY_FILE": str(tmp_path / "none"),
    }
    told = problems(environ)
    begins = sorted(line.split(":")[0].split(" ")[0] for line in told)
    assert begins == sorted(
        [
            "nonsense",
            NAME,
            "FRAPPE_ENROLL_BODY_LIMIT",
            "FRAPPE_ENROLL_FREE_COURSES",
            "FRAPPE_ENROLL_REFUND_POLICY",
            "FRAPPE_ENROLL_RETRY_SCHEDULE_S",
            "FRAPPE_ENROLL_TYPO",
            "STRIPE_SECRET_KEY_FILE",
        ]
    )


BOUNDS = [
    ("stripe_timeout_s", 0.5, 120),
    ("frappe_lms_timeout_s", 0.2, 120),
    ("inline_s", 0, 60),
    ("session_ttl_s", 1860, 86400),
    ("reservation_s", 1, 86400),
    ("course_ttl_s", 0, 86400),
    ("course_stale_s", 0, 604800),
    ("retry_jitter", 0, 0.5),
    ("verify_after_s", 0, 86400),
    ("lease_s", 1, 3600),
    ("lms_rate_per_s", 0, 10000),
    ("gate_closed_s", 0.1, 3600),
    ("body_limit", 1024, 67_108_864),
]


@pytest.mark.parametrize(("name", "low", "high"), BOUNDS)
def test_numbers_have_bounds(name, low, high):
    """Both bounds are good; past them, infinite or no number at all is refused."""
    for good in (low, high, str(low)):
        assert getattr(Settings(**{name: good}), name) == float(good)
    for bad in (low - 0.5 if low else -1, high + 1, "inf", "nan", "x", True, None):
        with pytest.raises(SettingsError) as caught:
            Settings(**{name: bad})
        assert f"({name})" in str(caught.value)


@pytest.mark.parametrize(
    "days", ["0", "-1", "-0.0", "0.5", "3651", "1e9", "inf", "all"]
)
@pytest.mark.parametrize(
    "variable", ["FRAPPE_ENROLL_KEEP_EVENTS_DAYS", "FRAPPE_ENROLL_KEEP_JOBS_DAYS"]
)
def test_retention_that_is_absurd_is_refused(variable, days, monkeypatch):
    """Zero would drop what is still delivered again: the variable is named."""
    monkeypatch.setenv(variable, days)
    with pytest.raises(SettingsError) as caught:
        Settings.from_env()
    assert variable in str(caught.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *((word, True) for word in ("1", "TRUE", " yes ", "on", True)),
        *((word, False) for word in ("0", "false", "No", "off", False)),
    ],
)
def test_booleans_are_words(text, value):
    """As people write them."""
    assert Settings(free_courses=text).free_courses is value


@pytest.mark.parametrize(
    "given", ["a, b ,,c", ["a", "b", "c"], ("a", "b", "c"), " a,b,c,"]
)
def test_lists_are_comma_separated(given):
    """From text or from a list, without blanks."""
    assert Settings(redirect_hosts=given).redirect_hosts == ("a", "b", "c")


def test_retry_schedule_default_is_two_to_thirty_two_minutes():
    """Five waits, so six tries."""
    assert Settings().retry_schedule_s == (120, 240, 480, 960, 1920)
    assert Settings().retry_jitter == 0.1
    assert Settings(retry_schedule_s="1,2").retry_schedule_s == (1, 2)


def test_settings_are_frozen():
    """Threads and SDKs may share them."""
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        Settings().inline_s = 1


LIVE = {"stripe_secret_key": "sk_live_x", "database_url": "sqlite:////srv/db"}
REFUSED = [
    ({"frappe_lms_url": "http://lms.example.com"}, "FRAPPE_LMS_URL"),
    ({"frappe_lms_url": "lms.example.com"}, "FRAPPE_LMS_URL"),
    ({"frappe_lms_url": "ftp://lms.example.com"}, "FRAPPE_LMS_URL"),
    ({"frappe_lms_url": "https://"}, "FRAPPE_LMS_URL"),
    ({"frappe_lms_url": "http://[::1"}, "FRAPPE_LMS_URL"),
    ({"stripe_api_base": "https://stripe.example.com"}, "STRIPE_API_BASE"),
    ({"stripe_api_base": "https://api.stripe.com.evil.org"}, "STRIPE_API_BASE"),
    ({"stripe_api_base": "http://api.stripe.com"}, "STRIPE_API_BASE"),
    ({"stripe_api_base": "api.stripe.com"}, "STRIPE_API_BASE"),
    ({"public_url": "/enroll"}, "FRAPPE_ENROLL_PUBLIC_URL"),
    ({"stripe_webhook_secret": "sk_test_x"}, "STRIPE_WEBHOOK_SECRET"),
    ({"stripe_webhook_secret": "whsec_"}, "STRIPE_WEBHOOK_SECRET"),
    ({"stripe_webhook_secret": "whsec_good_one,bad"}, "STRIPE_WEBHOOK_SECRET"),
    ({"below_minimum": "rounded"}, "FRAPPE_ENROLL_BELOW_MINIMUM"),
]


@pytest.mark.parametrize(("fields", "variable"), REFUSED)
def test_settings_that_do_not_fit_are_refused(fields, variable):
    """The one problem names its variable."""
    with pytest.raises(SettingsError) as caught:
        Settings(**fields)
    (told,) = caught.value.problems
    assert told.startswith(f"{variable}")


@pytest.mark.parametrize(
    "fields",
    [
        {"frappe_lms_url": "http://127.0.0.1:8000"},
        {"frappe_lms_url": "http://localhost:8000"},
        {"frappe_lms_url": "http://[::1]:8000"},
        {"frappe_lms_url": "https://lms.example.com"},
        {"frappe_lms_url": "http://lms.example.com", "allow_insecure_lms": True},
        {"stripe_api_base": "http://127.0.0.1:12111"},
        {"stripe_api_base": "https://s.example.com", "allow_foreign_stripe": True},
        LIVE,
        {"stripe_secret_key": "sk_live_x", "mongodb_uri": "mongodb://127.0.0.1"},
        {"stripe_secret_key": "sk_live_x", "storage": "mine"},
        {"stripe_secret_key": "sk_test_x"},
        {"stripe_webhook_secret": "whsec_one_of_two,whsec_two_of_two"},
    ],
)
def test_settings_that_fit_are_taken(fields):
    """What is refused elsewhere is fine here."""
    assert Settings(**fields)


@pytest.mark.parametrize(
    ("fields", "variable"),
    [
        (
            LIVE
            | {"frappe_lms_url": "http://lms.example.com", "allow_insecure_lms": True},
            "FRAPPE_LMS_URL",
        ),
        (LIVE | {"stripe_api_base": "http://127.0.0.1:1"}, "STRIPE_API_BASE"),
        (
            LIVE
            | {
                "stripe_api_base": "https://s.example.com",
                "allow_foreign_stripe": True,
            },
            "STRIPE_API_BASE",
        ),
        ({"stripe_secret_key": "sk_live_x"}, "DATABASE_URL"),
        ({"stripe_secret_key": "rk_live_x"}, "DATABASE_URL"),
    ],
)
def test_what_real_money_forbids_is_refused(fields, variable):
    """By what the gateway says of its mode, before anything is called."""
    with pytest.raises(SettingsError) as caught:
        EnrollSDK(Settings(**fields), lms=FakeLMS())
    assert str(caught.value).startswith(variable)


def test_live_mode_is_what_the_gateway_says():
    """Another provider's is as good a reason; a store of the host's is named."""
    payments = FakePayments()
    payments.livemode = True
    with pytest.raises(SettingsError, match="DATABASE_URL"):
        EnrollSDK(Settings(), payments=payments, lms=FakeLMS())
    assert EnrollSDK(
        Settings(), storage=MemoryStorage(), payments=payments, lms=FakeLMS()
    )


def test_storage_default_follows_what_is_set(monkeypatch):
    """Mongo by its URI, else SQL; a name decides."""
    assert Settings().storage_name == "sql"
    assert Settings(mongodb_uri="mongodb://127.0.0.1").storage_name == "mongo"
    named = Settings(mongodb_uri="mongodb://127.0.0.1", storage="sql")
    assert named.storage_name == "sql"
    monkeypatch.setenv("XDG_DATA_HOME", "/home/ada/.data")
    url = Settings().resolved_database_url
    assert url == "sqlite:////home/ada/.data/frappe-enroll/enroll.sqlite3"
    monkeypatch.delenv("XDG_DATA_HOME")
    assert f"{Path.home()}/.local/share/" in Settings().resolved_database_url
    assert Settings(database_url="sqlite:////a").resolved_database_url == "sqlite:////a"


def test_secrets_never_show(caplog):
    """Not in repr, text, a format, a log record, a table, nor a tuple of them."""
    settings = Settings.from_env(SECRETS)
    with caplog.at_level(logging.INFO):
        logging.getLogger("x").info("made %s %r", settings, settings.admin_tokens)
    shown = [
        repr(settings),
        str(settings),
        f"{settings} {settings.cron_secret} {settings.stripe_webhook_secret}",
        f"{settings.secret_key!r:>20}",
        caplog.text,
        str(describe(settings)),
        repr(attrs.asdict(settings, recurse=False)),
        repr(vars_of(settings)),
    ]
    for text in shown:
        assert "hidden" not in text
    assert settings.stripe_secret_key.value == "sk_test_hidden_key"


def vars_of(settings):
    """Return what a debugger lists."""
    return [getattr(settings, field.name) for field in attrs.fields(Settings)]


def test_problem_with_a_secret_never_shows_it():
    """Not when it is of the wrong form, nor of the wrong type."""
    for given in ("hidden_secret", ["hidden_secret"]):
        with pytest.raises(SettingsError) as caught:
            Settings(stripe_webhook_secret=given, stripe_secret_key=["hidden"])
        assert "hidden" not in str(caught.value)
        assert caught.value.__context__ is None or "hidden" not in repr(
            caught.value.__context__
        )


def test_secret_is_false_while_empty_and_equal_by_value():
    """`if settings.cron_secret` reads as it says."""
    assert not Secret()
    assert Secret("a")
    assert (str(Secret("abc")), repr(Secret())) == ("Secret('***')", "Secret('')")
    assert Secret("a") == Secret("a") != Secret("b")


def test_describe_lists_every_variable_with_its_source():
    """Secrets masked, empty ones empty."""
    rows = {row[0]: row[1:3] for row in describe(Settings.from_env(SECRETS))}
    assert rows["STRIPE_SECRET_KEY"] == ("***", "environment")
    assert rows["STRIPE_WEBHOOK_SECRET"] == ("***", "environment")
    assert rows["FRAPPE_ENROLL_INLINE_S"] == ("3", "default")
    assert len(rows) == len(fields_of_ours())


def fields_of_ours():
    """Return the fields that have a variable."""
    return [field for field in attrs.fields(Settings) if "env" in field.metadata]


def test_template_has_every_variable_with_its_default():
    """Uncommented and read back it changes nothing."""
    text = template()
    lines = re.findall(r"^#([A-Z][A-Z0-9_]+)=(.*)$", text, re.MULTILINE)
    assert len(lines) == len(fields_of_ours())
    assert attrs.evolve(Settings.from_env(dict(lines)), sources={}) == Settings()
    for field in fields_of_ours():
        assert field.metadata["env"][0] in dict(lines)
        assert f"# {field.metadata['help']}\n#{field.metadata['env'][0]}=" in text
    assert "Secret" not in text


def test_from_env_reads_the_process_environment(monkeypatch):
    """Where no other mapping is given."""
    monkeypatch.setenv(NAME, "9")
    assert Settings.from_env().inline_s == 9
    assert Settings().inline_s == 3, "arguments alone read no environment"


def links(name):
    """Return what Kubernetes injects for a Service of this name."""
    port = f"{name}_PORT_80_TCP"
    return {
        f"{name}_SERVICE_HOST": "10.96.14.7",
        f"{name}_SERVICE_PORT": "80",
        f"{name}_SERVICE_PORT_HTTP": "80",
        f"{name}_PORT": "tcp://10.96.14.7:80",
        port: "tcp://10.96.14.7:80",
        f"{port}_PROTO": "tcp",
        f"{port}_PORT": "80",
        f"{port}_ADDR": "10.96.14.7",
        f"{name}_PORT_53_UDP": "udp://10.96.14.7:53",
    }


@pytest.mark.parametrize("service", ["", "_WORKER", "_MAIL", "_ALERTS", "_PLUGIN_CRM"])
def test_service_of_kubernetes_with_our_name_is_no_setting(service):
    """Its variables are nobody's, a plugin's prefix or not."""
    settings = Settings.from_env(links(f"FRAPPE_ENROLL{service}"))
    assert settings.plugin_settings == {}
    assert "FRAPPE_ENROLL_PORT" not in settings.sources


@pytest.mark.parametrize(
    "name", ["FRAPPE_ENROLL_PORT", "FRAPPE_ENROLL_SERVICE", "FRAPPE_ENROLL_HOST"]
)
def test_setting_that_only_looks_like_a_service_is_unknown(name):
    """A typo is told as before."""
    assert problems({name: "8080"}) == [f"{name}: unknown setting (environment)"]


def test_number_in_a_hosts_config_is_the_text_that_it_was():
    """Whole ones are themselves; of others nobody knows how they were written."""
    config = {
        "CRON_SECRET": 2026112720261127,
        "FRAPPE_LMS_API_KEY": 123456789012345,
        "FRAPPE_ENROLL_RETRY_SCHEDULE_S": 60,
    }
    settings = Settings.from_env({}, config=config)
    assert settings.cron_secret.value == "2026112720261127"
    assert settings.frappe_lms_api_key.value == "123456789012345"
    assert settings.retry_schedule_s == (60.0,)
    (problem,) = problems(config={"FRAPPE_LMS_API_KEY": 1e15})
    assert problem.startswith("FRAPPE_LMS_API_KEY")
    (problem,) = problems(config={"FRAPPE_LMS_SITE": 5})
    assert problem.startswith("FRAPPE_LMS_SITE")
    (problem,) = problems(config={"CRON_SECRET": True})
    assert "CRON_SECRET" in problem
