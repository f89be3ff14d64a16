//! Commands and answers, as both clients understand them.

use bytes::Bytes;

use super::TransportError;

/// A command with its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Command {
    pub(crate) name: &'static str,
    pub(crate) args: Vec<Bytes>,
}

impl Command {
    pub(crate) const fn new(name: &'static str) -> Self {
        Self { name, args: Vec::new() }
    }

    pub(crate) fn arg(mut self, arg: impl Into<Bytes>) -> Self {
        self.args.push(arg.into());
        self
    }

    pub(crate) fn number(self, number: u64) -> Self {
        self.arg(number.to_string())
    }
}

/// What a server answers to one command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    Nil,
    Integer(i64),
    Text(Bytes),
    List(Vec<Self>),
    /// An error, as the server worded it: code first.
    Error(String),
}

impl Reply {
    pub(crate) fn list(self) -> Result<Vec<Self>, TransportError> {
        match self {
            Self::List(items) => Ok(items),
            other => Err(other.unexpected("a list")),
        }
    }

    pub(crate) fn text(self) -> Result<Bytes, TransportError> {
        match self {
            Self::Text(text) => Ok(text),
            other => Err(other.unexpected("a text")),
        }
    }

    /// A whole number, also one written as text. Scores come as text, and large ones with an
    /// exponent.
    pub(crate) fn unsigned(self) -> Result<u64, TransportError> {
        let number = match &self {
            Self::Integer(number) => u64::try_from(*number).ok(),
            Self::Text(text) => std::str::from_utf8(text).ok().and_then(|text| {
                text.parse().ok().or_else(|| {
                    let score: f64 = text.parse().ok()?;
                    (score >= 0.0 && score < 2f64.powi(53)).then_some(score as u64)
                })
            }),
            _ => None,
        };
        number.ok_or_else(|| self.unexpected("a number"))
    }

    fn unexpected(self, wanted: &str) -> TransportError {
        match self {
            Self::Error(text) => refusal(&text),
            Self::Nil => TransportError::Protocol(format!("nothing where {wanted} was expected")),
            Self::Integer(_) => {
                TransportError::Protocol(format!("a number where {wanted} was expected"))
            }
            Self::Text(_) => {
                TransportError::Protocol(format!("a text where {wanted} was expected"))
            }
            Self::List(_) => {
                TransportError::Protocol(format!("a list where {wanted} was expected"))
            }
        }
    }
}

/// The first error among the replies, or the replies.
pub(crate) fn all_well(replies: Vec<Reply>) -> Result<Vec<Reply>, TransportError> {
    match replies.iter().find_map(|r| if let Reply::Error(text) = r { Some(text) } else { None }) {
        Some(text) => Err(refusal(text)),
        None => Ok(replies),
    }
}

/// Sorts an error of the server by its code.
pub(crate) fn refusal(text: &str) -> TransportError {
    let shown = one_line(text);
    match text.split_whitespace().next().unwrap_or_default() {
        "NOAUTH" | "WRONGPASS" | "NOPERM" | "DENIED" => TransportError::Denied(shown),
        "OOM" | "READONLY" | "LOADING" | "MASTERDOWN" | "CLUSTERDOWN" | "TRYAGAIN" | "BUSY"
        | "MISCONF" | "NOREPLICAS" | "MOVED" | "ASK" => TransportError::Unavailable(shown),
        "ERR" if text.contains("max number of clients") => TransportError::Unavailable(shown),
        // Servers word this one without a code of its own.
        "ERR" if text.contains("AUTH") || text.contains("invalid password") => {
            TransportError::Denied(shown)
        }
        _ => TransportError::Protocol(shown),
    }
}

/// Whether an error says that this server is not, or not any more, the one in charge.
pub(crate) fn is_not_in_charge(error: &TransportError) -> bool {
    let TransportError::Unavailable(text) = error else { return false };
    let code = text.split_whitespace().next().unwrap_or_default();
    matches!(code, "MOVED" | "ASK" | "READONLY" | "CLUSTERDOWN" | "MASTERDOWN")
}

/// Whether an error says that the server does not know the command.
pub(crate) fn is_unknown_command(error: &TransportError) -> bool {
    matches!(error, TransportError::Protocol(text) if text.contains("unknown command"))
}

/// A foreign text as it may be logged: one line, not endless.
pub(crate) fn one_line(text: &str) -> String {
    text.trim_end().chars().take(200).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_sorted_by_their_code() {
        type Kind = fn(String) -> TransportError;
        let cases: [(&str, Kind); 12] = [
            ("NOAUTH Authentication required.", TransportError::Denied),
            ("WRONGPASS invalid username-password pair", TransportError::Denied),
            ("NOPERM No permissions to access a channel", TransportError::Denied),
            ("DENIED Redis is running in protected mode", TransportError::Denied),
            ("ERR AUTH <password> called without any password", TransportError::Denied),
            ("OOM command not allowed", TransportError::Unavailable),
            ("MOVED 1 127.0.0.1:7001", TransportError::Unavailable),
            ("READONLY You can't write", TransportError::Unavailable),
            ("LOADING Redis is loading", TransportError::Unavailable),
            ("ERR max number of clients reached", TransportError::Unavailable),
            ("WRONGTYPE Operation against a key", TransportError::Protocol),
            ("", TransportError::Protocol),
        ];
        for (text, kind) in cases {
            assert_eq!(refusal(text), kind(text.to_owned()));
        }
    }

    #[test]
    fn a_foreign_text_stays_one_short_line() {
        assert_eq!(one_line("a\r\nb\u{1b}[31m"), "a  b [31m");
        assert_eq!(one_line(&"x".repeat(5000)).len(), 200);
    }

    #[test]
    fn numbers_come_in_several_shapes() {
        for (reply, number) in [
            (Reply::Integer(7), 7),
            (Reply::Text("1700000000123".into()), 1_700_000_000_123),
            (Reply::Text("1.700000000123e12".into()), 1_700_000_000_123),
        ] {
            assert_eq!(reply.unsigned(), Ok(number));
        }
        for bad in ["-1", "nan", "inf", "1e300", "", "x"] {
            assert!(Reply::Text(bad.into()).unsigned().is_err(), "{bad}");
        }
        assert!(Reply::Integer(-1).unsigned().is_err());
        assert!(Reply::Nil.unsigned().is_err());
    }
}
