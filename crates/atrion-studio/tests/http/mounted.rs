//! Studio as a part of another application.

use std::net::SocketAddr;

use atrion_engine::Atrion;
use axum::Router;
use axum::routing::get as route;

use serde_json::json;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use crate::client::{Lines, ask, builder, get, id, post};

/// An application with Studio somewhere in it, as `mount` puts it there.
fn application(mount: impl FnOnce(Router, Router) -> Router) -> Router {
    let atrion = Atrion::builder().build().unwrap();
    let studio = builder(&atrion).actions(true).build().unwrap();
    let app = Router::new().route("/", route(async || "the application"));
    mount(app, studio.router()).fallback(async || "somewhere else")
}

fn listen() -> (Runtime, TcpListener, SocketAddr) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", 0))).unwrap();
    let addr = listener.local_addr().unwrap();
    (runtime, listener, addr)
}

fn mounted(prefix: &str) -> (SocketAddr, Runtime) {
    let app = application(|app, studio| app.nest_service(prefix, studio));
    let (runtime, listener, addr) = listen();
    runtime.spawn(async move { axum::serve(listener, app).await });
    (addr, runtime)
}

#[test]
fn under_a_prefix_everything_is_where_relative_urls_find_it() {
    let (addr, _runtime) = mounted("/ops/studio");
    assert_eq!(get(addr, "/").body, b"the application");
    assert_eq!(get(addr, "/elsewhere").body, b"somewhere else");
    let page = get(addr, "/ops/studio/");
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    let bare = get(addr, "/ops/studio");
    assert_eq!((bare.status, bare.header("location")), (308, Some("./studio/index.html")));
    assert_eq!(get(addr, "/ops/studio/index.html").body, page.body);
    assert_eq!(get(addr, "/ops/studio/assets/index.html").status, 200);
    assert_eq!(get(addr, "/ops/studio/api/v1/session").json()["actions"], true);
    let mut lines = Lines::open(addr, "/ops/studio/api/v1/stream");
    assert_eq!(lines.next().unwrap()["t"], "snapshot");
    assert_eq!(lines.next().unwrap()["t"], "delta");
    let nowhere = get(addr, "/ops/studio/api/v1/nowhere");
    assert_eq!((nowhere.status, nowhere.code().as_str()), (404, "not_found"));
}

#[test]
fn under_a_prefix_everything_is_checked_as_ever() {
    let (addr, _runtime) = mounted("/studio");
    let foreign =
        ask(addr, "GET", "/studio/api/v1/session", "origin: https://evil.example\r\n", "");
    assert_eq!((foreign.status, foreign.code().as_str()), (403, "cross_site"));
    assert!(foreign.header("content-security-policy").is_some());
    let rebound = b"GET /studio/ HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n";
    assert_eq!(crate::client::raw(addr, rebound).status, 421);
    let posted =
        ask(addr, "POST", "/studio/api/v1/actions/prepare", "content-type: text/plain\r\n", "{}");
    assert_eq!(posted.status, 415);
}

#[test]
fn nested_as_a_router_only_the_bare_slash_is_the_applications() {
    let app = application(|app, studio| app.nest("/studio", studio));
    let (runtime, listener, addr) = listen();
    runtime.spawn(async move { axum::serve(listener, app).await });
    let bare = get(addr, "/studio");
    assert_eq!((bare.status, bare.header("location")), (308, Some("./studio/index.html")));
    let page = get(addr, "/studio/index.html");
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert!(page.header("content-security-policy").is_some());
    assert_eq!(get(addr, "/studio/assets/js/main.js").status, 200);
    assert_eq!(get(addr, "/studio/api/v1/session").json()["actions"], true);
    assert_eq!(get(addr, "/studio/api/v1/nowhere").code(), "not_found");
    assert_eq!(get(addr, "/studio/").body, b"somewhere else", "as axum has it");
    let rebound =
        b"GET /studio/api/v1/session HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n";
    assert_eq!(crate::client::raw(addr, rebound).status, 421);
}

#[test]
fn actions_name_the_address_that_the_application_knows() {
    for knows in [true, false] {
        let atrion = Atrion::builder().build().unwrap();
        atrion.route("api/pay");
        let app = builder(&atrion).actions(true).build().unwrap().router();
        let (runtime, listener, addr) = listen();
        if knows {
            let app = app.into_make_service_with_connect_info::<SocketAddr>();
            runtime.spawn(async move { axum::serve(listener, app).await });
        } else {
            runtime.spawn(async move { axum::serve(listener, app).await });
        }
        let wanted = json!({"action": "shadow_on", "route": id(addr, "api/pay")});
        let prepared = post(addr, "/api/v1/actions/prepare", &wanted).json();
        let confirmed = json!({"confirm": prepared["confirm"]});
        assert_eq!(post(addr, "/api/v1/actions/commit", &confirmed).status, 200);
        let audit = get(addr, "/api/v1/audit").json();
        let from = if knows { "127.0.0.1" } else { "unknown" };
        assert_eq!(audit["entries"][0]["from"], from, "{audit}");
    }
}
