"use strict";
// Draws openapi.json. Text of the description is only ever set as text, never read as markup.

const make = (name, text, ...inside) => {
  const element = document.createElement(name);
  if (text) element.textContent = text;
  element.append(...inside);
  return element;
};

const table = (heads, rows) => {
  const head = make("thead", "", make("tr", "", ...heads.map((text) => make("th", text))));
  const cell = (inside) => make("td", "", inside instanceof Node ? inside : document.createTextNode(inside ?? ""));
  return make("table", "", head, make("tbody", "", ...rows.map((row) => make("tr", "", ...row.map(cell)))));
};

let whole;
const at = (reference) => reference.slice(2).split("/").reduce((value, name) => value?.[name], whole);
const called = (reference) => reference.split("/").pop();

// A schema as an example of its form, with words behind the fields.
const form = (schema, depth, seen) => {
  const pad = "  ".repeat(depth);
  if (!schema) return "any";
  if (schema.$ref) {
    if (seen.includes(schema.$ref)) return called(schema.$ref);
    const inner = at(schema.$ref);
    const plain = inner?.type === "string" || inner?.type === "integer";
    return plain ? called(schema.$ref) : form(inner, depth, [...seen, schema.$ref]);
  }
  const choices = schema.oneOf ?? schema.anyOf;
  if (choices) return choices.map((choice) => form(choice, depth, seen)).join(" or ");
  if (schema.allOf) return schema.allOf.map((part) => form(part, depth, seen)).join(" and ");
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" or ");
  const type = [schema.type ?? "any"].flat();
  if (type.includes("array")) return `[${form(schema.items, depth, seen)}, ..]`;
  if (schema.properties) {
    const lines = Object.entries(schema.properties).map(([name, field]) => {
      const free = (schema.required ?? []).includes(name) ? "" : "?";
      const words = field.description ? `  // ${field.description.split("\n")[0]}` : "";
      return `${pad}  ${name}${free}: ${form(field, depth + 1, seen)},${words}`;
    });
    return `{\n${lines.join("\n")}\n${pad}}`;
  }
  return type.join(" or ");
};

const content = (holder) =>
  Object.entries(holder?.content ?? {}).flatMap(([kind, media]) => [make("p", kind), make("pre", form(media.schema, 0, []))]);

const drawn = (path, method, operation) => {
  const inside = make("div");
  if (operation.description) inside.append(make("p", operation.description));
  const security = operation.security ?? whole.security;
  const names = security.flatMap((one) => Object.keys(one));
  inside.append(make("p", names.length ? `Credentials: ${names.join(" or ")}.` : "Open to everybody."));
  if (operation.parameters?.length) {
    const rows = operation.parameters.map((one) => [
      make("code", one.name), one.in, one.required ? "needed" : "", form(one.schema, 0, []), one.description,
    ]);
    inside.append(make("h3", "Parameters"), table(["name", "in", "", "form", ""], rows));
  }
  if (operation.requestBody) inside.append(make("h3", "Body"), ...content(operation.requestBody));
  const refusals = [];
  for (const [status, said] of Object.entries(operation.responses)) {
    if (said.$ref) refusals.push([status, at(said.$ref).description]);
    else inside.append(make("h3", `Answer ${status}`), make("p", said.description), ...content(said));
  }
  inside.append(make("h3", "Refusals (problem documents)"), table(["status", ""], refusals));
  const head = make("summary", "", make("span", method.toUpperCase()), make("code", path));
  head.firstChild.className = "method";
  const words = make("span", ` ${operation.summary ?? ""}`);
  words.className = "words";
  head.append(words);
  const all = make("details", "", head, inside);
  all.id = operation.operationId;
  all.dataset.words = `${method} ${path} ${operation.summary ?? ""}`.toLowerCase();
  return all;
};

const search = (text) => {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  let count = 0;
  for (const section of document.querySelectorAll("section")) {
    let any = false;
    for (const one of section.querySelectorAll("details")) {
      one.hidden = !words.every((word) => one.dataset.words.includes(word));
      any ||= !one.hidden;
      count += one.hidden ? 0 : 1;
    }
    section.hidden = !any;
  }
  document.getElementById("found").textContent = `${count} operations`;
};

const draw = (description) => {
  whole = description;
  document.title = `${whole.info.title} API ${whole.info.version}`;
  document.getElementById("about").textContent = whole.info.description;
  const sections = new Map(whole.tags.map((tag) => [tag.name, make("section", "", make("h2", tag.name), make("p", tag.description))]));
  for (const [path, item] of Object.entries(whole.paths)) {
    for (const [method, operation] of Object.entries(item)) {
      sections.get(operation.tags[0]).append(drawn(path, method, operation));
    }
  }
  document.getElementById("routes").replaceChildren(...sections.values());
  search("");
  // An address that names an operation opens it.
  const named = document.getElementById(location.hash.slice(1));
  if (named) { named.open = true; named.scrollIntoView(); named.firstChild.focus(); }
};

document.getElementById("search").addEventListener("input", (event) => search(event.target.value));
fetch("/api/v1/openapi.json")
  .then((answer) => answer.json())
  .then(draw)
  .catch((error) => document.getElementById("routes").replaceChildren(make("p", `openapi.json cannot be read: ${error}`)));
