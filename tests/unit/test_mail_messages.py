# SPDX-License-Identifier: MIT
"""What a mail says and how it is made: headers, both parts, a host's templates."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from email import message_from_bytes
from email.policy import SMTP
from pathlib import Path

import attrs
import pytest
from jinja2 import meta

import frappe_enroll_mail
from frappe_enroll_mail import letters
from frappe_enroll_mail.addresses import read_address, without_addresses
from frappe_enroll_mail.mailer import MAILS, make_mailer
from frappe_enroll_mail.messages import Letter, compose
from frappe_enroll_mail.settings import PREFIX, TEMPLATES, MailSettings
from frappe_enroll_mail.templates import Templates
from frappe_enroll_sdk import Settings
from frappe_enroll_sdk.errors import RejectedError, SettingsError
from frappe_enroll_sdk.models import Job, Status
from frappe_enroll_sdk.outcomes import JobContext
from frappe_enroll_sdk.settings.plugins import load_part
from frappe_enroll_sdk.settings.text import describe
from frappe_enroll_sdk.testing.conformance.records import enrollment


AT = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
OURS = Path(frappe_enroll_mail.__file__).with_name("templates")
GIVEN = {
    "HOST": "127.0.0.1",
    "SECURITY": "none",
    "FROM": "Schule für Python <kurse@example.com>",
    "REPLY_TO": "help@example.com",
}


def settings_of(**more) -> MailSettings:
    """Return settings of mails, as variables give them."""
    given = {f"{PREFIX}{name}": value for name, value in (GIVEN | more).items()}
    return load_part(MailSettings, Settings(plugin_settings=given), PREFIX)


def context_of(**changes) -> JobContext:
    """Return what a handler is called with."""
    fields = {"email": "ada@example.com", "course_title": "Python 101"}
    fields |= {"status": Status.ENROLLED}
    row = attrs.evolve(enrollment(1), **fields | changes)
    job = Job(
        key=f"mail.enrolled:{row.id}:enrolled:3",
        kind="mail.enrolled",
        due_at=AT,
        created_at=AT,
        updated_at=AT,
    )
    return JobContext(job=job, enrollment=row, fact="enrolled")


def mail_of(letter: Letter, **more):
    """Return a letter's mail as the other side reads it from the wire."""
    settings = settings_of(**more)
    message = compose(letter, settings, Templates(settings.templates))
    return message_from_bytes(message.as_bytes(), policy=SMTP)


def enrolled(desk=None, **changes) -> Letter:
    """Return the letter of an enrolment."""
    return letters.enrolled(context_of(**changes), desk or letters.Desk())


def test_mail_has_text_and_html_and_its_headers():
    """Both parts tell the same, and machines know that nobody wrote it."""
    letter = letters.enrolled(
        attrs.evolve(
            context_of(full_name="Ada Lovelace"),
            course_url="https://lms.example.com/lms/courses/python-101",
        ),
        letters.Desk(),
    )
    mail = mail_of(letter)
    assert mail["From"] == "Schule für Python <kurse@example.com>"
    assert mail["To"] == "Ada Lovelace <ada@example.com>"
    assert mail["Reply-To"] == "help@example.com"
    assert mail["Subject"] == "You are enrolled in Python 101"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Date"].datetime == AT
    assert mail.get_content_type() == "multipart/alternative"
    for kind in ("plain", "html"):
        text = mail.get_body((kind,)).get_content()
        assert "Hello Ada Lovelace," in text
        assert "https://lms.example.com/lms/courses/" in text
        assert "Schule für Python" in text


def test_mail_is_the_same_to_the_byte_in_every_try():
    """One Message-ID per fact and template, and another for any other."""
    settings, templates = settings_of(), Templates()
    one = compose(enrolled(), settings, templates)
    assert one.as_bytes() == compose(enrolled(), settings, templates).as_bytes()
    for change in ({"key": "another"}, {"template": "payment_held"}):
        other = compose(attrs.evolve(enrolled(), **change), settings, templates)
        assert other["Message-ID"] != one["Message-ID"]


def test_mail_carries_names_beyond_ascii():
    """On the wire it is ASCII; who reads it sees the name and the title."""
    name = 'Žofie Řeháková, "Žo" <žž>'
    letter = enrolled(full_name=name, course_id="x")
    values = {**letter.values, "course": "Größe – 日本語 🎓"}
    letter = attrs.evolve(letter, values=values)
    wire = compose(letter, settings_of(), Templates()).as_bytes()
    assert wire.partition(b"\r\n\r\n")[0].isascii()
    mail = message_from_bytes(wire, policy=SMTP)
    (to,) = mail["To"].addresses
    assert (to.display_name, to.addr_spec) == (name, "ada@example.com")
    assert mail["Subject"] == "You are enrolled in Größe – 日本語 🎓"
    assert name in mail.get_body(("plain",)).get_content()


@pytest.mark.parametrize("bad", ["\n", "\r\n", "\r", "\x00", "\x85", "\u2028"])
def test_mail_with_a_second_line_in_a_header_is_refused(bad):
    """Neither a name nor a course's title can add a header."""
    injected = f"Ada{bad}Bcc: eve@example.com"
    with pytest.raises(ValueError, match="control"):
        enrolled(full_name=injected)
    letter = enrolled()
    letter = attrs.evolve(letter, values={**letter.values, "course": injected})
    with pytest.raises(RejectedError, match="more than one line"):
        mail_of(letter)


def test_html_is_escaped_and_text_is_not():
    """What a learner typed is no markup, and no entity in the text."""
    name = "<script>alert('x')</script> & Söhne"
    mail = mail_of(enrolled(full_name=name))
    assert name in mail.get_body(("plain",)).get_content()
    html = mail.get_body(("html",)).get_content()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html


def test_host_template_stands_before_ours(tmp_path):
    """One file is replaced, the others stay; the layout may be theirs, too."""
    (tmp_path / "enrolled.subject.txt").write_text("Willkommen bei {{ course }}\n")
    (tmp_path / "layout.html").write_text("<b>{% block body %}{% endblock %}</b>")
    mail = mail_of(enrolled(), TEMPLATES=str(tmp_path))
    assert mail["Subject"] == "Willkommen bei Python 101"
    assert mail.get_body(("html",)).get_content().startswith("<b>")
    assert "you are enrolled" in mail.get_body(("plain",)).get_content()


def test_host_template_that_is_wrong_is_named(tmp_path):
    """A syntax error when the SDK is made, a missing name when it is sent."""
    (tmp_path / "enrolled.txt").write_text("{{ nonesuch }}")
    with pytest.raises(RejectedError, match=r"enrolled.*nonesuch"):
        mail_of(enrolled(), TEMPLATES=str(tmp_path))
    (tmp_path / "enrolled.txt").write_text("{% if %}")
    with pytest.raises(SettingsError, match=r"TEMPLATES: enrolled\.txt:1"):
        make_mailer(settings_of(TEMPLATES=str(tmp_path)))


@pytest.mark.parametrize("name", TEMPLATES)
def test_template_asks_for_the_same_in_both_parts(name):
    """Whoever reads text gets what whoever reads HTML gets; the subject no more."""
    environment = Templates()._environment
    asked = [
        meta.find_undeclared_variables(
            environment.parse((OURS / f"{name}{part}").read_text(encoding="utf-8"))
        )
        for part in (".txt", ".html", ".subject.txt")
    ]
    text, html, subject = asked
    assert text - {"sender_name"} == html
    assert subject <= text


def test_every_template_has_a_job():
    """No template that nobody sends, no job without a template."""
    # An alert's letter is one of two.
    assert set(MAILS) | {"payment_problem"} == set(TEMPLATES)
    kept = make_mailer(settings_of(SKIP="payout")).jobs()
    skipped = {"payout", "alert", "dead_letter"}  # the last two: no operator is named
    assert {kind for kind, _, _ in kept} == {f"mail.{n}" for n in {*MAILS} - skipped}


def test_letter_of_what_is_no_news_is_none():
    """What has changed meanwhile, a failure without a payment, a suspected fraud."""
    desk, held = letters.Desk(), {"status": Status.ON_HOLD}
    assert letters.enrolled(context_of(status=Status.REVOKED), desk) is None
    assert letters.payment_failed(context_of(reason="coupon_gone"), desk) is None
    assert (
        letters.payment_held(context_of(**held, held_for="fraud_warning"), desk) is None
    )
    assert letters.payment_held(context_of(held_for="late_payment"), desk) is None
    assert letters.payment_failed(context_of(reason="payment_failed"), desk)
    assert letters.payment_held(context_of(**held, held_for="late_payment"), desk)


def test_course_link_is_quoted():
    """A course's name can't become a path or a query."""
    desk = letters.Desk(course_url="https://x.example/c/{course_id}?from=mail")
    assert (
        desk.link("a/b?c d", "https://own.example")
        == "https://x.example/c/a%2Fb%3Fc%20d?from=mail"
    )
    assert letters.Desk().link("a", "https://own.example") == "https://own.example"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"FROM": ""}, "FROM: must be set"),
        ({"FROM": "nobody"}, "FROM"),
        ({"FROM": "a@example.com, b@example.com"}, "FROM"),
        ({"FROM": "a@example.com\nBcc: b@example.com"}, "FROM"),
        ({"REPLY_TO": "x@"}, "REPLY_TO"),
        ({"REPLY_TO": "help@schüle.example"}, "must be ASCII"),
        ({"OPERATORS": "a@example.com,b"}, "OPERATORS"),
        ({"PORT": "smtp"}, "PORT"),
        ({"SECURITY": "ssl"}, "SECURITY (security): must be one of"),
        ({"SECURITY": "none", "HOST": "mail.example.com"}, "refused off loopback"),
        ({"USER": "ada"}, "both or none"),
        ({"TEMPLATES": "/nonesuch"}, "TEMPLATES: there is no"),
        ({"COURSE_URL": "https://x.example/"}, "COURSE_URL"),
        ({"SKIP": "enroled"}, "SKIP: there is no template enroled"),
        ({"HOSTNAME": "x"}, "HOSTNAME: unknown setting"),
    ],
)
def test_wrong_setting_is_named(more, said):
    """Each by its variable, all at once."""
    with pytest.raises(SettingsError) as caught:
        settings_of(**more, TIMEOUT_S="never")
    text = str(caught.value)
    assert said in text
    assert f"{PREFIX}TIMEOUT_S" in text


def test_settings_come_with_the_sdks(tmp_path):
    """From the environment, a host's dict or a file; the SDK refuses none of them."""
    secret = tmp_path / "secret"
    secret.write_text("pa55\n")
    environ = {
        **{f"{PREFIX}{name}": value for name, value in GIVEN.items()},
        f"{PREFIX}PASSWORD_FILE": str(secret),
        f"{PREFIX}USER": "ada",
    }
    config = {f"{PREFIX}PORT": 2525, f"{PREFIX}USER": "bob", "OTHER": 1}
    told = Settings.from_env(environ, config=config)
    found = load_part(MailSettings, told, PREFIX)
    assert (found.user, found.password.value, found.port) == ("bob", "pa55", 2525)
    assert found.operators == ()
    assert found.sender.domain == "example.com"
    assert "pa55" not in repr(found) + repr(told)
    shown = {name: value for name, value, *_ in describe(told)}
    assert shown[f"{PREFIX}PASSWORD"] == "***"
    with pytest.raises(SettingsError, match="PASSWORD_FILE"):
        Settings.from_env({f"{PREFIX}PASSWORD_FILE": str(tmp_path / "none")})


def test_setting_that_ends_as_one_that_is_read_from_a_file(tmp_path):
    """The certificates' path is itself, from the environment too."""
    path = tmp_path / "ca.pem"
    path.write_text("certificates\n")
    environ = {f"{PREFIX}{name}": value for name, value in GIVEN.items()}
    told = Settings.from_env(environ | {f"{PREFIX}CA_FILE": str(path)})
    assert load_part(MailSettings, told, PREFIX).ca_file == str(path)
    wrong = Settings.from_env(environ | {f"{PREFIX}CA": "certificates"})
    with pytest.raises(SettingsError, match="_CA: unknown setting"):
        load_part(MailSettings, wrong, PREFIX)


def test_address_is_read_as_one():
    """With a name or without; an answer's quotation of it is taken out."""
    assert read_address("Eve <eve@example.com>").addr_spec == "eve@example.com"
    said = without_addresses("5.1.1 <ada@example.com>: unknown\r\nuser")
    assert said == "5.1.1 …: unknown  user"
    assert letters._percent(Decimal("12.50")) == "12.5"
    assert letters._percent(Decimal(100)) == "100"
