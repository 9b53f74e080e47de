// Asks the server every two seconds whether the page has changed, and puts the sections that have changed in their
// places. The scroll position and open details stay.
(() => {
  const live = document.getElementById("live");
  let version = null;
  const say = (text) => {
    live.hidden = !text;
    if (live.textContent !== text) live.textContent = text;
  };
  const replace = (old, next) => {
    if (old.outerHTML === next.outerHTML) return;
    const open = [...old.querySelectorAll("details[open]")].map((part) => part.id);
    next.querySelectorAll("details").forEach((part) => { part.open = open.includes(part.id); });
    if (old.outerHTML !== next.outerHTML) old.replaceWith(next);
  };
  const update = async () => {
    const text = await (await fetch("/")).text();
    const next = new DOMParser().parseFromString(text, "text/html");
    const ids = (of) => [...of.querySelectorAll("main > section")].map((part) => part.id);
    const [x, y] = [scrollX, scrollY];
    document.querySelector(".sub").replaceWith(next.querySelector(".sub"));
    for (const id of ids(document)) if (!next.getElementById(id)) document.getElementById(id).remove();
    let before = live;
    for (const id of ids(next)) {
      const old = document.getElementById(id), part = next.getElementById(id);
      if (old) replace(old, part); else before.after(part);
      before = document.getElementById(id);
    }
    scrollTo(x, y);
  };
  const look = async () => {
    try {
      const found = await (await fetch("/version")).json();
      if (version !== null && found.version !== version) await update();
      version = found.version;
      say(found.problem);
    } catch {
      say("The server has ended; the page shows what it was told last.");
    }
    setTimeout(look, 2000);
  };
  look();
})();
