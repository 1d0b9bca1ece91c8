// Renews the living parts of a page; what somebody types stands outside of them.
"use strict";
const parts = [...document.querySelectorAll("[data-live]")];
const seen = new Map(parts.map((part) => [part, part.innerHTML]));
const renew = async () => {
  if (document.hidden) return;
  try {
    const answer = await fetch(location.href, { credentials: "same-origin" });
    if (!answer.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of parts) {
      const next = fresh.getElementById(part.id);
      if (!next || part.contains(document.activeElement) || seen.get(part) === next.innerHTML) continue;
      const open = [...part.querySelectorAll("details")].map((one) => one.open);
      seen.set(part, next.innerHTML);
      part.replaceChildren(...next.childNodes);
      part.querySelectorAll("details").forEach((one, at) => { if (at < open.length) one.open = open[at]; });
    }
  } catch { /* the sandbox ended; the page stays as it was */ }
};
setInterval(renew, 2000);
