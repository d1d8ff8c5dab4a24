// Brings the status page up to date every few seconds, part by part, until it is paused.
"use strict";

const EVERY = 5000;
const state = document.getElementById("live-state");
const pause = document.getElementById("live-pause");
let isPaused = false;

function isInUse(part) {
  const selection = document.getSelection();
  return part.contains(document.activeElement)
    || (!selection.isCollapsed && selection.containsNode(part, true));
}

function replace(part, fresh) {
  if (!fresh) {
    part.remove();
    return;
  }
  const wasOpen = [...part.querySelectorAll("details")].map((one) => one.open);
  [...fresh.querySelectorAll("details")].forEach((one, index) => { one.open = wasOpen[index]; });
  fresh.querySelectorAll("button[data-copy]").forEach((one) => { one.hidden = false; });
  part.replaceWith(fresh);
}

async function update() {
  if (isPaused || document.hidden) {
    return;
  }
  try {
    const answer = await fetch(location.href, { cache: "no-store" });
    if (!answer.ok) {
      throw new Error(`status ${answer.status}`);
    }
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of document.querySelectorAll("[data-live]")) {
      if (!isInUse(part)) {
        replace(part, fresh.getElementById(part.id));
      }
    }
    state.textContent = "Updated every 5 seconds.";
  } catch {
    state.textContent = "No answer from the exporter: this is how it was.";
  }
}

pause.addEventListener("click", () => {
  isPaused = !isPaused;
  pause.setAttribute("aria-pressed", String(isPaused));
  state.textContent = isPaused ? "Paused." : "Updated every 5 seconds.";
  update();
});

state.textContent = "Updated every 5 seconds.";
document.getElementById("live").hidden = false;
setInterval(update, EVERY);
