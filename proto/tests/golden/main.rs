//! Golden bytes: the wire is frozen by the files under `vectors/`.
//!
//! `vectors/<kind>/valid/*.hex` must be read and written back byte for byte; `vectors/<kind>/refused/*.hex` must be
//! refused by the code (and field) on their first line. `COMITY_BLESS=1 cargo test -p comity-proto --test golden`
//! writes the files anew; the diff is the change of the wire, to be reviewed as such.

mod books;
mod cases;
mod exports;
mod extremes;
mod key_steps;
mod kinds;
mod members;
mod relay;
mod roots;
mod samples;
mod treaties;
mod verdicts;

use bytes::Bytes;
use comity_proto::reject::Reject;
use data_encoding::HEXLOWER;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Once,
};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors")
}

/// Lines of 64 bytes in hex, after a comment line.
fn file(comment: &str, bytes: &[u8]) -> String {
    let mut text = format!("# {comment}\n");
    for line in bytes.chunks(64) {
        text += &HEXLOWER.encode(line);
        text.push('\n');
    }
    text
}

fn bytes_of(text: &str) -> Bytes {
    let hex: String = text.lines().filter(|line| !line.starts_with('#')).collect();
    HEXLOWER.decode(hex.as_bytes()).expect("hex digits").into()
}

fn comment_of(text: &str) -> &str {
    text.lines().next().and_then(|line| line.strip_prefix("# ")).expect("a comment line")
}

fn refusal(code: &str, field: Option<&str>) -> String {
    [code, field.unwrap_or("")].join(" ").trim_end().to_owned()
}

/// Every file that there must be: path below `vectors/` and content.
fn wanted() -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    for kind in kinds::all() {
        for (name, bytes) in &kind.valid {
            files.insert(format!("{}/valid/{name}.hex", kind.name), file("valid", bytes));
        }
        for (name, bytes, code, field) in &kind.refused {
            let before = files.insert(format!("{}/refused/{name}.hex", kind.name), file(&refusal(code, *field), bytes));
            assert!(before.is_none(), "{name} twice");
        }
    }
    files
}

/// Writes the files anew when asked to, once, before any test reads them.
fn bless() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        if std::env::var_os("COMITY_BLESS").is_none() {
            return;
        }
        fs::remove_dir_all(folder()).ok();
        for (name, text) in wanted() {
            let path = folder().join(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder is made");
            fs::write(path, text).expect("a file is written");
        }
    });
}

/// Every file that there is.
fn found() -> BTreeMap<String, String> {
    bless();
    let mut files = BTreeMap::new();
    let entries = |path: &Path| fs::read_dir(path).expect("a folder").map(|entry| entry.expect("an entry").path());
    for kind in entries(&folder()) {
        for class in entries(&kind) {
            for path in entries(&class) {
                let name = path.strip_prefix(folder()).expect("below").to_str().expect("a plain name").to_owned();
                files.insert(name, fs::read_to_string(&path).expect("a text file"));
            }
        }
    }
    files
}

#[test]
fn the_wire_is_what_the_golden_files_say() {
    let wanted = wanted();
    let found = found();
    for (name, text) in &wanted {
        assert_eq!(Some(text), found.get(name), "{name}: the wire has changed (COMITY_BLESS=1 writes the files anew)");
    }
    assert_eq!(wanted.keys().collect::<Vec<_>>(), found.keys().collect::<Vec<_>>(), "files that nobody makes");
}

#[test]
fn every_valid_file_is_read_and_written_back_byte_for_byte() {
    let kinds = kinds::all();
    let mut count = 0;
    for (name, text) in found().iter().filter(|(name, _)| name.contains("/valid/")) {
        let kind = kinds.iter().find(|kind| name.starts_with(&format!("{}/", kind.name))).expect("a known kind");
        let bytes = bytes_of(text);
        assert_eq!((kind.again)(&bytes).as_ref(), Ok(&bytes), "{name}");
        count += 1;
    }
    assert!(count >= kinds.len(), "every kind has a valid file");
}

#[test]
fn every_refused_file_is_refused_by_the_name_on_its_first_line() {
    let kinds = kinds::all();
    let mut count = 0;
    let mut wrong = vec![];
    for (name, text) in found().iter().filter(|(name, _)| name.contains("/refused/")) {
        let kind = kinds.iter().find(|kind| name.starts_with(&format!("{}/", kind.name))).expect("a known kind");
        let got = match (kind.again)(&bytes_of(text)) {
            Ok(_) => "accepted".to_owned(),
            Err(reject) => refusal(reject.code(), reject.field()),
        };
        if got != comment_of(text) {
            wrong.push(format!("{name}: {got}, wanted {}", comment_of(text)));
        }
        count += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count >= kinds.len() * 5, "every kind has refused files");
}

#[test]
fn what_is_over_the_limit_is_refused_whatever_it_holds() {
    for kind in kinds::all() {
        let got = (kind.again)(&Bytes::from(vec![0; kind.over_limit]));
        assert!(matches!(got, Err(Reject::TooLarge { .. })), "{}: {got:?}", kind.name);
    }
}

#[test]
fn a_valid_message_cut_anywhere_is_refused() {
    for kind in kinds::all() {
        let (name, bytes) = &kind.valid[0];
        for end in 0..bytes.len() {
            let cut = bytes.slice(..end);
            // A list may end early and still be whole; then it is written back as what was left of it.
            if let Ok(again) = (kind.again)(&cut) {
                assert_eq!(again, cut, "{}/{name} cut at {end}", kind.name);
            }
        }
    }
}

#[test]
fn no_flipped_bit_passes_a_signature() {
    for kind in kinds::all().iter().filter(|kind| kind.refused.iter().any(|(name, ..)| *name == "foreign-context")) {
        let (name, bytes) = &kind.valid[0];
        for at in (0..bytes.len()).step_by(7) {
            let mut flipped = bytes.to_vec();
            flipped[at] ^= 1 << (at % 8);
            assert!((kind.again)(&flipped.into()).is_err(), "{}/{name} byte {at}", kind.name);
        }
    }
}
