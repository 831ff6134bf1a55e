// SPDX-License-Identifier: MIT
// The pages work without this. It asks before what can't be undone, shows moments in
// local time, and keeps the overview fresh.
"use strict";

for (const button of document.querySelectorAll("[data-confirm]")) {
  button.addEventListener("click", (event) => {
    if (!window.confirm(button.dataset.confirm)) event.preventDefault();
  });
}

function localTimes(root) {
  for (const time of root.querySelectorAll("time")) {
    time.title = new Date(time.dateTime).toLocaleString();
  }
}

async function refresh(live) {
  if (document.hidden || live.contains(document.activeElement)) return;
  if (live.querySelector("details[open]")) return;
  const answer = await fetch(location.href, { credentials: "same-origin" });
  if (!answer.ok || answer.redirected) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.querySelector("[data-live]");
  if (fresh) {
    live.replaceChildren(...fresh.childNodes);
    localTimes(live);
  }
}

localTimes(document);
const live = document.querySelector("[data-live]");
if (live) setInterval(() => refresh(live).catch(() => {}), 15000);
