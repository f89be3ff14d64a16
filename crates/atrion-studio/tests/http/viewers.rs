//! Streams, viewers that do not keep up, and crowds.

use std::collections::BTreeMap;
use std::io::{BufReader, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use atrion_core::flow::Priority;
use atrion_engine::{Atrion, Config, ROUTE_NAME_LIMIT, Route};
use serde_json::Value;

use crate::client::{Lines, builder, connect, get, pass, read_head, serve, until};

/// What a page makes of the lines.
#[derive(Default)]
struct Page {
    seq: u64,
    rows: BTreeMap<u64, Vec<Value>>,
    resyncs: u32,
}

impl Page {
    fn take(&mut self, line: &Value) {
        let seq = line["seq"].as_u64().expect("a number");
        let list = |name: &str| line[name].as_array().cloned().unwrap_or_default();
        let row = |row: &Value| {
            let row = row.as_array().expect("a row");
            (row[0].as_u64().expect("an id"), row[1..].to_vec())
        };
        match line["t"].as_str() {
            Some("resync") => {
                self.resyncs += 1;
                return;
            }
            Some("snapshot") => self.rows = list("routes").iter().map(row).collect(),
            Some("delta") => {
                assert_eq!(seq, self.seq + 1, "no gaps");
                for gone in list("gone") {
                    self.rows.remove(&gone.as_u64().expect("an id"));
                }
                self.rows.extend(list("added").iter().map(row));
                for changed in list("changed") {
                    let (id, values) = row(&changed);
                    let mask = values[0].as_u64().expect("a mask");
                    let row = self.rows.get_mut(&id).expect("known");
                    let columns = (0..9).filter(|column| mask >> column & 1 == 1);
                    for (column, value) in columns.zip(&values[1..]) {
                        row[1 + column] = value.clone();
                    }
                }
            }
            other => panic!("{other:?}"),
        }
        self.seq = seq;
    }
}

#[test]
fn a_viewer_sees_routes_come_change_and_stay() {
    let atrion = Atrion::builder().build().unwrap();
    let server = serve(builder(&atrion));
    let mut lines = Lines::open(server.addr(), "/api/v1/stream");
    let mut page = Page::default();
    let first = lines.next().unwrap();
    assert_eq!(first["t"], "snapshot");
    page.take(&first);
    let route = atrion.route("new");
    let _permit = route.admit(Priority::Normal).unwrap();
    until("the new route, with a request in flight", || {
        let line = lines.next().expect("goes on");
        assert!(line["totals"]["routes"].is_u64() && line["health"]["provider"] == "none");
        page.take(&line);
        page.rows.values().any(|row| row[0] == "new" && row[5] == 1).then_some(())
    });
    until("a rate", || {
        for _ in 0..100 {
            route.admit(Priority::Normal).unwrap().success();
        }
        page.take(&lines.next().expect("goes on"));
        page.rows.values().any(|row| row[0] == "new" && row[6].as_f64() > Some(10.0)).then_some(())
    });
    assert_eq!(page.resyncs, 0);
}

#[test]
fn when_nobody_looks_nothing_is_computed() {
    let atrion = Atrion::builder().build().unwrap();
    let server = serve(builder(&atrion));
    let seq = || get(server.addr(), "/api/v1/overview").json()["seq"].as_u64().unwrap();
    let first = seq();
    let mut lines = Lines::open(server.addr(), "/api/v1/stream");
    until("frames", || (lines.next().unwrap()["seq"].as_u64().unwrap() > first + 3).then_some(()));
    drop(lines);
    // The connection's end is noticed at the next line at the latest.
    until("silence", || {
        let before = seq();
        pass(Duration::from_millis(500));
        (seq() <= before + 1).then_some(())
    });
}

/// More than sockets hold: who reads nothing of it is stuck in the first line.
fn crowd() -> (Atrion, Vec<Route>) {
    let config = Config::builder().route_limit(20_000).build().unwrap();
    let atrion = Atrion::builder().config(config).build().unwrap();
    let name = |n| format!("{n:05}{}", "x".repeat(ROUTE_NAME_LIMIT - 5));
    let routes = (0..12_000).map(|n| atrion.route(&name(n))).collect();
    (atrion, routes)
}

#[test]
fn a_viewer_that_sleeps_is_resynchronised_and_changes_nothing_for_others() {
    let (atrion, _routes) = crowd();
    let server = serve(builder(&atrion));
    let mut asleep = Lines::open(server.addr(), "/api/v1/stream");
    let mut awake = Lines::open(server.addr(), "/api/v1/stream");
    let mut page = Page::default();
    for _ in 0..10 {
        page.take(&awake.next().expect("goes on"));
    }
    assert_eq!(page.resyncs, 0, "the one who reads misses nothing");
    let mut late = Page::default();
    until("the sleeper to be told", || {
        late.take(&asleep.next().expect("goes on"));
        (late.resyncs > 0).then_some(())
    });
    let snapshot = asleep.next().expect("goes on");
    assert_eq!(snapshot["t"], "snapshot");
    late.take(&snapshot);
    assert!(late.seq > 4);
    assert_eq!(late.rows.len(), 12_001);
}

#[test]
fn viewers_that_vanish_leave_nothing_behind_and_those_that_hang_are_let_go() {
    let (atrion, _routes) = crowd();
    let server = serve(builder(&atrion).patience(Duration::from_secs(1)));
    let mut watch = Lines::open(server.addr(), "/api/v1/stream");
    watch.next().expect("a snapshot");
    for _ in 0..20 {
        // Gone in the middle of the first line, and never heard of again.
        drop(Lines::open(server.addr(), "/api/v1/stream"));
    }
    let hanging: Vec<Lines> =
        (0..5).map(|_| Lines::open(server.addr(), "/api/v1/stream")).collect();
    until("only one viewer to be left", || {
        let line = watch.next().expect("goes on");
        (line["health"]["viewers"] == 1).then_some(())
    });
    drop(hanging);
}

#[test]
fn there_are_so_many_viewers_and_no_more() {
    let atrion = Atrion::builder().build().unwrap();
    let server = serve(builder(&atrion).most_viewers(3));
    let viewers: Vec<Lines> =
        (0..3).map(|_| Lines::open(server.addr(), "/api/v1/stream")).collect();
    let refused = get(server.addr(), "/api/v1/stream");
    assert_eq!((refused.status, refused.code().as_str()), (503, "too_many_viewers"));
    assert_eq!(get(server.addr(), "/api/v1/overview").status, 200);
    drop(viewers);
    until("a place", || {
        let mut stream = connect(server.addr());
        let addr = server.addr();
        write!(stream, "GET /api/v1/stream HTTP/1.1\r\nhost: {addr}\r\n\r\n").unwrap();
        let (status, _) = read_head(&mut BufReader::new(stream))?;
        (status == 200).then_some(())
    });
}

#[test]
fn streams_say_goodbye_when_the_server_ends() {
    let atrion = Atrion::builder().build().unwrap();
    let server = serve(builder(&atrion));
    let mut lines = Lines::open(server.addr(), "/api/v1/stream");
    lines.next().unwrap();
    server.shutdown();
    let bye = lines.next_of("bye");
    assert_eq!(bye["reason"], "shutdown");
    assert!(lines.next().is_none());
}

/// As many connections as the system gives this process, most of them beyond what is kept.
#[test]
fn ten_thousand_connections_do_not_hurt() {
    let atrion = Atrion::builder().build().unwrap();
    let server = serve(builder(&atrion).most_connections(100));
    let mut lines = Lines::open(server.addr(), "/api/v1/stream");
    let mut kept: Vec<TcpStream> = Vec::new();
    for _ in 0..10_000 {
        // The backlog may be full for a moment.
        kept.push(until("a connection", || TcpStream::connect(server.addr()).ok()));
        if kept.len() > 400 {
            kept.drain(..200);
        }
    }
    let before = lines.next().expect("the viewer stays")["seq"].as_u64().unwrap();
    until("lines that go on", || (lines.next()?["seq"].as_u64()? > before + 2).then_some(()));
    drop(kept);
    until("a place for a new caller", || {
        let mut stream = TcpStream::connect(server.addr()).ok()?;
        let addr = server.addr();
        write!(stream, "GET /api/v1/access HTTP/1.1\r\nhost: {addr}\r\n\r\n").ok()?;
        (read_head(&mut BufReader::new(stream))?.0 == 200).then_some(())
    });
}
