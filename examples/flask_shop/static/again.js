// SPDX-License-Identifier: MIT
// Check until the course is there. The text changes in place and is read out, because a
// reload makes a screen reader lose its place. Without scripts, the page reloads.
"use strict";

const seconds = Number(document.currentScript.dataset.seconds);
const main = document.querySelector("main");
main.setAttribute("aria-live", "polite");

async function look() {
  const answer = await fetch(location.href);
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.querySelector("main");
  if (fresh.textContent === main.textContent) return;
  document.title = page.title;
  main.replaceChildren(...fresh.childNodes);
  if (!page.querySelector("script[data-seconds]")) clearInterval(timer);
}

const timer = setInterval(() => look().catch(() => {}), seconds * 1000);
