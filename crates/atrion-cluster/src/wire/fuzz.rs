//! What must hold for any bytes whatever.

use super::Codec;

/// Decodes `bytes` with and without a secret, and checks that what comes out goes in again.
///
/// # Panics
/// If a decoded frame cannot be encoded, or comes back as another one.
pub fn fuzz(bytes: &[u8]) {
    for codec in [Codec::new("fuzz", None), Codec::new("fuzz", Some(b"fuzz"))] {
        if let Ok(frame) = codec.decode(bytes) {
            let again = codec.encode(&frame).expect("what was decoded can be encoded");
            assert!(again.len() <= bytes.len(), "it does not grow");
            assert_eq!(codec.decode(&again), Ok(frame), "nothing is lost");
        }
    }
}
