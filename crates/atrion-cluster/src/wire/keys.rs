//! What is derived from the name of the cluster and its secret.

use blake3::{derive_key, keyed_hash};

use super::layout::MAC_BYTES;

const CLUSTER_TAG: &str = "atrion wire 1 cluster tag";
const ROUTE_IDS: &str = "atrion wire 1 route ids";
const NODE_IDS: &str = "atrion wire 1 node ids";
const AUTHENTICATION: &str = "atrion wire 1 authentication";

/// The keys of one cluster.
#[derive(Clone)]
pub(super) struct Keys {
    /// Tells the frames of this cluster from those of others.
    pub(super) tag: u32,
    routes: [u8; 32],
    nodes: [u8; 32],
    /// Present if there is a secret.
    pub(super) mac: Option<MacKey>,
}

impl Keys {
    pub(super) fn new(cluster: &str, secret: Option<&[u8]>) -> Self {
        // The length keeps "ab" with secret "c" apart from "a" with secret "bc".
        let mut material = (cluster.len() as u64).to_le_bytes().to_vec();
        material.extend_from_slice(cluster.as_bytes());
        material.extend_from_slice(secret.unwrap_or_default());
        // The tag is the same with and without a secret: who lacks the secret shall be told so.
        let [a, b, c, d, ..] = derive_key(CLUSTER_TAG, cluster.as_bytes());
        Self {
            tag: u32::from_le_bytes([a, b, c, d]),
            routes: derive_key(ROUTE_IDS, &material),
            nodes: derive_key(NODE_IDS, &material),
            mac: secret.map(|_| MacKey(derive_key(AUTHENTICATION, &material))),
        }
    }

    pub(super) fn route(&self, name: &str) -> u64 {
        id(&self.routes, name)
    }

    pub(super) fn node(&self, name: &str) -> u64 {
        id(&self.nodes, name)
    }
}

fn id(key: &[u8; 32], name: &str) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = *keyed_hash(key, name.as_bytes()).as_bytes();
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}

/// The key of the codes of authentication.
#[derive(Clone)]
pub(super) struct MacKey([u8; 32]);

impl MacKey {
    /// The code of `bytes`.
    pub(super) fn code(&self, bytes: &[u8]) -> [u8; MAC_BYTES] {
        let mut code = [0; MAC_BYTES];
        let full = keyed_hash(&self.0, bytes);
        for (to, from) in code.iter_mut().zip(full.as_bytes()) {
            *to = *from;
        }
        code
    }

    /// Whether `code` is that of `bytes`; takes the same time wherever they differ.
    pub(super) fn verifies(&self, bytes: &[u8], code: [u8; MAC_BYTES]) -> bool {
        // Comparing two `Hash` is constant in time: both get the same second half.
        let widened = |code: [u8; MAC_BYTES]| {
            let mut wide = [0; 32];
            for (to, from) in wide.iter_mut().zip(code) {
                *to = from;
            }
            blake3::Hash::from_bytes(wide)
        };
        widened(self.code(bytes)) == widened(code)
    }
}
