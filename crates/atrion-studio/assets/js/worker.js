// Reads the overview's stream beside the page's own thread: parsing a megabyte must not cost a
// frame. Hands over typed arrays; the page only copies them.

let current = null;

onmessage = ({ data }) => {
  if (current) current.abort();
  current = null;
  if (data.open) {
    current = new AbortController();
    read(data, current.signal);
  }
};

async function read({ url, token, width, turn }, signal) {
  const tell = (message, transfer) => postMessage({ ...message, turn }, transfer ?? []);
  try {
    const headers = token ? { Authorization: `Bearer ${token}` } : {};
    const response = await fetch(url, { headers, signal, cache: "no-store" });
    if (!response.ok || !response.body) {
      const body = await response.json().catch(() => null);
      const wait = Number(response.headers.get("Retry-After"));
      tell({ t: "refused", status: response.status, error: body?.error ?? null, wait });
      return;
    }
    await lines(response.body, (line) => {
      const [message, transfer] = pack(JSON.parse(line), width);
      tell(message, transfer);
    });
    tell({ t: "ended" });
  } catch (error) {
    if (!signal.aborted) tell({ t: "broken", why: String(error?.message ?? error) });
  }
}

async function lines(body, take) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let parts = [];
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    let from = 0;
    for (let end = value.indexOf("\n"); end >= 0; end = value.indexOf("\n", from)) {
      parts.push(value.slice(from, end));
      const line = parts.join("");
      parts = [];
      from = end + 1;
      if (line.trim() !== "") take(line);
    }
    if (from < value.length) parts.push(value.slice(from));
  }
}

const known = (value) => (typeof value === "number" ? value : NaN);

function rows(list, width) {
  const ids = new Float64Array(list.length);
  const names = new Array(list.length);
  const values = new Float64Array(list.length * width);
  list.forEach((row, i) => {
    ids[i] = row[0];
    names[i] = String(row[1]);
    for (let c = 0; c < width; c += 1) values[i * width + c] = known(row[c + 2]);
  });
  return { ids, names, values };
}

function changes(list) {
  const ids = new Float64Array(list.length);
  const masks = new Uint32Array(list.length);
  let total = 0;
  for (const row of list) total += row.length - 2;
  const values = new Float64Array(total);
  let at = 0;
  list.forEach((row, i) => {
    ids[i] = row[0];
    masks[i] = row[1];
    for (let c = 2; c < row.length; c += 1) values[at++] = known(row[c]);
  });
  return { ids, masks, values };
}

function pack(message, width) {
  if (message.t === "snapshot") {
    const all = rows(message.routes, width);
    return [{ ...message, routes: all }, [all.ids.buffer, all.values.buffer]];
  }
  if (message.t === "delta") {
    const added = rows(message.added ?? [], width);
    const changed = changes(message.changed ?? []);
    const gone = Float64Array.from(message.gone ?? []);
    const buffers = [added.ids, added.values, changed.ids, changed.masks, changed.values, gone];
    return [{ ...message, added, changed, gone }, buffers.map((array) => array.buffer)];
  }
  return [message, []];
}
