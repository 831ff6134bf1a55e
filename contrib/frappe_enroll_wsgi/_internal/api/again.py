# SPDX-License-Identifier: MIT
"""
How the return page looks again by itself until the course is there.

With scripts its words change in place: a page that is loaded anew takes a screen
reader's place away. Without them it is loaded anew.
"""

from __future__ import annotations

import base64
import hashlib


_SCRIPT = """
const main = document.querySelector("main");
async function look() {
  const answer = await fetch(location.href, { redirect: "manual" });
  if (answer.type === "opaqueredirect") return location.reload();
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.querySelector("main");
  if (fresh.textContent === main.textContent) return;
  document.title = page.title;
  main.replaceChildren(...fresh.childNodes);
  if (!fresh.dataset.seconds) clearInterval(timer);
}
const timer = setInterval(() => look().catch(() => {}), main.dataset.seconds * 1000);
"""
_DIGEST = base64.b64encode(hashlib.sha256(_SCRIPT.encode()).digest()).decode()

#: Belongs at the end of the page.
SCRIPT = f"<script>{_SCRIPT}</script>"
#: Lets nothing but this script run, and look only here.
POLICY = (
    f"default-src 'none'; script-src 'sha256-{_DIGEST}'; connect-src 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
