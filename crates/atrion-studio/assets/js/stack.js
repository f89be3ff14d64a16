// The parts of a resistance as the page stacks them, from a sample as the server sends it. Pure.

/** Parts in the order in which they are stacked, from below: key, label, colour, meaning. */
export const PARTS = [
  ["base", "Base", "part-base", "Resistance of the untroubled route."],
  ["queue", "Queue", "part-queue", "The queue a request would have to wait in."],
  ["process", "Process", "part-process", "The same of the whole process's element, if there is one."],
  ["latency", "Latency pressure", "part-latency", "Reported telemetry: latency against its baseline."],
  ["errors", "Error pressure", "part-errors", "Reported telemetry: errors."],
  ["saturation", "Saturation pressure", "part-saturation", "Reported telemetry: saturation."],
  ["momentum", "Momentum", "part-momentum", "Reported telemetry: how fast pressure rises."],
  ["stale", "Staleness", "part-stale", "Reported telemetry: how old the last report is."],
  ["reported", "Other reported", "part-reported", "What else reported telemetry adds, its own scar above all."],
  ["scar", "Own scar", "part-scar", "Memory of failures that this node saw itself."],
  ["cluster", "Cluster scar", "part-cluster", "What the other nodes' words add to it."],
];

/** Where things are in a sample. */
export const SAMPLE = {
  at: 0, mode: 1, base: 2, saturation: 3, process: 4, scar: 5, cluster: 6, reported: 7,
  latency: 8, errors: 9, pressure: 10, momentum: 11, staleness: 12,
  inFlight: 13, errorRate: 14, service: 15, admitted: 16, shed: 17,
};

/** A sample's parts in ohms, in the order of PARTS. They add up to the resistance. */
export function partsOf(sample) {
  const reported = sample[SAMPLE.reported] ?? 0;
  // What is better than its baseline resists nobody.
  const five = [8, 9, 10, 11, 12].map((i) => Math.max(0, sample[i] ?? 0));
  const sum = five.reduce((a, b) => a + b, 0);
  // The parts of a report are shown as far as the report counts.
  const scale = sum > reported && sum > 0 ? reported / sum : 1;
  const rest = Math.max(0, reported - sum * scale);
  const scaled = five.map((part) => part * scale);
  return [
    sample[SAMPLE.base] ?? 0,
    sample[SAMPLE.saturation] ?? 0,
    sample[SAMPLE.process] ?? 0,
    ...scaled,
    rest < 1e-9 ? 0 : rest,
    sample[SAMPLE.scar] ?? 0,
    sample[SAMPLE.cluster] ?? 0,
  ];
}

export const totalOf = (sample) => partsOf(sample).reduce((a, b) => a + b, 0);

/** Sums from below, one array per part, for a stacked chart. */
export function stacked(samples, rowOf, width) {
  const series = Array.from({ length: width }, () => new Array(samples.length));
  samples.forEach((sample, i) => {
    let sum = 0;
    const row = rowOf(sample);
    for (let p = 0; p < width; p += 1) {
      sum += row?.[p] ?? 0;
      series[p][i] = sum;
    }
  });
  return series;
}

/**
 * The top of the resistance chart: the next voltage that flows still, or has ceased to, with some
 * room. What lies above the highest is cut: no voltage reaches it.
 */
export function ceiling(highest, tiers) {
  const next = tiers.map((tier) => tier.volt).sort((a, b) => a - b).find((volt) => volt > highest);
  return (next ?? Math.max(...tiers.map((tier) => tier.volt), 1)) * 1.15;
}

/** Stretches of one mode each: `{mode, from, to}` in milliseconds. */
export function stretches(samples, intervalMs) {
  const found = [];
  for (const sample of samples) {
    const [at, mode] = sample;
    const last = found.at(-1);
    if (last && last.mode === mode && at - last.to < intervalMs * 3) last.to = at;
    else {
      if (last && at - last.to < intervalMs * 3) last.to = at;
      found.push({ mode, from: at, to: at });
    }
  }
  return found;
}
