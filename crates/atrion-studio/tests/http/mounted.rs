//! Studio as a part of another application.

use std::net::SocketAddr;

use atrion_engine::Atrion;
use axum::Router;
use axum::routing::get as route;

use crate::client::{Lines, ask, builder, get};

fn mounted(prefix: &str) -> (SocketAddr, tokio::runtime::Runtime) {
    let atrion = Atrion::builder().build().unwrap();
    let studio = builder(&atrion).actions(true).build().unwrap();
    let app: Router = Router::new()
        .route("/", route(async || "the application"))
        .nest_service(prefix, studio.router())
        .fallback(async || "somewhere else");
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let listener = runtime.block_on(tokio::net::TcpListener::bind(("127.0.0.1", 0))).unwrap();
    let addr = listener.local_addr().unwrap();
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
    assert_eq!((bare.status, bare.header("location")), (308, Some("./studio/")));
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
