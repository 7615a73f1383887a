// Comfort only: every page works without it.
"use strict";

// a list follows its filters at once
document.querySelectorAll("form[data-follow] select").forEach((select) => {
  select.addEventListener("change", () => select.form.requestSubmit());
});

// a text half written is not lost by a slip
let written = false;
document.querySelectorAll("form[data-guard]").forEach((form) => {
  form.addEventListener("input", () => { written = true; });
  form.addEventListener("submit", () => { written = false; });
});
window.addEventListener("beforeunload", (event) => {
  if (written) event.preventDefault();
});

// two clicks send one form
document.querySelectorAll("form[method=post]").forEach((form) => {
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "1";
    setTimeout(() => { delete form.dataset.sent; }, 4000);
  });
});

document.querySelectorAll("[data-print]").forEach((button) => {
  button.hidden = false;
  button.addEventListener("click", () => window.print());
});
