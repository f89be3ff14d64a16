//! What must hold for any bytes whatever.

use super::{Codec, WireError};

/// The cluster whose frames the target takes.
pub const FUZZ_CLUSTER: &str = "fuzz";

/// Decodes `bytes` with and without a secret, and checks that what comes out goes in again. Returns
/// what came of it: `accepted`, `accepted with a secret`, or why the plain codec refused it.
///
/// # Panics
/// If a decoded frame cannot be encoded, or comes back as another one.
pub fn fuzz(bytes: &[u8]) -> &'static str {
    let [plain, authenticated] =
        [None, Some(b"fuzz".as_slice())].map(|secret| Codec::new(FUZZ_CLUSTER, secret));
    if round_trip(&authenticated, bytes).is_ok() {
        return "accepted with a secret";
    }
    round_trip(&plain, bytes).map_or_else(|error| error.kind(), |()| "accepted")
}

fn round_trip(codec: &Codec, bytes: &[u8]) -> Result<(), WireError> {
    let frame = codec.decode(bytes)?;
    let again = codec.encode(&frame).expect("what was decoded can be encoded");
    assert!(again.len() <= bytes.len(), "it does not grow");
    assert_eq!(codec.decode(&again), Ok(frame), "nothing is lost");
    Ok(())
}

#[cfg(test)]
mod tests {
    use atrion_core::merge::Stamp;
    use atrion_core::vector::Stance;

    use super::super::{Change, Frame};
    use super::*;

    /// SplitMix64.
    struct Draws(u64);

    impl Draws {
        fn next(&mut self) -> u64 {
            self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            z ^ (z >> 31)
        }

        fn below(&mut self, end: usize) -> usize {
            (self.next() % end.max(1) as u64) as usize
        }
    }

    fn seeds() -> Vec<Vec<u8>> {
        let mut seeds = vec![Vec::new()];
        for codec in [Codec::new("fuzz", None), Codec::new("fuzz", Some(b"fuzz"))] {
            let mut frame = Frame::new(codec.node_id("n"), Stamp { incarnation: 1, sequence: 2 });
            seeds.push(codec.encode(&frame).unwrap().into());
            frame.changes = ["a", "b", "c"]
                .map(|name| Change {
                    route: codec.route_id(name),
                    scar: 40.0,
                    evidence: 5.0,
                    demand: 20.0,
                    momentum: 0.5,
                    resistance: 41.0,
                    stance: Stance::CALM,
                })
                .into();
            seeds.push(codec.encode(&frame).unwrap().into());
            frame.names = vec![(codec.route_id("a"), "a".into())];
            frame.forgotten = vec![codec.route_id("d"), codec.route_id("e")];
            frame.node_name = Some("n".into());
            seeds.push(codec.encode(&frame).unwrap().into());
        }
        seeds
    }

    /// One small injury to a frame; those that change its length mostly keep the header honest.
    fn mutate(bytes: &mut Vec<u8>, draws: &mut Draws) {
        let at = draws.below(bytes.len());
        let boundary = [0, 1, 8, 29, 0x7F, 0x80, 0xFF];
        match (draws.below(6), bytes.get_mut(at)) {
            (0, Some(byte)) => *byte ^= 1 << draws.below(8),
            (1, Some(byte)) => *byte = boundary[draws.below(boundary.len())],
            (2, Some(byte)) => *byte = draws.next() as u8,
            (3, _) => bytes.truncate(at),
            (4, _) => bytes.insert(at, draws.next() as u8),
            _ => {
                let end = (at + draws.below(40)).min(bytes.len());
                let copy = bytes[at..end].to_vec();
                bytes.splice(at..at, copy);
            }
        }
        if bytes.len() >= 14 && draws.below(8) > 0 {
            let length = (bytes.len() as u32).to_le_bytes();
            bytes[10..14].copy_from_slice(&length);
        }
    }

    #[test]
    fn injured_frames_are_refused_or_valid() {
        let seed = std::env::var("ATRION_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(2026);
        println!("ATRION_SEED={seed}");
        let mut draws = Draws(seed);
        let seeds = seeds();
        let plain = Codec::new("fuzz", None);
        let mut valid = 0;
        for _ in 0..60_000 {
            let mut bytes = seeds[draws.below(seeds.len())].clone();
            for _ in 0..=draws.below(4) {
                mutate(&mut bytes, &mut draws);
            }
            valid += u32::from(plain.decode(&bytes).is_ok());
            fuzz(&bytes);
        }
        assert!(valid > 1000, "the injuries reach what lies behind the header: {valid}");
    }
}
