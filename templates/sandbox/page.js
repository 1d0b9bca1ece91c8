// Renews the living parts of a page; what somebody types stands outside of them.
"use strict";
const renew = async () => {
  if (document.hidden) return;
  try {
    const answer = await fetch(location.href, { credentials: "same-origin" });
    if (!answer.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of document.querySelectorAll("[data-live]")) {
      const next = fresh.getElementById(part.id);
      if (!next || part.contains(document.activeElement) || part.dataset.seen === next.innerHTML) continue;
      const open = [...part.querySelectorAll("details")].map((one) => one.open);
      part.dataset.seen = next.innerHTML;
      part.replaceChildren(...next.childNodes);
      part.querySelectorAll("details").forEach((one, at) => { if (at < open.length) one.open = open[at]; });
    }
  } catch { /* the sandbox ended; the page stays as it was */ }
};
setInterval(renew, 2000);
