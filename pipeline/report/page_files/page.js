"use strict";
// What the page shows is in its HTML; this sorts, filters and enlarges it.
const data = JSON.parse(document.getElementById("rows").textContent);
const byId = (id) => document.getElementById(id);
const form = byId("filter"), cards = byId("cards"), body = byId("table").tBodies[0];
const cardOf = [...cards.children], lineOf = [...body.children];
const state = { gallery: "", sort: "", descending: false, order: data.rows.map((_, id) => id) };

function valueOf(id, column) {
  return column === "name" ? data.rows[id].name : data.rows[id].values[column];
}

function matches(id) {
  const row = data.rows[id], wanted = form.elements;
  if (state.gallery && !(state.gallery in row.places)) return false;
  if (!row.name.toLowerCase().includes(wanted.text.value.toLowerCase())) return false;
  const column = wanted.column.value;
  if (!column) return true;
  const value = row.values[column];
  if (value === null) return false;
  const low = wanted.low.value, high = wanted.high.value;
  return (low === "" || value >= Number(low)) && (high === "" || value <= Number(high));
}

function compare(a, b) {
  if (state.sort) {
    const one = valueOf(a, state.sort), other = valueOf(b, state.sort);
    // What has no value comes last, whichever way the rest is sorted.
    if (one === null || other === null) return (one === null) - (other === null) || a - b;
    const sign = state.descending ? -1 : 1;
    if (one !== other) return sign * (one < other ? -1 : 1);
  } else if (state.gallery) {
    return data.rows[a].places[state.gallery] - data.rows[b].places[state.gallery];
  }
  return a - b;
}

function show() {
  const ids = data.rows.map((_, id) => id).filter(matches).sort(compare);
  state.order = ids;
  for (const list of [cardOf, lineOf]) for (const one of list) one.hidden = true;
  for (const id of ids) {
    cardOf[id].hidden = lineOf[id].hidden = false;
    cards.append(cardOf[id]);
    body.append(lineOf[id]);
  }
  const wide = form.elements.cards?.value === "panes";
  cards.classList.toggle("wide", wide);
  for (const id of ids) showPanes(id, wide);
  const button = document.querySelector(`.galleries [data-gallery="${state.gallery}"]`);
  const says = button.dataset.says && !state.sort ? `: ${button.dataset.says}` : "";
  byId("says").textContent = `${ids.length} of ${data.rows.length} images${says}`;
}

function picture(address, kind, alt) {
  const image = new Image();
  image.src = address;
  image.className = kind;
  image.alt = alt;
  image.draggable = false;
  return image;
}

function addressOf(id, name) {
  const row = data.rows[id];
  if (row.pictures[name]) return row.pictures[name];
  return cardOf[id].querySelector(`.thumb img.${name}`)?.src;
}

// Layers of each view, from below: [picture, class].
function layersOf(id, view) {
  const layers = data.views[view].map(([name, kind]) => [addressOf(id, name), kind, name]);
  return layers.filter(([address]) => address);
}

// What a view is of is its uppermost layer; what lies below may be missing.
function canShow(id, view) {
  return Boolean(addressOf(id, data.views[view].at(-1)[0]));
}

function showPanes(id, wide) {
  const button = cardOf[id].querySelector(".card"), thumb = button.querySelector(".thumb");
  let panes = button.querySelector(".panes");
  if (wide && !panes) {
    panes = document.createElement("span");
    panes.className = "panes";
    for (const [view, title] of data.panes.filter(([view]) => canShow(id, view))) {
      const figure = document.createElement("span"), pane = document.createElement("span");
      const caption = document.createElement("span");
      pane.className = "pane";
      pane.append(...layersOf(id, view).map(([address, kind]) => picture(address, kind, "")));
      caption.className = "facts";
      caption.textContent = title;
      figure.append(pane, caption);
      panes.append(figure);
    }
    thumb.after(panes);
  }
  if (panes) panes.hidden = !wide || !panes.children.length;
  thumb.hidden = wide && panes.children.length > 0;
}

// The large view.
const large = byId("large"), stage = byId("stage"), split = byId("split");
let current = 0, view = "split";

function viewsOf(id) {
  const views = data.large.filter(([name]) => canShow(id, name));
  return data.split.every((name) => addressOf(id, name)) ? [["split", "Slider"], ...views] : views;
}

function open(id) {
  current = id;
  const row = data.rows[id], views = viewsOf(id);
  byId("large-name").textContent = row.name;
  byId("why").textContent = row.why;
  byId("troubles").replaceChildren(...row.troubles.map((text) => {
    const item = document.createElement("li");
    item.textContent = text;
    return item;
  }));
  byId("large-figures").replaceChildren(...data.columns.filter(([name]) => row.texts[name] !== "")
    .map(([name, title]) => {
      const pair = document.createElement("div"), term = document.createElement("dt");
      const text = document.createElement("dd");
      term.textContent = title;
      text.textContent = row.texts[name];
      pair.append(term, text);
      return pair;
    }));
  if (!views.some(([name]) => name === view)) view = views.length ? views[0][0] : "";
  byId("views").replaceChildren(...views.map(([name, title]) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = title;
    button.dataset.view = name;
    button.addEventListener("click", () => { view = name; draw(); });
    return button;
  }));
  byId("previous").disabled = byId("next").disabled = state.order.length < 2;
  draw();
  if (!large.open) large.showModal();
}

function draw() {
  const row = data.rows[current], [width, height] = row.size;
  for (const button of byId("views").children) {
    button.setAttribute("aria-pressed", String(button.dataset.view === view));
  }
  stage.style.aspectRatio = `${width} / ${height}`;
  stage.style.width = `min(100%, ${Math.max(width, 2 * width)}px, ${(0.6 * innerHeight * width) / height}px)`;
  const isSplit = view === "split";
  stage.classList.toggle("split", isSplit);
  byId("slide").hidden = !isSplit;
  byId("legend").hidden = !view.startsWith("errors");
  stage.hidden = !view;
  if (!view) return stage.replaceChildren();
  if (!isSplit) {
    const title = data.large.find(([name]) => name === view)[1];
    stage.replaceChildren(...layersOf(current, view)
      .map(([address, kind], n) => picture(address, kind, n ? "" : `${row.name}: ${title}`)));
    return;
  }
  const over = document.createElement("div"), edge = document.createElement("div");
  const [left, right] = data.split;
  const isMask = (name) => name.startsWith("mask");
  over.className = "over";
  edge.className = "edge";
  over.append(picture(addressOf(current, right), isMask(right) ? "white" : "", `${row.name}: ${data.sides[1]}`));
  const below = picture(addressOf(current, left), isMask(left) ? "white" : "", `${row.name}: ${data.sides[0]}`);
  stage.replaceChildren(below, over, edge);
  place();
}

function place() {
  const [, over, edge] = stage.children;
  if (view !== "split" || !edge) return;
  over.style.clipPath = `inset(0 0 0 ${split.value}%)`;
  edge.style.left = `${split.value}%`;
}

function step(by) {
  const order = state.order.length ? state.order : [current];
  const at = order.indexOf(current);
  open(order[(at + by + order.length) % order.length]);
}

function drag(event) {
  if (view !== "split" || (event.type === "pointermove" && !event.buttons)) return;
  const box = stage.getBoundingClientRect();
  split.value = String((100 * (event.clientX - box.left)) / box.width);
  place();
}

split.addEventListener("input", place);
stage.addEventListener("pointerdown", drag);
stage.addEventListener("pointermove", drag);
byId("close").addEventListener("click", () => large.close());
byId("previous").addEventListener("click", () => step(-1));
byId("next").addEventListener("click", () => step(1));
large.addEventListener("click", (event) => { if (event.target === large) large.close(); });
large.addEventListener("keydown", (event) => {
  if (event.target === split) return;
  if (event.key === "ArrowLeft") step(-1);
  if (event.key === "ArrowRight") step(1);
});
// A form that is submitted would load the page again.
form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("input", show);
form.addEventListener("reset", () => setTimeout(() => {
  state.sort = "";
  for (const head of document.querySelectorAll("#table thead th")) head.ariaSort = "none";
  show();
}));
for (const [id, card] of cardOf.entries()) card.addEventListener("click", () => open(id));
for (const [id, line] of lineOf.entries()) {
  line.querySelector(".open").addEventListener("click", () => open(id));
}
for (const button of document.querySelectorAll(".galleries button")) {
  button.addEventListener("click", () => {
    state.gallery = button.dataset.gallery;
    for (const one of document.querySelectorAll(".galleries button")) {
      one.setAttribute("aria-pressed", String(one === button));
    }
    show();
  });
}
document.querySelectorAll(".galleries button")[1]?.click();
for (const button of document.querySelectorAll("#table thead button")) {
  button.addEventListener("click", () => {
    const column = button.dataset.sort;
    state.descending = state.sort === column && !state.descending;
    state.sort = column;
    for (const head of document.querySelectorAll("#table thead th")) head.ariaSort = "none";
    button.parentElement.ariaSort = state.descending ? "descending" : "ascending";
    show();
  });
}
