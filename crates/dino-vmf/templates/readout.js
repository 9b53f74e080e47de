// Shows the values of all lines of a plot at the step under the pointer. Without scripts, the description of each
// plot and the tables have its last values.
(() => {
  const box = document.createElement("div");
  box.id = "readout";
  box.hidden = true;
  document.body.append(box);
  // The value at a share of an axis, "low high scale".
  const value = (axis, share) => {
    const [low, high, scale] = axis.split(" "), [from, to] = [Number(low), Number(high)];
    return scale === "logarithmic" ? from * (to / from) ** share : from + share * (to - from);
  };
  const show = (event) => {
    const svg = event.target.closest && event.target.closest("svg[data-area]");
    box.hidden = !svg;
    if (!svg) return;
    const { x } = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    const [left, right, top, bottom] = svg.dataset.area.split(" ").map(Number);
    const lines = [...svg.querySelectorAll("polyline[data-name]")].map((line) => {
      const away = (point) => Math.abs(point.x - x);
      const near = Array.from(line.points).reduce((a, b) => (away(b) < away(a) ? b : a));
      const step = Math.round(value(svg.dataset.x, (near.x - left) / (right - left)));
      const number = value(svg.dataset.y, (bottom - near.y) / (bottom - top));
      return `${line.dataset.name}: ${Number(number.toPrecision(4))} at step ${step}`;
    });
    box.hidden = lines.length === 0;
    box.textContent = lines.join("\n");
    const { width, height } = box.getBoundingClientRect();
    box.style.left = `${Math.max(4, Math.min(event.clientX + 14, innerWidth - width - 4))}px`;
    box.style.top = `${Math.max(4, event.clientY - height - 12)}px`;
  };
  document.addEventListener("pointermove", show);
  document.addEventListener("pointerdown", show);
})();
