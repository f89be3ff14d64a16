// Starts the page: token, session, stream, and one page at a time below the navigation.

import { announce } from "./announce.js";
import { currentToken, get, setToken } from "./api.js";
import { h, setAttribute, setText } from "./dom.js";
import { Feed } from "./feed.js";
import { notice } from "./notices.js";
import { showHealth, showLink } from "./state.js";
import { Store } from "./store.js";
import { startTheme } from "./theme.js";
import { auditPage } from "./pages/audit.js";
import { clusterPage } from "./pages/cluster.js";
import { configPage } from "./pages/config.js";
import { eventsPage } from "./pages/events.js";
import { licencePage } from "./pages/licence.js";
import { previewPage } from "./pages/preview.js";
import { routePage } from "./pages/route.js";
import { routesPage } from "./pages/routes.js";
import { tokenPage } from "./pages/token.js";

const PAGES = {
  routes: routesPage,
  route: routePage,
  cluster: clusterPage,
  events: eventsPage,
  preview: previewPage,
  config: configPage,
  audit: auditPage,
  licence: licencePage,
};
const LICENCE_LOOK_MS = 10000;
const START_LOOK_MS = 2000;

const app = {
  session: null,
  store: null,
  feed: null,
  page: null,
  paused: false,
  /** The server's clock, as far as it is known, in milliseconds since 1970. */
  now: () => (app.store?.now ? app.store.now + (performance.now() - app.heard) : Date.now()),
  heard: 0,
  /** The last route that was looked at, by name: its id is another one after a restart. */
  lastRoute: null,
};

function show(page, { focus = true } = {}) {
  app.page?.stop?.();
  app.page = page;
  const main = document.getElementById("main");
  main.replaceChildren(page.element);
  document.title = `${page.title} \u2013 Atrion Studio`;
  if (focus) {
    const heading = main.querySelector("h1");
    heading?.setAttribute("tabindex", "-1");
    (page.focus ?? heading)?.focus({ preventScroll: true });
    scrollTo(0, 0);
  }
  page.start?.();
}

function place() {
  const [, name = "", rest = ""] = /^#\/([a-z]*)\/?(.*)$/.exec(location.hash) ?? [];
  return { name: PAGES[name] ? name : "routes", rest };
}

let isFirst = true;
let hadData = false;

function navigate() {
  if (!app.session || !app.feed) return;
  const { name, rest } = place();
  for (const link of document.querySelectorAll("#nav a")) {
    const own = link.getAttribute("href").slice(2);
    setAttribute(link, "aria-current", own === name || (own === "routes" && name === "route") ? "page" : null);
  }
  show(PAGES[name](app, rest), { focus: !isFirst });
  isFirst = false;
}

/** Pauses or resumes everything that moves. */
function setPaused(paused) {
  app.paused = paused;
  const button = document.getElementById("pause");
  setAttribute(button, "aria-pressed", paused);
  setText(button, paused ? "Resume updates" : "Pause updates");
  announce(paused ? "Updates paused" : "Updates resumed");
  if (!paused) app.page?.onData?.();
}

function onData() {
  app.heard = performance.now();
  showHealth(app);
  if (!app.paused && !document.hidden) app.page?.onData?.();
}

async function askForToken(wrong) {
  stopFeed();
  show(tokenPage(wrong, (token) => {
    setToken(token);
    begin();
  }));
}

function stopFeed() {
  app.feed?.stop();
  app.feed = null;
}

function onRefused({ status, error }) {
  if (status === 401) askForToken(error?.code === "token_wrong" || currentToken() !== "");
  else begin();
}

/** Asks who is there; tries again until somebody answers. */
async function begin() {
  stopFeed();
  let session;
  try {
    const access = await get("access");
    if (access.token_required && !currentToken()) return askForToken(false);
    session = await get("session");
  } catch (error) {
    if (error.status === 401) return askForToken(error.code === "token_wrong");
    showLink({ state: "waiting", why: error.message, secondsLeft: () => null }, begin);
    notice("access", error.status === 0 ? null : { tone: "bad", title: "The server refuses.", text: error.message });
    return setTimeout(begin, Math.max(START_LOOK_MS, error.wait * 1000));
  }
  notice("access", null);
  greet(session);
}

function greet(session) {
  const restarted = app.session && app.session.started_ms !== session.started_ms;
  app.session = session;
  const badge = document.getElementById("mode-badge");
  badge.hidden = false;
  setText(badge, session.actions ? "Actions on" : "Read only");
  setText(document.getElementById("instance"), session.instance);
  if (!session.license.usable) {
    showLink({ state: "unlicensed" }, begin);
    show(licencePage(app, "", { only: true }));
    return setTimeout(begin, LICENCE_LOOK_MS);
  }
  app.store = new Store(session.columns);
  if (restarted) {
    announce("The server was restarted");
    app.movedFrom = app.lastRoute;
  }
  const interval = session.interval_ms;
  app.feed = new Feed(app.store, interval, { onData: onFirstData(restarted), onLink: onLink(), onRefused });
  navigate();
}

/** After a restart routes have other ids: what was looked at is found again by its name. */
function onFirstData(restarted) {
  let waits = restarted;
  return () => {
    onData();
    if (!hadData) performance.mark("studio-data");
    hadData = true;
    if (!waits) return;
    waits = false;
    if (place().name !== "route" || app.movedFrom === null) return;
    const id = app.store.idOf(app.movedFrom);
    location.replace(id === undefined ? "#/routes" : `#/route/${id}`);
  };
}

/** A connection that comes back may be to another process: the session is read anew. */
function onLink() {
  let wasLost = false;
  return async (link) => {
    showLink(link, () => app.feed?.open());
    if (link.state === "waiting") wasLost = true;
    if (link.state !== "live") return;
    app.page?.onLink?.();
    if (!wasLost) return;
    wasLost = false;
    announce("Connected again");
    const session = await get("session").catch(() => null);
    if (session && session.started_ms !== app.session.started_ms) begin();
    else if (session) app.session = session;
  };
}

function start() {
  startTheme(document.getElementById("theme"));
  document.getElementById("pause").addEventListener("click", () => setPaused(!app.paused));
  // A fragment is a page here, so the skip link cannot be one.
  document.querySelector(".skip").addEventListener("click", (event) => {
    event.preventDefault();
    document.getElementById("main").focus();
  });
  addEventListener("hashchange", navigate);
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && !app.paused) app.page?.onData?.();
  });
  document.getElementById("main").replaceChildren(h("p", { class: "soft pad" }, "Connecting\u2026"));
  begin();
}

start();
