// Sorts and searches the table of prototypes, and shows the images of the selected one beside it. Without
// scripts the page shows the table as written and all images below it.
(() => {
  const list = document.getElementById("list"), gallery = document.getElementById("gallery");
  const body = list.querySelector("tbody"), rows = [...body.rows];
  const selected = document.createElement("div");
  selected.id = "selected";
  gallery.after(selected);
  gallery.hidden = true;

  const select = (row) => {
    const images = document.getElementById("p" + row.dataset.p);
    const title = document.createElement("h3");
    title.textContent = images.querySelector("summary").textContent;
    selected.replaceChildren(title, images.querySelector(".strip").cloneNode(true));
    rows.forEach((other) => other.classList.toggle("selected", other === row));
  };
  // Moves to the next row with images that is shown, `by` rows further in the order of the table.
  const move = (row, by) => {
    const shown = [...body.rows].filter((other) => other.dataset.p && !other.hidden);
    const next = shown[shown.indexOf(row) + by];
    if (!next) return;
    next.focus();
    next.scrollIntoView({ block: "nearest" });
    select(next);
  };
  for (const row of rows) {
    if (!row.dataset.p) continue;
    row.tabIndex = 0;
    row.onclick = () => select(row);
    row.onkeydown = (event) => {
      const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (event.key === "Enter") select(row);
      if (!by) return;
      event.preventDefault();
      move(row, by);
    };
  }
  const first = rows.find((row) => row.dataset.p);
  if (first) select(first);

  const none = document.createElement("p");
  none.id = "none";
  none.hidden = true;
  list.append(none);
  const search = document.createElement("input");
  search.type = "search";
  search.placeholder = "number or label";
  search.setAttribute("aria-label", "Search prototypes");
  search.oninput = () => {
    const text = search.value.trim().toLowerCase();
    for (const row of rows) {
      const number = row.cells[0].textContent, label = row.cells[4] ? row.cells[4].textContent : "";
      row.hidden = !(number.startsWith(text) || (text && label.toLowerCase().includes(text)));
    }
    none.hidden = rows.some((row) => !row.hidden);
    none.textContent = `No prototype has this number or label: ${search.value.trim()}`;
  };
  list.parentElement.before(search);

  const head = list.querySelector("thead");
  head.classList.add("sortable");
  const sort = (cell) => {
    const up = cell.getAttribute("aria-sort") === "descending";
    [...cell.parentElement.cells].forEach((other) => other.removeAttribute("aria-sort"));
    cell.setAttribute("aria-sort", up ? "ascending" : "descending");
    const value = (row) => row.cells[cell.cellIndex].textContent;
    rows.sort((a, b) => {
      const x = parseFloat(value(a)), y = parseFloat(value(b));
      const order = isNaN(x) || isNaN(y) ? value(a).localeCompare(value(b)) : x - y;
      return up ? order : -order;
    });
    body.append(...rows);
  };
  for (const cell of head.rows[0].cells) {
    cell.tabIndex = 0;
    cell.onclick = () => sort(cell);
    cell.onkeydown = (event) => { if (event.key === "Enter") sort(cell); };
  }
})();
