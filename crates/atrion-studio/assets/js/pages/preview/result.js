// What a replay found.

import { StackChart } from "../../charts.js";
import { described, h } from "../../dom.js";
import { count, number, percent, plain, seconds } from "../../format.js";

const FACTS = [
  ["agreement", "Same decision", "Share of the recorded requests that would be decided as they were"],
  ["current", "Same as it is", "The same under the configuration in force, which also starts without knowledge: the fairer comparison"],
  ["newly_refused", "Newly refused"],
  ["newly_admitted", "Newly admitted"],
  ["first", "First difference"],
  ["opened", "Openings", "How often the breaker opened, before and then"],
];
const MODEL = [
  ["good_rate", "Good answers per second", number],
  ["p50_ms", "Median latency", (ms) => seconds(ms / 1000)],
  ["p99_ms", "99th percentile", (ms) => seconds(ms / 1000)],
];

export function resultPanel() {
  const facts = described(FACTS);
  const tiers = h("tbody", {});
  const model = h("tbody", {});
  const fit = h("p", { class: "soft" });
  const modelTable = h("table", { class: "parts" }, h("caption", {}, "Simulated: the same callers before a fitted service"), head("", "Before", "Then"), model);
  const parts = [["admitted", "Admitted", "part-queue"], ["refused", "Refused", "bad"]];
  const chart = new StackChart({ parts, height: 170, top: (highest) => Math.max(1, highest * 1.1) });
  const element = h(
    "section",
    { class: "panel", "aria-labelledby": "step-3", hidden: true },
    h("h2", { id: "step-3" }, "3. What would have happened"),
    facts.element,
    h(
      "div",
      { class: "split" },
      h("div", { class: "wide" }, h("h3", {}, "Replayed requests per second: admitted below, refused above"), chart.element),
      h("div", { class: "side" }, h("table", { class: "parts" }, h("caption", {}, "Refused, per voltage"), head("Voltage", "Asked", "Recorded", "As it is", "Changed"), tiers), modelTable, fit),
    ),
  );
  let shown = null;

  return {
    element,
    show(result) {
      element.hidden = !result;
      const stamp = JSON.stringify(result);
      if (!result || stamp === shown) return;
      shown = stamp;
      facts.set("agreement", percent(result.agreement));
      facts.set("current", percent(result.agreement_current));
      facts.set("newly_refused", count(result.newly_refused));
      facts.set("newly_admitted", count(result.newly_admitted));
      facts.set("first", result.first_difference_secs === null ? "none" : `after ${seconds(result.first_difference_secs)}`);
      const openings = (list) => list.filter(([, open]) => open).length;
      facts.set("opened", `${openings(result.modes_before)}, then ${openings(result.modes_after)}`);
      tiers.replaceChildren(...result.tiers.map((tier) => line(`${plain(tier.volt)} V`, count(tier.asked), count(tier.refused_before), count(tier.refused_current), count(tier.refused_after))));
      showModel(result.model);
      showBins(result);
    },
    stop: () => chart.stop(),
  };

  function showModel(said) {
    modelTable.hidden = !said;
    fit.textContent = said ? `The fitted service is off by ${percent(said.fit_error)}: read small differences with that in mind.` : "No service could be fitted to this recording, so latencies are not simulated.";
    if (said) model.replaceChildren(...MODEL.map(([key, label, text]) => line(label, text(said[`${key}_before`]), text(said[`${key}_after`]))));
  }

  function showBins({ bins, bin_secs: width }) {
    // uPlot wants moments; the recording starts at midnight, so to speak, and its axis shows that.
    const start = new Date(2000, 0, 1).getTime() / 1000;
    const admitted = bins.map((bin) => bin.admitted / width);
    const sums = bins.map((bin) => (bin.admitted + bin.refused) / width);
    chart.show(bins.map((bin) => start + bin.at_secs), [admitted, sums]);
  }
}

function head(...labels) {
  return h("thead", {}, h("tr", {}, labels.map((text, i) => (text === "" ? h("td", {}) : h("th", { scope: "col", class: i ? "figure" : null }, text)))));
}

function line(label, ...values) {
  return h("tr", {}, h("th", { scope: "row" }, label), values.map((value) => h("td", { class: "figure" }, value)));
}
