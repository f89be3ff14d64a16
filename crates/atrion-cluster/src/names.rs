//! What the cluster's keys and channels are called.

use std::fmt::Write as _;

use bytes::{BufMut, Bytes, BytesMut};

/// The names that one cluster uses in Redis.
///
/// ```text
/// <prefix>:{<cluster>}:nodes           sorted set of the nodes, by when they were last seen
/// <prefix>:{<cluster>}:state:<node>    hash of a node's stored state
/// <prefix>:licence:{<register>}:first  sorted sets of a register, by first and last
/// <prefix>:licence:{<register>}:last   registration
/// <channel>[:<cluster>]                channel, without the cluster's name for `default`
/// <channel>:{<cluster>}                sharded channel, in Redis Cluster 7.0 and later
/// ```
///
/// What stands in braces decides about the node of a Redis Cluster that holds a key; so all keys of
/// one of our clusters are on one node, and one round trip reaches them. Braces and percent signs in
/// the texts given are percent-encoded, an empty name is written `%`: no two clusters and no two
/// registers share a key. (Channel `a` of cluster `b` is the same as channel `a:b` of the default
/// one; who sets channels by hand chooses them apart.)
///
/// A server's access list needs `~<prefix>:*` and `&<channel>*`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Names {
    prefix: String,
    tag: String,
    channel: Bytes,
    shard_channel: Bytes,
    index: Bytes,
    state: Bytes,
}

impl Names {
    /// The prefix of keys where none is set.
    pub const DEFAULT_PREFIX: &'static str = "atrion";
    /// The channel where none is set.
    pub const DEFAULT_CHANNEL: &'static str = "atrion:sync";
    /// The cluster's name where none is set.
    pub const DEFAULT_CLUSTER: &'static str = "default";

    /// The names of `cluster`. Any text will do for each of the three.
    pub fn new(prefix: &str, channel: &str, cluster: &str) -> Self {
        let prefix = without_braces(prefix);
        let tag = tag(cluster);
        let plain = if cluster == Self::DEFAULT_CLUSTER {
            channel.to_owned()
        } else {
            format!("{channel}:{cluster}")
        };
        Self {
            channel: Bytes::from(plain),
            shard_channel: Bytes::from(format!("{}:{{{tag}}}", without_braces(channel))),
            index: Bytes::from(format!("{prefix}:{{{tag}}}:nodes")),
            state: Bytes::from(format!("{prefix}:{{{tag}}}:state:")),
            prefix,
            tag,
        }
    }

    /// The channel for news.
    pub const fn channel(&self) -> &Bytes {
        &self.channel
    }

    /// The channel for news where a Redis Cluster has sharded channels.
    pub const fn shard_channel(&self) -> &Bytes {
        &self.shard_channel
    }

    /// The key of the index of nodes.
    pub const fn index(&self) -> &Bytes {
        &self.index
    }

    /// The key of a node's stored state.
    pub fn state(&self, node: &[u8]) -> Bytes {
        let mut key = BytesMut::with_capacity(self.state.len() + node.len());
        key.put_slice(&self.state);
        key.put_slice(node);
        key.freeze()
    }

    /// The two keys of a register: by first and by last registration.
    pub fn register(&self, register: &str) -> (Bytes, Bytes) {
        let stem = format!("{}:licence:{{{}}}", self.prefix, tag(register));
        (Bytes::from(format!("{stem}:first")), Bytes::from(format!("{stem}:last")))
    }

    /// The slot of a Redis Cluster that holds this cluster's keys and sharded channel.
    pub fn slot(&self) -> u16 {
        slot_of_tag(self.tag.as_bytes())
    }

    /// The slot of a Redis Cluster that holds a register.
    pub fn register_slot(register: &str) -> u16 {
        slot_of_tag(tag(register).as_bytes())
    }
}

impl Default for Names {
    fn default() -> Self {
        Self::new(Self::DEFAULT_PREFIX, Self::DEFAULT_CHANNEL, Self::DEFAULT_CLUSTER)
    }
}

/// A hash tag for any text: not empty, because Redis ignores an empty one.
fn tag(text: &str) -> String {
    if text.is_empty() { "%".to_owned() } else { without_braces(text) }
}

fn without_braces(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '{' | '}' | '%') {
            let _ = write!(out, "%{:02X}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}

/// CRC-16/XMODEM modulo 16384, as the cluster specification of Redis says.
fn slot_of_tag(tag: &[u8]) -> u16 {
    let crc = tag.iter().fold(0u16, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc, _| {
            if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 }
        })
    });
    crc % 16384
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_names() {
        let names = Names::default();
        assert_eq!(names.channel(), "atrion:sync");
        assert_eq!(names.shard_channel(), "atrion:sync:{default}");
        assert_eq!(names.index(), "atrion:{default}:nodes");
        assert_eq!(names.state(b"n\xff1"), &b"atrion:{default}:state:n\xff1"[..]);
        let (first, last) = names.register("lic-1");
        assert_eq!(first, "atrion:licence:{lic-1}:first");
        assert_eq!(last, "atrion:licence:{lic-1}:last");
        assert_eq!(Names::new("atrion", "atrion:sync", "shop").channel(), "atrion:sync:shop");
    }

    #[test]
    fn hostile_names_keep_apart_and_keep_their_tag() {
        let hostile = ["", "%", "{", "}", "{}", "a}b", "a%7Db", "{default}", "default", "%7B"];
        let mut keys: Vec<Bytes> =
            hostile.iter().map(|c| Names::new("p{q}", "ch", c).index().clone()).collect();
        for key in &keys {
            let text = String::from_utf8(key.to_vec()).unwrap();
            assert_eq!(text.matches('{').count(), 1, "{text}");
            assert_eq!(text.matches('}').count(), 1, "{text}");
            assert!(!text.contains("{}"), "{text}");
        }
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), hostile.len());
    }

    #[test]
    fn slots_are_those_of_the_specification() {
        assert_eq!(slot_of_tag(b"123456789"), 0x31C3);
        assert_eq!(slot_of_tag(b"foo"), 12182);
        assert_eq!(Names::register_slot("foo"), 12182);
        assert_eq!(Names::new("p", "c", "foo").slot(), 12182);
    }
}
