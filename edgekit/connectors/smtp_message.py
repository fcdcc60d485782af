"""A record that is a whole mail: `to`, `cc`, `bcc`, `reply_to`, `subject`, `text`, `html`."""

from __future__ import annotations

import re
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

from edgekit import clock
from edgekit.errors import SkipRecordError

if TYPE_CHECKING:
    from collections.abc import Mapping

ADDRESS = re.compile(r"[^\s@<>()\[\]\\,;:\"]+@[^\s@<>()\[\]\\,;:\"]+")
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_HALF = re.compile(r"[\ud800-\udfff]")


def compose(record: Mapping[str, Any], sender: str, key: str) -> tuple[EmailMessage, list[str]]:
    """Write the mail a record is, and say to whom it goes. Raise SkipRecordError for what makes none.

    A mail with `html` alone says the same as text as well. `key` becomes its Message-ID.
    """
    mail = EmailMessage(policy=SMTP)
    mail["From"] = sender
    to, cc, bcc = (_addresses(name, record.get(name)) for name in ("to", "cc", "bcc"))
    if not to:
        raise SkipRecordError("The mail goes to nobody: it has no to.", error_code="required")
    mail["To"] = ", ".join(to)
    if cc:
        mail["Cc"] = ", ".join(cc)
    if reply := _addresses("reply_to", record.get("reply_to")):
        mail["Reply-To"] = ", ".join(reply)
    subject, text, html = (_text(name, record.get(name)) for name in ("subject", "text", "html"))
    if CONTROL.search(subject):
        raise SkipRecordError("The subject has a line break or a control character.", error_code="format")
    if not (text or html):
        raise SkipRecordError("The mail says nothing: it has neither text nor html.", error_code="required")
    mail["Subject"] = subject
    mail["Date"] = format_datetime(clock.now())
    mail["Message-ID"] = message_id(key, sender)
    mail.set_content(text or _plain(html))
    if html:
        mail.add_alternative(html, subtype="html")
    return mail, list(dict.fromkeys([*to, *cc, *bcc]))


def message_id(key: str, sender: str) -> str:
    """Return the same for the same key, so that a second sending can be told from a second mail."""
    part = re.sub(
        r"[^A-Za-z0-9.+_-]", lambda found: "".join(f"={byte:02x}" for byte in found[0].encode()), key
    )
    return f"<{part}@{sender.rpartition('@')[2]}>"


def _addresses(name: str, given: Any) -> list[str]:
    """Read one address or a list of them. The address is not shown: it is a person's."""
    found = [given] if isinstance(given, str) else given if given is not None else []
    if not isinstance(found, list) or not all(_is_address(one) for one in found):
        raise SkipRecordError(
            f"{name} is no address, nor a list of them, such as office@example.org.", error_code="format"
        )
    return [str(one).strip() for one in found]


def _is_address(given: Any) -> bool:
    return (
        isinstance(given, str)
        and bool(ADDRESS.fullmatch(given.strip()))
        and not CONTROL.search(given.strip())
    )


def _text(name: str, given: Any) -> str:
    if given is None:
        return ""
    if not isinstance(given, str) or _HALF.search(given):
        raise SkipRecordError(f"The {name} of a mail is a text.", error_code="format")
    return given


class _Reader(HTMLParser):
    """What a page says, without how."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        """Begin a line where a page would."""
        del attrs
        self._silent += tag in {"style", "script"}
        if tag in {"br", "p", "div", "li", "tr", "h1", "h2", "h3"}:
            self.said.append("\n")

    def handle_endtag(self, tag: str) -> None:
        """Hear again behind what is not shown."""
        self._silent -= tag in {"style", "script"} and self._silent > 0

    def handle_data(self, data: str) -> None:
        """Keep what is shown."""
        if not self._silent:
            self.said.append(data)


def _plain(html: str) -> str:
    """Return the text of a page, for who does not show HTML."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    lines = [" ".join(line.split()) for line in "".join(reader.said).splitlines()]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip() + "\n"
