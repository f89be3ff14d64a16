//! One Prometheus server, and the checker of its rules.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::Failure;
use crate::process::{Folder, Process, on_free_port};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A Prometheus server that scrapes one target every 200 ms.
pub struct PrometheusServer {
    _process: Process,
    _folder: Folder,
    port: u16,
}

/// One series of an answer, with its last value.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Its labels, `__name__` among them.
    pub labels: BTreeMap<String, String>,
    /// Its value.
    pub value: f64,
}

impl PrometheusServer {
    /// Starts a server that scrapes `/metrics` of `target` under the name `atrion`, and loads rules
    /// if there are any. Returns when it is ready.
    ///
    /// # Errors
    /// [`Failure`], with the advice to run the setup if the program is missing.
    pub fn start(target: SocketAddr, rules: Option<&str>) -> Result<Self, Failure> {
        on_free_port(|port| Self::start_on(port, target, rules))
    }

    fn start_on(port: u16, target: SocketAddr, rules: Option<&str>) -> Result<Self, Failure> {
        let folder = Folder::new()?;
        let mut config =
            "global:\n  scrape_interval: 200ms\n  evaluation_interval: 200ms\n".to_owned();
        if let Some(rules) = rules {
            folder.write("rules.yml", rules)?;
            config.push_str("rule_files: [rules.yml]\n");
        }
        // Writing to a string cannot fail.
        let _ = write!(
            config,
            "scrape_configs:\n  - job_name: atrion\n    static_configs:\n      - targets: ['{target}']\n"
        );
        let config = folder.write("prometheus.yml", &config)?;
        let flag = |name: &str, value: &Path| {
            let mut flag = OsString::from(name);
            flag.push(value);
            flag
        };
        let args = [
            flag("--config.file=", &config),
            flag("--storage.tsdb.path=", &folder.path().join("data")),
            flag("--web.listen-address=", Path::new(&format!("127.0.0.1:{port}"))),
            "--log.level=warn".into(),
        ];
        let args: Vec<_> = args.iter().map(OsString::as_os_str).collect();
        let mut line = Command::new("prometheus");
        line.args(&args);
        let process = Process::spawn(line, "prometheus", &folder.log())?;
        let process = process.when_ready("Prometheus", &folder.log(), || {
            http_get(port, "/-/ready").is_ok_and(|(status, _)| status == 200)
        })?;
        Ok(Self { _process: process, _folder: folder, port })
    }

    /// The port on 127.0.0.1.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Evaluates an expression now.
    ///
    /// # Errors
    /// [`Failure`] with what the server says, if the expression is none.
    pub fn query(&self, expression: &str) -> Result<Vec<Series>, Failure> {
        let answer = self.api(&format!("/api/v1/query?query={}", encoded(expression)))?;
        let result = answer.pointer("/data/result");
        if answer.pointer("/data/resultType").and_then(Value::as_str) == Some("scalar") {
            let value = sample(result)?;
            return Ok(vec![Series { labels: BTreeMap::new(), value }]);
        }
        let series = result.and_then(Value::as_array).into_iter().flatten();
        series
            .map(|series| {
                let labels = series.get("metric").and_then(Value::as_object).into_iter().flatten();
                let labels = labels.map(|(name, value)| (name.clone(), text(value))).collect();
                Ok(Series { labels, value: sample(series.get("value"))? })
            })
            .collect()
    }

    /// The alerts that are active, with their state: `pending` or `firing`.
    ///
    /// # Errors
    /// [`Failure`] if the server does not answer.
    pub fn alerts(&self) -> Result<Vec<(String, String)>, Failure> {
        let answer = self.api("/api/v1/alerts")?;
        let alerts = answer.pointer("/data/alerts").and_then(Value::as_array).into_iter().flatten();
        let alerts = alerts.map(|alert| {
            let name = alert.pointer("/labels/alertname").map(text).unwrap_or_default();
            (name, alert.get("state").map(text).unwrap_or_default())
        });
        Ok(alerts.collect())
    }

    /// The names of all alerting rules that are loaded, with their health: `ok`, `err`, `unknown`.
    ///
    /// # Errors
    /// [`Failure`] if the server does not answer.
    pub fn rules(&self) -> Result<Vec<(String, String)>, Failure> {
        let answer = self.api("/api/v1/rules?type=alert")?;
        let list = |value: &Value, key: &str| {
            value.get(key).and_then(Value::as_array).cloned().unwrap_or_default()
        };
        let data = answer.get("data").cloned().unwrap_or_default();
        let rules = list(&data, "groups").into_iter().flat_map(|group| list(&group, "rules"));
        let named = |rule: Value| {
            let of = |key: &str| rule.get(key).map(text).unwrap_or_default();
            (of("name"), of("health"))
        };
        Ok(rules.map(named).collect())
    }

    /// Series that the server knows by these metric names, and what their target said of them.
    ///
    /// # Errors
    /// [`Failure`] if the server does not answer.
    pub fn metadata(&self) -> Result<Value, Failure> {
        let answer = self.api("/api/v1/metadata")?;
        Ok(answer.get("data").cloned().unwrap_or_default())
    }

    fn api(&self, path: &str) -> Result<Value, Failure> {
        let (status, body) = http_get(self.port, path)?;
        let answer: Value = serde_json::from_str(&body)
            .map_err(|e| Failure::new(format!("{path}: {status}, and no JSON ({e}): {body}")))?;
        if status == 200 {
            Ok(answer)
        } else {
            let why = answer.get("error").map(text).unwrap_or(body);
            Err(Failure::new(format!("{path}: {status}: {why}")))
        }
    }
}

/// Runs `promtool` with these arguments in this folder; what it said.
///
/// # Errors
/// [`Failure`] with what it said if it finds something wrong, or the advice to run the setup if it
/// is missing.
pub fn promtool(folder: &Path, args: &[&str]) -> Result<String, Failure> {
    let output = Command::new("promtool")
        .args(args)
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| match error.kind() {
            ErrorKind::NotFound => {
                Failure::new("`promtool` is not installed: run `cargo xtask setup`")
            }
            _ => Failure::new(format!("`promtool` cannot be started: {error}")),
        })?;
    let mut said = String::from_utf8_lossy(&output.stdout).into_owned();
    said.push_str(&String::from_utf8_lossy(&output.stderr));
    if output.status.success() { Ok(said) } else { Err(Failure::new(said)) }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A sample is a pair of a time and a number in quotes.
fn sample(value: Option<&Value>) -> Result<f64, Failure> {
    let number = value.and_then(|v| v.get(1)).and_then(Value::as_str);
    number
        .and_then(|number| number.parse().ok())
        .ok_or_else(|| Failure::new(format!("no sample: {value:?}")))
}

/// Everything but letters and digits as `%XX`.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(3 * text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// The status and the body. HTTP/1.0, so that the body ends with the connection.
fn http_get(port: u16, path: &str) -> Result<(u16, String), Failure> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .ok_or_else(|| Failure::new(format!("no answer to {path}")))?;
    let status = head.split_whitespace().nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| Failure::new(format!("no status in {head:?}")))?;
    Ok((status, body.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_travel_whole() {
        assert_eq!(encoded(r#"a{b="c d"}"#), "a%7Bb%3D%22c%20d%22%7D");
        assert_eq!(encoded("ğ"), "%C4%9F");
    }

    #[test]
    fn rules_that_are_none_are_refused_with_the_reason() {
        let folder = Folder::new().unwrap();
        folder
            .write("rules.yml", "groups: [{name: a, rules: [{alert: B, expr: 'sum('}]}]")
            .unwrap();
        let why = promtool(folder.path(), &["check", "rules", "rules.yml"]).expect_err("no rule");
        assert!(why.to_string().contains("parse error"), "{why}");
    }
}
