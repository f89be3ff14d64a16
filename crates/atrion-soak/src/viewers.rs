//! People who look at the dashboard: some read, some hang up in the middle, some never read.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use http_body_util::BodyExt as _;
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::board::Board;
use crate::client::Client;
use crate::ledger::Invariant;

/// Viewers of each node.
const EACH: usize = 2;
/// Between two attempts to see something.
const PAUSE: Duration = Duration::from_secs(1);
const STREAM: &str = "api/v1/stream";

/// The viewers of one node.
pub(crate) struct Viewers(Vec<JoinHandle<()>>);

impl Viewers {
    pub(crate) fn of(board: &Arc<Board>, node: usize) -> Self {
        let each = (0..EACH).map(|_| tokio::spawn(view(Arc::clone(board), node)));
        Self(each.collect())
    }
}

impl Drop for Viewers {
    /// Hangs up in the middle of whatever is being read.
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}

async fn view(board: Arc<Board>, node: usize) {
    let client = Client::new();
    loop {
        if let Some(port) = board.studio(node)
            && let Ok(answer) = client.stream(port, STREAM).await
        {
            let status = answer.status();
            board.check(Invariant::Viewers, status.is_success() || status.as_u16() == 503, || {
                format!("a stream of node {node} was answered with {status}")
            });
            let mut reader = Reader::default();
            let mut body = answer.into_body();
            // A stream ends when its node dies: that is no violation.
            while let Some(Ok(frame)) = body.frame().await {
                let Ok(bytes) = frame.into_data() else { continue };
                for line in reader.take(&bytes) {
                    board.lines_read.fetch_add(1, Relaxed);
                    board.check(Invariant::Viewers, line.is_ok(), || {
                        format!("node {node}: {}", line.err().unwrap_or_default())
                    });
                }
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Asks for a stream and reads nothing of it for a while.
pub(crate) async fn stuck(board: Arc<Board>, node: usize, time: Duration) {
    let Some(port) = board.studio(node) else { return };
    let Ok(mut stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await else { return };
    let request = format!("GET /{STREAM} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n");
    if stream.write_all(request.as_bytes()).await.is_ok() {
        tokio::time::sleep(time).await;
    }
}

/// Puts pieces together to lines, and looks whether they are what they should be.
#[derive(Debug, Default)]
struct Reader {
    rest: Vec<u8>,
    /// Number of the last line, if it was one that the next one continues.
    last: Option<u64>,
}

impl Reader {
    /// What this piece brings to its end: of each line, why it is not what it should be.
    fn take(&mut self, bytes: &[u8]) -> Vec<Result<(), String>> {
        self.rest.extend_from_slice(bytes);
        let mut found = Vec::new();
        while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            found.push(self.line(&line));
        }
        found
    }

    fn line(&mut self, line: &[u8]) -> Result<(), String> {
        let shown = || String::from_utf8_lossy(line.get(..80).unwrap_or(line)).into_owned();
        let value: Value = serde_json::from_slice(line).map_err(|e| format!("{e}: {}", shown()))?;
        let seq = value.get("seq").and_then(Value::as_u64);
        match (value.get("t").and_then(Value::as_str), seq) {
            (Some("snapshot"), Some(seq)) => self.last = Some(seq),
            (Some("delta"), Some(seq)) => {
                let last = self.last.replace(seq);
                if last.is_none_or(|last| seq != last + 1) {
                    return Err(format!("{seq} follows {last:?}"));
                }
            }
            (Some("resync"), Some(_)) => self.last = None,
            (Some("bye"), _) => {}
            _ => return Err(format!("a line of no kind: {}", shown())),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_whole_and_in_order() {
        let mut reader = Reader::default();
        assert!(reader.take(b"{\"t\":\"snapshot\",\"s").is_empty());
        assert_eq!(reader.take(b"eq\":4}\n{\"t\":\"delta\",\"seq\":5}\n"), [Ok(()), Ok(())]);
        assert_eq!(reader.take(b"{\"t\":\"resync\",\"seq\":9}\n"), [Ok(())]);
        assert_eq!(reader.take(b"{\"t\":\"snapshot\",\"seq\":9}\n"), [Ok(())]);
        assert!(reader.take(b"{\"t\":\"delta\",\"seq\":11}\n")[0].is_err());
        assert!(reader.take(b"{\"t\":\"delta\"}\n")[0].is_err());
        assert!(reader.take(b"{\"t\":\n")[0].is_err());
    }

    #[test]
    fn a_delta_needs_something_to_hold_against() {
        assert!(Reader::default().take(b"{\"t\":\"delta\",\"seq\":1}\n")[0].is_err());
    }
}
