//! The page's files, embedded.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::LazyLock;

use bytes::Bytes;

static FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/assets.rs"));

/// One file of the page.
#[derive(Clone, Debug)]
pub(crate) struct Asset {
    pub(crate) name: &'static str,
    pub(crate) bytes: Bytes,
    pub(crate) content_type: &'static str,
    /// Changes with the content.
    pub(crate) etag: String,
}

static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(|| {
    FILES
        .iter()
        .map(|(name, bytes)| {
            let mut hasher = DefaultHasher::new();
            bytes.hash(&mut hasher);
            Asset {
                name,
                bytes: Bytes::from_static(bytes),
                content_type: content_type(name),
                etag: format!("\"{:016x}\"", hasher.finish()),
            }
        })
        .collect()
});

/// The file of this name, by its path under `assets/`.
pub(crate) fn find(name: &str) -> Option<&'static Asset> {
    ASSETS.iter().find(|asset| asset.name == name)
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "html" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "svg" => "image/svg+xml",
        "json" => "application/json",
        "webmanifest" => "application/manifest+json",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "txt" | "md" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_there_and_every_file_has_a_known_type() {
        assert!(find("index.html").is_some_and(|a| a.content_type.starts_with("text/html")));
        for asset in ASSETS.iter() {
            assert_ne!(asset.content_type, "application/octet-stream", "{}", asset.name);
        }
        assert!(find("../Cargo.toml").is_none());
    }
}
