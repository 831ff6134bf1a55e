# SPDX-License-Identifier: MIT
"""URLs are compared part by part, whatever they are spelled like."""

from __future__ import annotations

import pytest

from frappe_enroll_alerts.settings import AlertSettings
from frappe_enroll_mail.settings import MailSettings
from frappe_enroll_sdk import EnrollSDK, Settings, urls
from frappe_enroll_sdk.errors import SettingsError, ValidationError
from frappe_enroll_sdk.services import validate
from frappe_enroll_sdk.settings.plugins import load_part
from frappe_enroll_sdk.testing.lms import FakeLMS


#: One URL in many spellings, and the one that it is asked for by.
SAME = {
    "HTTPS://Shop.Example.COM": "https://shop.example.com",
    "https://shop.example.com.": "https://shop.example.com",
    "https://shop.example.com:443": "https://shop.example.com",
    "https://shop.example.com:": "https://shop.example.com",
    "https://shop.example.com:00443/A?b#c": "https://shop.example.com/A?b#c",
    "HTTP://shop.example.com:80/": "http://shop.example.com/",
    "http://shop.example.com:443": "http://shop.example.com:443",
    "https://[2001:DB8:0::1]:8443/x": "https://[2001:db8::1]:8443/x",
    "https://bücher.example/ü": "https://xn--bcher-kva.example/ü",
    "https://BÜCHER.example": "https://xn--bcher-kva.example",
    "http://frappe_backend:8000": "http://frappe_backend:8000",
}
#: What two readers read in two ways, or what is nothing at all.
REFUSED = [
    "",
    "shop.example.com",
    "//shop.example.com",
    "https:shop.example.com",
    "https:/shop.example.com",
    "https:///shop.example.com",
    "https://",
    "https://:443",
    "ftp://shop.example.com",
    "javascript://shop.example.com/%0aalert(1)",
    "https://ada@shop.example.com",
    "https://ada:secret@shop.example.com",
    "https://:@shop.example.com",
    "https://shop.example.com@evil.example",
    "https://shop.example.com\\@evil.example",
    "https:\\\\shop.example.com",
    "https://shop.example.com\\.evil.example",
    "https://shop.example.com/a\\b",
    "https://shop.exa\tmple.com",
    "https://shop.example.com/\n",
    "ht\ntps://shop.example.com",
    " https://shop.example.com",
    "https://shop.example.com/a b",
    "https://shop.example.com\x00",
    "https://shop.example.com\u2028",
    "https://shop.example.com%2eevil.example",
    "https://%61pi.stripe.com",
    "https://shop.example.com:0",
    "https://shop.example.com:65536",
    "https://shop.example.com:44a",
    "https://shop.example.com:-1",
    "https://shop.example.com:٤٤٣",
    "https://shop..example.com",
    "https://.example.com",
    "https://shop.example.com..",
    "https://-shop.example.com",
    "https://shop.example.com,evil.example",
    "https://" + "a" * 64 + ".example.com",
    "https://" + "a." * 130 + "com",
    "https://[::1",
    "https://::1",
    "https://[::1]evil.example",
    "https://[::1%25eth0]",
    "https://[v1.a]",
    "http://127.1",
    "http://2130706433",
    "http://0x7f000001",
    "http://0177.0.0.1",
    "http://127.0.0.1.9",
    "http://１２７.0.0.1",
    "https://ａpi.stripe.com",
    "https://shop。example.com",
    "https://straße.example",
    "https://shop\u200d.example",
]


@pytest.mark.parametrize(("text", "read"), SAME.items())
def test_url_is_read_as_it_is_asked_for(text, read):
    """Spelling is no difference, and to read it again changes nothing."""
    assert str(urls.parse(text)) == read
    assert str(urls.parse(read)) == read


@pytest.mark.parametrize("text", REFUSED)
def test_url_of_two_readings_is_refused(text):
    """With words that repeat nothing of it."""
    with pytest.raises(ValueError, match=r"must|is not|has a") as caught:
        urls.parse(text)
    assert "secret" not in str(caught.value)
    if "@" in text and "\\" not in text:
        assert "user or password" in str(caught.value)
    if text and text.strip() == text:
        with pytest.raises(ValidationError) as refused:
            validate.url(text, "success_url")
        assert refused.value.field == "success_url"


@pytest.mark.parametrize(
    "value", [None, 5, b"https://a.example", ["https://a.example"]]
)
def test_url_that_is_no_text_is_refused(value):
    """As from a host's dict."""
    with pytest.raises(ValueError, match="must be text"):
        urls.parse(value)


@pytest.mark.parametrize(
    ("host", "near"),
    [
        ("localhost", True),
        ("LOCALHOST", True),
        ("localhost.", True),
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("[::1]", True),
        ("[::ffff:127.0.0.1]", True),
        ("[0:0:0:0:0:0:0:1]", True),
        ("0.0.0.0", False),  # noqa: S104  no server is bound
        ("[::]", False),
        ("127.0.0.1.example.com", False),
        ("localhost.example.com", False),
        ("notlocalhost", False),
        ("[::ffff:192.0.2.1]", False),
        ("10.0.0.1", False),
    ],
)
def test_loopback_is_told_by_the_address(host, near):
    """And by the one name that is always this host's."""
    assert urls.parse(f"http://{host}:8000").is_near is near


def refused(**fields):
    """Build an SDK of the settings: what is no rule of theirs is the gateway's."""
    EnrollSDK(Settings(**fields), lms=FakeLMS())


LIVE = {"stripe_secret_key": "sk_live_x", "database_url": "sqlite:////srv/db"}


@pytest.mark.parametrize(
    "text",
    [
        "HTTP://api.stripe.com",
        "http://api.stripe.com:443",
        "https://api.stripe.com:8443",
        "https://api.stripe.com.evil.example",
        "https://api.stripe.com@evil.example",
        "https://evil.example\\@api.stripe.com",
        "https://api.stripe.com\\.evil.example",
        "https://api.stripe.com%2eevil.example",
        "https://аpi.stripe.com",
        "https://ａpi.stripe.com",
        "https://api.stripe.com\t.evil.example",
        "https://user:pass@api.stripe.com",
        "https://[::1]",
        "https://127.0.0.1",
    ],
)
def test_live_key_goes_to_stripe_only(text):
    """Whatever the base looks like, and whatever else is allowed."""
    with pytest.raises(SettingsError) as caught:
        refused(**LIVE, stripe_api_base=text, allow_foreign_stripe=True)
    assert all(told.startswith("STRIPE_API_BASE") for told in caught.value.problems)


@pytest.mark.parametrize(
    "text",
    [
        "HTTPS://API.Stripe.COM",
        "https://api.stripe.com:443/",
        "https://api.stripe.com.",
    ],
)
def test_live_key_goes_to_stripe_in_every_spelling(text):
    """What is kept is what is asked for."""
    kept = Settings(**LIVE, stripe_api_base=text).stripe_api_base
    assert kept.rstrip("/") == "https://api.stripe.com"


@pytest.mark.parametrize(
    "text",
    [
        "HTTP://lms.example.com",
        "hTTp://lms.example.com",
        "http://lms.example.com:443",
        "http://localhost.example.com",
        "http://127.0.0.1.example.com",
        "http://localhost@lms.example.com",
        "http://127.0.0.1\\@lms.example.com",
        "http://127.1",
        "http://0.0.0.0",
        "http://[::ffff:10.0.0.1]",
        "http://[fe80::1]",
    ],
)
def test_plain_http_stays_on_loopback(text):
    """The key of the LMS goes nowhere in the clear."""
    for more in ({}, LIVE | {"allow_insecure_lms": True}):
        with pytest.raises(SettingsError) as caught:
            refused(frappe_lms_url=text, **more)
        assert all(told.startswith("FRAPPE_LMS_URL") for told in caught.value.problems)
        with pytest.raises(SettingsError, match="WEBHOOK_URL"):
            part(AlertSettings, "FRAPPE_ENROLL_ALERTS_", WEBHOOK_URL=text)


def part(cls, prefix, **given):
    """Return a plugin's part of the settings."""
    given = {prefix + name: value for name, value in given.items()}
    settings = Settings.from_env({}, config=given)
    return load_part(cls, settings, prefix)


#: Every setting that is a URL, by what sets it.
URL_SETTINGS = {
    "FRAPPE_LMS_URL": lambda v: Settings(frappe_lms_url=v),
    "STRIPE_API_BASE": lambda v: Settings(stripe_api_base=v, allow_foreign_stripe=True),
    "FRAPPE_ENROLL_PUBLIC_URL": lambda v: Settings(public_url=v),
    "FRAPPE_ENROLL_CORS_ORIGINS": lambda v: Settings(cors_origins=(v,)),
    "FRAPPE_ENROLL_ALERTS_WEBHOOK_URL": lambda v: part(
        AlertSettings, "FRAPPE_ENROLL_ALERTS_", WEBHOOK_URL=v
    ),
    "FRAPPE_ENROLL_MAIL_COURSE_URL": lambda v: part(
        MailSettings, "FRAPPE_ENROLL_MAIL_", COURSE_URL=f"{v}/{{course_id}}"
    ),
}


@pytest.mark.parametrize("variable", URL_SETTINGS)
@pytest.mark.parametrize(
    "text",
    [
        "https://ada:hidden@a.example",
        "https://hidden@a.example",
        "https://hidden\\a.example",
        "https://a.example\\@hidden.example",
        "https://a.exa\tmple",
        "https://a%2eexample",
        "https://a.example:99999",
        "ftp://a.example",
    ],
)
def test_url_setting_takes_no_credentials_and_no_tricks(variable, text):
    """At load, naming the variable, without the value."""
    with pytest.raises(SettingsError) as caught:
        URL_SETTINGS[variable](text)
    told = [one for one in caught.value.problems if one.startswith(variable)]
    assert len(told) == 1
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "variable"),
    [
        ({"frappe_lms_url": "https://a.example/?x=1"}, "FRAPPE_LMS_URL"),
        ({"public_url": "https://a.example/#x"}, "FRAPPE_ENROLL_PUBLIC_URL"),
        ({"redirect_hosts": "https://a.example"}, "FRAPPE_ENROLL_REDIRECT_HOSTS"),
        ({"redirect_hosts": "ada@a.example"}, "FRAPPE_ENROLL_REDIRECT_HOSTS"),
        ({"redirect_hosts": "a.example/x"}, "FRAPPE_ENROLL_REDIRECT_HOSTS"),
        ({"redirect_hosts": "a.example:0"}, "FRAPPE_ENROLL_REDIRECT_HOSTS"),
        ({"redirect_hosts": "*"}, "FRAPPE_ENROLL_REDIRECT_HOSTS"),
        ({"cors_origins": "https://a.example/"}, "FRAPPE_ENROLL_CORS_ORIGINS"),
        ({"cors_origins": "*"}, "FRAPPE_ENROLL_CORS_ORIGINS"),
        ({"frappe_lms_site": "a.example\r\nX: y"}, "FRAPPE_LMS_SITE"),
        ({"frappe_lms_site": "https://a.example"}, "FRAPPE_LMS_SITE"),
        ({"stripe_api_base": ""}, "STRIPE_API_BASE"),
        ({"database_url": "postgresql://u:hidden@a/b"}, "DATABASE_URL"),
    ],
)
def test_setting_that_is_another_thing_than_a_url_is_refused(fields, variable):
    """Each by its own name."""
    with pytest.raises(SettingsError) as caught:
        Settings(**fields)
    (told,) = caught.value.problems
    assert told.startswith(variable)
    assert "hidden" not in told


@pytest.mark.parametrize(
    ("hosts", "url", "is_there"),
    [
        ("shop.example.com", "https://SHOP.example.com/x", True),
        ("Shop.Example.com.", "https://shop.example.com:443", True),
        ("shop.example.com:443", "https://shop.example.com", True),
        ("shop.example.com:443", "http://shop.example.com", False),
        ("shop.example.com", "https://shop.example.com:8443", False),
        ("shop.example.com:8443", "https://shop.example.com:8443/x", True),
        ("[2001:DB8::1]:5000", "http://[2001:db8:0::1]:5000", True),
        ("bücher.example", "https://xn--bcher-kva.example", True),
        ("shop.example.com", "https://shop.example.com.evil.example", False),
        ("shop.example.com", "https://evil.example/shop.example.com", False),
        ("", "https://shop.example.com", False),
    ],
)
def test_redirect_host_is_compared(hosts, url, is_there):
    """Host and port, as they are asked for."""
    allowed = Settings(redirect_hosts=hosts).redirect_hosts
    assert urls.parse(url).is_on(allowed) is is_there


def test_other_hosts_are_compared_too():
    """The mail server's host, and the origin of an older browser."""
    given = {"HOST": "LOCALHOST.", "SECURITY": "none", "FROM": "a@example.com"}
    assert part(MailSettings, "FRAPPE_ENROLL_MAIL_", **given)
    given |= {"HOST": "localhost.example.com"}
    with pytest.raises(SettingsError, match="refused off loopback"):
        part(MailSettings, "FRAPPE_ENROLL_MAIL_", **given)
    kept = Settings(cors_origins="HTTPS://Shop.example.com:443").cors_origins
    assert kept == ("https://shop.example.com",)
