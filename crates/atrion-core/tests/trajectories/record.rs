//! Fingerprints, rows, and the comparison with what was recorded.

use std::path::PathBuf;

/// FNV-1a over 64-bit words: for telling apart, not for keeping secrets.
#[derive(Clone, Copy)]
pub(crate) struct Fingerprint(u64);

impl Fingerprint {
    pub(crate) const fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    pub(crate) fn word(&mut self, word: u64) {
        for byte in word.to_le_bytes() {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    pub(crate) fn number(&mut self, number: f64) {
        self.word(number.to_bits());
    }

    pub(crate) fn maybe(&mut self, number: Option<f64>) {
        // No number of the law has these bits: it is a NaN.
        self.word(number.map_or(u64::MAX, f64::to_bits));
    }
}

impl std::fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Compares rows with the recorded ones, or records them if `ATRION_BLESS` is set.
pub(crate) fn compare(name: &str, rows: &[String]) {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/trajectories/recorded");
    let path = folder.join(format!("{name}.txt"));
    let now = format!("{}\n", rows.join("\n"));
    if std::env::var_os("ATRION_BLESS").is_some() {
        std::fs::create_dir_all(&folder).expect("a folder for records");
        std::fs::write(&path, &now).expect("a record that can be written");
        return;
    }
    let recorded = std::fs::read_to_string(&path).unwrap_or_else(|e| {
        panic!("{}: {e}; see main.rs for how records are taken", path.display())
    });
    let recorded: Vec<&str> = recorded.lines().collect();
    for (number, row) in rows.iter().enumerate() {
        assert_eq!(
            Some(&row.as_str()),
            recorded.get(number),
            "{name}, row {}: the law (left) no longer does what it did (right)",
            number + 1
        );
    }
    assert_eq!(rows.len(), recorded.len(), "{name}: rows");
}
