// Buttons that copy a text. They are hidden where this does not run.
"use strict";

async function copy(text) {
  if (navigator.clipboard) {
    return navigator.clipboard.writeText(text);
  }
  // Without https there is no clipboard, but what is selected can still be copied.
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "unseen";
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  if (!done) {
    throw new Error("not copied");
  }
}

function show(button) {
  button.hidden = false;
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-text], button[data-copy]");
  if (!button) {
    return;
  }
  const said = document.getElementById("copied");
  try {
    await copy(button.dataset.text ?? document.getElementById(button.dataset.copy).textContent);
    said.textContent = "Copied";
    button.classList.add("done");
    setTimeout(() => button.classList.remove("done"), 1500);
  } catch {
    said.textContent = "Not copied: select the text instead";
  }
  button.focus();
  setTimeout(() => { said.textContent = ""; }, 3000);
});

document.querySelectorAll("button[data-text], button[data-copy]").forEach(show);
