//! What nodes, applications and clusters are called.

/// The longest name, in bytes.
pub const MAX_NAME_BYTES: usize = 256;

/// What a node calls itself if the user does not say: the variable `HOSTNAME`, which in Kubernetes
/// is the pod's name, else `pid-` and the process's number.
pub fn default_node_name() -> String {
    let name = std::env::var("HOSTNAME").unwrap_or_default();
    if (1..=MAX_NAME_BYTES).contains(&name.len()) {
        name
    } else {
        format!("pid-{}", std::process::id())
    }
}
