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
  for (const row of rows) {
    if (!row.dataset.p) continue;
    row.tabIndex = 0;
    row.onclick = () => select(row);
    row.onkeydown = (event) => { if (event.key === "Enter") select(row); };
  }
  const first = rows.find((row) => row.dataset.p);
  if (first) select(first);

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
  };
  list.parentElement.before(search);

  const head = list.querySelector("thead");
  head.classList.add("sortable");
  head.onclick = (event) => {
    const cell = event.target.closest("th");
    if (!cell) return;
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
})();
