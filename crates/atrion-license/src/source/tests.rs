use super::*;

/// A folder of its own that goes when the test ends.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let name = format!("atrion-license-{}-{name}", std::process::id());
        let path = env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, content).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn read(source: &KeySource) -> Result<Option<String>, String> {
    let read = source.read().map_err(|e| e.to_string())?;
    Ok(read.map(|key| key.as_str().to_owned()))
}

#[test]
fn around_a_file_s_key_blanks_are_left_out_and_inside_they_stay() {
    let folder = Folder::new("blanks");
    for content in ["atrion_x", "atrion_x\n", "\r\n\t atrion_x \r\n"] {
        let path = folder.file("key", content.as_bytes());
        assert_eq!(read(&KeySource::File(path)), Ok(Some("atrion_x".to_owned())), "{content:?}");
    }
    let path = folder.file("key", b"atrion_\nx\n");
    assert_eq!(read(&KeySource::File(path)), Ok(Some("atrion_\nx".to_owned())));
    let inline = KeySource::Inline("atrion_x\n".to_owned());
    assert_eq!(read(&inline), Ok(Some("atrion_x\n".to_owned())), "inline is taken as it is");
}

#[test]
fn files_that_hold_no_key_are_refused_by_name() {
    let folder = Folder::new("refused");
    let refused = |path: PathBuf| read(&KeySource::File(path)).expect_err("refused");
    assert!(refused(folder.file("long", &[b'a'; MAX_KEY_BYTES + 1])).contains("long has more"));
    assert!(refused(folder.file("bytes", &[0xff, 0xfe])).contains("no text"));
    assert!(refused(folder.0.join("absent")).contains("absent cannot be read"));
    assert!(refused(folder.0.clone()).contains("no ordinary file"));
    #[cfg(unix)]
    assert!(refused("/dev/zero".into()).contains("no ordinary file"), "would never end");
    let path = folder.file("full", &[b'a'; MAX_KEY_BYTES]);
    assert_eq!(read(&KeySource::File(path)).map(|k| k.map_or(0, |k| k.len())), Ok(MAX_KEY_BYTES));
}

#[test]
fn a_variable_that_is_not_set_or_empty_is_no_key() {
    assert_eq!(from_env("X", None), Ok(None));
    assert_eq!(from_env("X", Some("".into())), Ok(None));
    assert_eq!(from_env("X", Some(" a\n".into())), Ok(Some(" a\n".to_owned())));
    assert_eq!(read(&KeySource::Env("ATRION_NO_SUCH_VARIABLE".to_owned())), Ok(None));
    assert_eq!(KeySource::default(), KeySource::Env(ENV_VAR.to_owned()));
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStringExt as _;
        let bytes = OsString::from_vec(vec![0xff]);
        assert!(from_env("X", Some(bytes)).is_err_and(|e| e.to_string().contains("variable X")));
    }
}

#[test]
fn too_long_a_text_is_refused_wherever_it_comes_from() {
    let long = KeySource::Inline("a".repeat(MAX_KEY_BYTES + 1));
    assert_eq!(long.read().map_err(|e| e.code()), Err("too_long"));
}

#[test]
fn nothing_that_is_printed_holds_the_key() {
    let source = KeySource::Inline("atrion_secret".to_owned());
    let text = source.read().unwrap().unwrap();
    for printed in [format!("{source:?}"), format!("{text:?}")] {
        assert!(!printed.contains("secret"), "{printed}");
    }
}
