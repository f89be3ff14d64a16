//! A client that can say anything, and a Studio to say it to.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

pub(crate) use atrion_commercial::test_util::development_key as key;
use atrion_engine::Atrion;
use atrion_state::clock::{Clock as _, MonotonicClock};
use atrion_studio::{Builder, Server, Studio};
pub(crate) use atrion_testkit::wait::until_some_blocking as until;
use serde_json::Value;

/// Long enough for a slow machine under full load.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// Lets this much time pass.
pub(crate) fn pass(time: Duration) {
    let clock = MonotonicClock::new();
    let start = clock.now();
    until("time to pass", || (clock.now().since(start) >= time).then_some(()));
}

/// A builder with a licence, and frames ten times a second.
pub(crate) fn builder(atrion: &Atrion) -> Builder {
    Studio::builder(atrion).license(key()).interval(Duration::from_millis(100))
}

/// Serves it on a free port.
pub(crate) fn serve(builder: Builder) -> Server {
    builder.build().expect("valid").serve(([127, 0, 0, 1], 0)).expect("a free port")
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&self.body)))
    }

    pub(crate) fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

pub(crate) fn connect(addr: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(addr).expect("it listens");
    stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
    stream
}

/// Sends these bytes as they are, and reads one answer.
pub(crate) fn raw(addr: SocketAddr, request: &[u8]) -> Answer {
    let mut stream = connect(addr);
    // The server may have refused it before its end.
    let _ = stream.write_all(request);
    read(&mut BufReader::new(stream))
}

pub(crate) fn read_head(reader: &mut impl BufRead) -> Option<(u16, String)> {
    let mut head = String::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line == "\r\n" {
            break;
        }
        head.push_str(&line);
    }
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, head))
}

pub(crate) fn read(reader: &mut impl BufRead) -> Answer {
    let (status, head) = read_head(reader).expect("an answer");
    let mut answer = Answer { status, head, body: Vec::new() };
    if let Some(length) = answer.header("content-length") {
        let mut body = vec![0; length.parse().expect("a number")];
        reader.read_exact(&mut body).expect("a whole body");
        answer.body = body;
    } else if answer.header("transfer-encoding").is_some() {
        while let Some(chunk) = chunk(reader) {
            answer.body.extend(chunk);
        }
    }
    answer
}

/// The next chunk of a body; none at its end.
pub(crate) fn chunk(reader: &mut impl BufRead) -> Option<Vec<u8>> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let length = usize::from_str_radix(line.trim(), 16).ok()?;
    let mut chunk = vec![0; length + 2];
    reader.read_exact(&mut chunk).ok()?;
    chunk.truncate(length);
    (length > 0).then_some(chunk)
}

/// A request with these extra headers, each with its line break.
pub(crate) fn ask(addr: SocketAddr, method: &str, path: &str, headers: &str, body: &str) -> Answer {
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: {addr}\r\nconnection: close\r\n{headers}content-length: {}\r\n\r\n{body}",
        body.len()
    );
    raw(addr, request.as_bytes())
}

pub(crate) fn get(addr: SocketAddr, path: &str) -> Answer {
    ask(addr, "GET", path, "", "")
}

pub(crate) fn post(addr: SocketAddr, path: &str, body: &Value) -> Answer {
    ask(addr, "POST", path, "content-type: application/json\r\n", &body.to_string())
}

/// A stream of lines.
pub(crate) struct Lines {
    reader: BufReader<TcpStream>,
    rest: Vec<u8>,
}

impl Lines {
    pub(crate) fn open(addr: SocketAddr, path: &str) -> Self {
        let mut stream = connect(addr);
        write!(stream, "GET {path} HTTP/1.1\r\nhost: {addr}\r\n\r\n").expect("sent");
        let mut reader = BufReader::new(stream);
        let (status, head) = read_head(&mut reader).expect("an answer");
        assert_eq!(status, 200, "{head}");
        assert!(head.contains("application/x-ndjson"), "{head}");
        Self { reader, rest: Vec::new() }
    }

    /// The next line; none at the end.
    pub(crate) fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(at) = self.rest.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=at).collect();
                return Some(serde_json::from_slice(&line).expect("JSON"));
            }
            self.rest.extend(chunk(&mut self.reader)?);
        }
    }

    /// The next line of this kind.
    pub(crate) fn next_of(&mut self, kind: &str) -> Value {
        loop {
            let line =
                self.next().unwrap_or_else(|| panic!("no more lines, but none was a {kind}"));
            if line["t"] == kind {
                return line;
            }
        }
    }
}

/// The id of a route, by its name.
pub(crate) fn id(addr: SocketAddr, name: &str) -> u64 {
    let overview = get(addr, "/api/v1/overview").json();
    let rows = overview["routes"].as_array().expect("rows");
    let row =
        rows.iter().find(|row| row[1] == name).unwrap_or_else(|| panic!("no {name}: {rows:?}"));
    row[0].as_u64().expect("an id")
}
