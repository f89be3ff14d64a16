// Questions to the server. The token goes into a header, and is kept for this tab only.

const TOKEN = "atrion-studio-token";
const DEADLINE_MS = 15000;

export const BASE = new URL("api/v1/", document.baseURI).href;

let token = remembered();

function remembered() {
  try {
    return sessionStorage.getItem(TOKEN) ?? "";
  } catch {
    return "";
  }
}

export function currentToken() {
  return token;
}

export function setToken(value) {
  token = value;
  try {
    if (value) sessionStorage.setItem(TOKEN, value);
    else sessionStorage.removeItem(TOKEN);
  } catch {
    // Kept in memory only.
  }
}

/** An answer that is not what was asked for. `status` 0: no answer at all. */
export class Refusal extends Error {
  constructor(status, error, wait) {
    super(error?.message ?? (status ? `the server answered ${status}` : "the server does not answer"));
    this.status = status;
    this.code = error?.code ?? null;
    this.field = error?.field ?? null;
    this.allowed = error?.allowed ?? null;
    this.wait = wait || 0;
  }
}

async function ask(path, options, signal) {
  const headers = { ...options.headers };
  if (token) headers.Authorization = `Bearer ${token}`;
  const deadline = options.unending ? [] : [AbortSignal.timeout(DEADLINE_MS)];
  const signals = AbortSignal.any([...deadline, ...(signal ? [signal] : [])]);
  let response;
  try {
    response = await fetch(BASE + path, { ...options, headers, signal: signals, cache: "no-store" });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Refusal(0, null);
  }
  if (!response.ok) {
    const body = await response.json().catch(() => null);
    throw new Refusal(response.status, body?.error, Number(response.headers.get("Retry-After")));
  }
  return response;
}

/** Reads something. */
export async function get(path, signal) {
  return (await ask(path, {}, signal)).json();
}

/** Asks for something to be done. */
export async function post(path, body, signal) {
  const headers = { "Content-Type": "application/json" };
  const options = { method: "POST", headers, body: JSON.stringify(body) };
  return (await ask(path, options, signal)).json();
}

/** Reads lines of JSON until the end; for streams that are small enough for the page's thread. */
export async function stream(path, take, signal) {
  const response = await ask(path, { unending: true }, signal);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines) if (line.trim() !== "") take(JSON.parse(line));
  }
}
