// The tables of templates/: sorted by a column's heading, filtered by words, and what stands behind a
// row opened by its name. A row moves with what it opens.
(() => {
  const value = (group, column) => {
    const text = group[0].cells[column].textContent.trim();
    const number = parseFloat(text.replaceAll(",", ""));
    return { text, number: text === "-" || text === "" ? NaN : number };
  };

  const groups = (body) => {
    const found = [];
    for (const row of body.rows) {
      if (row.matches(".behind")) found.at(-1).push(row);
      else found.push([row]);
    }
    found.forEach((group, place) => (group[0].dataset.place ??= place));
    return found;
  };

  const sort = (table, column, down) => {
    const body = table.tBodies[0];
    const numeric = table.tHead.rows[0].cells[column]?.matches(".number");
    const sorted = groups(body).sort((a, b) => {
      if (column < 0) return a[0].dataset.place - b[0].dataset.place;
      const [x, y] = [value(a, column), value(b, column)];
      if (!numeric) return (down ? -1 : 1) * x.text.localeCompare(y.text);
      if (isNaN(x.number) || isNaN(y.number)) return isNaN(x.number) - isNaN(y.number);
      return (down ? -1 : 1) * (x.number - y.number);
    });
    body.append(...sorted.flat());
    [...table.tHead.rows[0].cells].forEach((head, place) => {
      if (place === column) head.setAttribute("aria-sort", down ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    });
  };

  const open = (button, wanted) => {
    button.setAttribute("aria-expanded", wanted);
    document.getElementById(button.getAttribute("aria-controls")).hidden = !wanted;
  };

  const filter = (field) => {
    const facts = field.closest(".facts");
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    let [shown, all] = [0, 0];
    for (const group of groups(facts.querySelector("tbody"))) {
      const text = group.filter((row) => !row.matches(".behind")).map((row) => row.textContent);
      const fits = words.every((word) => text.join(" ").toLowerCase().includes(word));
      all += 1;
      shown += fits;
      for (const row of group) row.classList.toggle("filtered", !fits);
    }
    facts.querySelector(".finder [role=status]").textContent = words.length ? `${shown} of ${all} rows` : "";
  };

  document.addEventListener("click", (event) => {
    const button = event.target.closest?.(".facts table button");
    if (!button) return;
    if (button.hasAttribute("aria-controls")) {
      open(button, button.getAttribute("aria-expanded") !== "true");
    } else {
      const head = button.closest("th");
      // numbers begin with the largest
      const before = head.getAttribute("aria-sort");
      const down = before ? before === "ascending" : head.matches(".number");
      sort(head.closest("table"), head.cellIndex, down);
    }
  });
  document.addEventListener("input", (event) => {
    if (event.target.matches?.(".facts .finder input")) filter(event.target);
  });
  document.addEventListener("focusin", (event) => {
    const choice = event.target.closest?.(".facts .finder select");
    if (!choice || choice.length > 1) return;
    const heads = choice.closest(".facts").querySelectorAll("thead th");
    heads.forEach((head, place) => choice.add(new Option(head.textContent, place)));
  });
  document.addEventListener("change", (event) => {
    const choice = event.target.closest?.(".facts .finder select");
    if (!choice) return;
    const table = choice.closest(".facts").querySelector("table");
    const column = choice.value === "" ? -1 : Number(choice.value);
    sort(table, column, column >= 0 && table.tHead.rows[0].cells[column].matches(".number"));
  });
})();
