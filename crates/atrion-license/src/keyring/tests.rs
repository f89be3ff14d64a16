use super::*;

/// The base point of the curve, a public key as good as any.
const GOOD: &str = "WGZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmY";

fn refused(text: &str) -> String {
    Keyring::from_text(text).expect_err(text).to_string()
}

#[test]
fn the_embedded_keys_can_be_read() {
    let keyring = Keyring::from_texts(embedded::TEXTS).expect("readable");
    assert_eq!(Keyring::embedded(), keyring);
    let uses: Vec<KeyUse> = keyring.keys().map(TrustedKey::key_use).collect();
    assert!(uses.contains(&KeyUse::Vendor), "a key for production");
    let development = uses.iter().filter(|u| **u == KeyUse::Development).count();
    assert_eq!(development, 1, "one key for development");
}

#[test]
fn a_file_holds_keys_of_every_standing() {
    let text = format!(
        "# old ones too\n\natrion-public-key vendor a {GOOD}\r\n  \
         atrion-public-key vendor b {GOOD} retired 2026-06-01\n\
         atrion-public-key development c {GOOD} revoked"
    );
    let keyring = Keyring::from_text(&text).unwrap();
    let found: Vec<_> =
        keyring.keys().map(|k| (k.id().as_str(), k.key_use(), k.standing())).collect();
    let since = "2026-06-01".parse().unwrap();
    assert_eq!(
        found,
        [
            ("a", KeyUse::Vendor, Standing::Active),
            ("b", KeyUse::Vendor, Standing::Retired { since }),
            ("c", KeyUse::Development, Standing::Revoked),
        ]
    );
}

#[test]
fn lines_that_are_none_are_refused_by_number() {
    for (line, expected) in [
        (format!("atrion-private-key vendor a {GOOD}"), "atrion-public-key"),
        (format!("atrion-public-key customer a {GOOD}"), "second word"),
        (format!("atrion-public-key vendor A {GOOD}"), "identifier"),
        ("atrion-public-key vendor a".to_owned(), "43 characters"),
        (format!("atrion-public-key vendor a {GOOD}A"), "43 characters"),
        (format!("atrion-public-key vendor a {}Z", &GOOD[..42]), "43 characters"),
        (format!("atrion-public-key vendor a {GOOD} retired"), "date"),
        (format!("atrion-public-key vendor a {GOOD} retired soon"), "date"),
        (format!("atrion-public-key vendor a {GOOD} expired"), "neither"),
        (format!("atrion-public-key vendor a {GOOD} revoked now"), "neither"),
        (format!("atrion-public-key vendor a {GOOD} retired 2026-01-01 x"), "too many"),
    ] {
        let why = refused(&format!("# first\n{line}\n"));
        assert!(why.contains("line 2") && why.contains(expected), "{line}: {why}");
    }
}

#[test]
fn weak_and_impossible_keys_are_refused() {
    let id = |text: &str| text.parse::<Identifier>().unwrap();
    let mut one = [0; 32];
    one[0] = 1; // the neutral element: any signature with S = 0 would verify
    for bytes in [[0; 32], one, [2; 32]] {
        let found = TrustedKey::new(id("k"), KeyUse::Vendor, &bytes);
        assert_eq!(found, Err(KeyringError::BadKey { id: id("k") }), "{bytes:?}");
    }
}

#[test]
fn a_name_is_taken_once() {
    let line = format!("atrion-public-key vendor a {GOOD}\n");
    assert!(refused(&line.repeat(2)).contains("two public keys named `a`"));
}
