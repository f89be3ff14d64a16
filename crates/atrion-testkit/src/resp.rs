//! The smallest client there can be, to steer servers with: one that shares no code with what is
//! under test.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use crate::Failure;

/// The longest answer that is read, in bytes.
const MAX_BYTES: usize = 64 << 20;

/// A connection to a server over its socket file.
pub struct Control {
    stream: BufReader<UnixStream>,
}

/// What a server answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Nothing.
    Nil,
    /// A number.
    Integer(i64),
    /// A text, possibly a status.
    Text(Vec<u8>),
    /// A list.
    List(Vec<Answer>),
    /// An error.
    Error(String),
}

impl Answer {
    /// A text, or a number as text; errors and lists are neither.
    pub fn text(&self) -> Option<String> {
        match self {
            Self::Text(text) => Some(String::from_utf8_lossy(text).into_owned()),
            Self::Integer(number) => Some(number.to_string()),
            _ => None,
        }
    }

    /// The items of a list; none otherwise.
    pub fn items(&self) -> &[Answer] {
        if let Self::List(items) = self { items } else { &[] }
    }
}

impl Control {
    /// Connects. No answer is waited for longer than ten seconds.
    ///
    /// # Errors
    /// [`Failure`] if nobody listens.
    pub fn connect(socket: &Path) -> Result<Self, Failure> {
        let stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        stream.set_write_timeout(Some(Duration::from_secs(10)))?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    /// Sends a command and returns the answer, which may be an error of the server.
    ///
    /// # Errors
    /// [`Failure`] if the connection breaks.
    pub fn call(&mut self, command: &[&[u8]]) -> Result<Answer, Failure> {
        let mut text = format!("*{}\r\n", command.len()).into_bytes();
        for part in command {
            text.extend_from_slice(format!("${}\r\n", part.len()).as_bytes());
            text.extend_from_slice(part);
            text.extend_from_slice(b"\r\n");
        }
        self.stream.get_mut().write_all(&text)?;
        self.answer()
    }

    fn answer(&mut self) -> Result<Answer, Failure> {
        let line = self.line()?;
        let (kind, rest) = line.split_at_checked(1).unwrap_or_default();
        let length = || rest.parse::<i64>().map_err(|_| Failure::new("a bad length"));
        match kind {
            "+" => Ok(Answer::Text(rest.as_bytes().to_vec())),
            "-" => Ok(Answer::Error(rest.to_owned())),
            ":" => Ok(Answer::Integer(length()?)),
            "$" => match usize::try_from(length()?) {
                Err(_) => Ok(Answer::Nil),
                Ok(length) if length > MAX_BYTES => Err(Failure::new("an answer is too long")),
                Ok(length) => {
                    let mut text = vec![0; length + 2];
                    self.stream.read_exact(&mut text)?;
                    text.truncate(length);
                    Ok(Answer::Text(text))
                }
            },
            "*" => match usize::try_from(length()?) {
                Err(_) => Ok(Answer::Nil),
                Ok(length) => {
                    (0..length).map(|_| self.answer()).collect::<Result<_, _>>().map(Answer::List)
                }
            },
            _ => Err(Failure::new(format!("an answer that is none: {line}"))),
        }
    }

    fn line(&mut self) -> Result<String, Failure> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(Failure::new("the server closed the connection"));
        }
        Ok(line.trim_end().to_owned())
    }
}
