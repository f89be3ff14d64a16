//! What can be wrong with how Studio is set up.

use std::io;
use std::net::SocketAddr;

use thiserror::Error;

/// Studio cannot be built or served. Nothing was started.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StudioError {
    /// The address can be reached from other machines and no token is set. Set one with
    /// [`Builder::token`](crate::Builder::token), or bind to a loopback address.
    #[error(
        "{addr} can be reached from other machines, which needs a token: set one, or bind to 127.0.0.1 or [::1]"
    )]
    TokenRequired {
        /// The address.
        addr: SocketAddr,
    },
    /// The token cannot be used. The message never holds it.
    #[error("the token has {length} characters, allowed are 24 to 256 visible ASCII characters")]
    Token {
        /// How long it is, in bytes.
        length: usize,
    },
    /// A host name cannot be used.
    #[error("`{name}` is no host name: give it as it stands in a URL, without scheme and port")]
    Host {
        /// The name.
        name: String,
    },
    /// A number is out of its range.
    #[error("{field} is {value} {unit}, allowed is {min} to {max} {unit}")]
    OutOfRange {
        /// The setting.
        field: &'static str,
        /// Its value.
        value: u64,
        /// The unit of the three numbers.
        unit: &'static str,
        /// The smallest that is allowed.
        min: u64,
        /// The largest that is allowed.
        max: u64,
    },
    /// The address cannot be listened at.
    #[error("cannot listen at {addr}")]
    Bind {
        /// The address.
        addr: SocketAddr,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// A thread or its runtime cannot be started.
    #[error("cannot start Studio's thread")]
    Thread(#[source] io::Error),
    /// There is no randomness to make confirmations unguessable with.
    #[error("the operating system gives no random bytes")]
    Random,
}
