// Asks for the token. It goes into a header and stays in this tab.

import { h } from "../dom.js";

export function tokenPage(wrong, onToken) {
  const field = h("input", { id: "token", type: "password", required: true, autocomplete: "off", spellcheck: "false", "aria-describedby": "token-help", "aria-invalid": wrong ? "true" : null });
  const form = h(
    "form",
    { class: "stack narrow panel" },
    h("h1", {}, "This Studio needs a token"),
    h("p", { id: "token-help", class: "soft" }, "Whoever set it up knows it. It is sent in a header only and kept until this tab is closed."),
    wrong ? h("p", { class: "problem", role: "alert" }, "The token was not accepted.") : null,
    h("label", { class: "field", for: "token" }, "Token", field),
    h("div", { class: "buttons" }, h("button", { class: "main", type: "submit" }, "Continue")),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (field.value !== "") onToken(field.value);
  });
  return { title: "Token", element: form, focus: field };
}
