//! Small JSON files of a node that say which form they have, each written whole with each change.

use super::files::{self, Access};
use comity_runtime::run_blocking;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::sync::Mutex;

#[derive(Serialize, Deserialize)]
struct Formed<T> {
    form: String,
    content: T,
}

/// What a file of this form and at most so many bytes holds; `None` without a file.
///
/// # Errors
/// The disk's; another form, which this program does not read.
pub(super) fn read<T: DeserializeOwned>(path: &Path, form: &str, bytes_max: u64) -> io::Result<Option<T>> {
    let Some(bytes) = files::read_up_to(path, bytes_max)? else { return Ok(None) };
    let other = |text: String| io::Error::other(format!("{}: {text}", path.display()));
    let file: Formed<T> = serde_json::from_slice(&bytes).map_err(|error| other(error.to_string()))?;
    if file.form == form {
        Ok(Some(file.content))
    } else {
        Err(other(format!("its form is {}, not {form}", file.form)))
    }
}

/// Writes all of it, for the owner's eyes.
///
/// # Errors
/// The disk's.
pub(super) fn write<T: Serialize>(path: &Path, form: &str, content: T) -> io::Result<()> {
    let bytes = serde_json::to_vec(&Formed { form: form.to_owned(), content }).map_err(io::Error::other)?;
    files::write(path, &bytes, Access::Secret)
}

/// A list that a node keeps in one file. Without a data directory it ends with the node.
pub struct KeptList {
    path: Option<PathBuf>,
    form: &'static str,
    /// One write at a time, each of what stands then.
    writing: Arc<Mutex<()>>,
}

impl KeptList {
    /// In `root/name.json`, with the form `comity/name/version`.
    pub fn of(root: Option<&Path>, file: &str, form: &'static str) -> KeptList {
        KeptList { path: root.map(|root| root.join(file)), form, writing: Arc::default() }
    }

    /// What was kept last.
    ///
    /// # Errors
    /// The disk's; another form, which this program does not read.
    pub fn read<T: DeserializeOwned>(&self) -> io::Result<Vec<T>> {
        let Some(path) = &self.path else { return Ok(Vec::new()) };
        read(path, self.form, files::FILE_BYTES_MAX).map(Option::unwrap_or_default)
    }

    /// Keeps what stands when it is this call's turn. Who asked may be gone before it is written; the next one waits all
    /// the same.
    ///
    /// # Errors
    /// The disk's.
    pub async fn write<T: Serialize + Send + 'static>(&self, standing: impl FnOnce() -> Vec<T>) -> io::Result<()> {
        let Some(path) = self.path.clone() else { return Ok(()) };
        let turn = self.writing.clone().lock_owned().await;
        let (form, all) = (self.form, standing());
        let written = run_blocking(move || {
            let _turn = turn;
            write(&path, form, all)
        });
        written.await.unwrap_or_else(|_| Err(io::Error::other("the node is stopping")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, time::Duration};

    fn folder(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("comity-kept-{name}-{}", std::process::id()));
        fs::create_dir_all(&dir).expect("a folder");
        dir
    }

    #[test]
    fn what_was_written_last_is_read_again_and_another_form_is_not() {
        let tokio = crate::runtime::tests_world();
        let dir = folder("forms");
        let list = KeptList::of(Some(&dir), "numbers.json", "comity/numbers/1");
        assert_eq!(list.read::<u32>().expect("no file"), Vec::<u32>::new());
        tokio.block_on(list.write(|| vec![1, 2])).expect("written");
        tokio.block_on(list.write(|| vec![3])).expect("written");
        assert_eq!(list.read::<u32>().expect("a list"), [3]);
        let later = KeptList::of(Some(&dir), "numbers.json", "comity/numbers/2");
        let refused = later.read::<u32>().expect_err("another form").to_string();
        assert!(refused.contains("its form is comity/numbers/1, not comity/numbers/2"), "{refused}");
        fs::remove_dir_all(dir).expect("removed");
    }

    #[test]
    fn writers_that_go_away_in_the_act_do_not_meet() {
        let tokio = crate::runtime::tests_world();
        let dir = folder("turns");
        let list = KeptList::of(Some(&dir), "numbers.json", "comity/numbers/1");
        tokio.block_on(async {
            for number in 0..200_u32 {
                let whole = || vec![number; 20_000];
                // Gone at once, while the file may be under way; the next one must not find it so.
                let _gone = comity_runtime::timeout(Duration::from_micros(200), list.write(whole)).await;
                list.write(|| vec![number]).await.expect("nobody else writes");
            }
        });
        assert_eq!(list.read::<u32>().expect("a list"), [199]);
        fs::remove_dir_all(dir).expect("removed");
    }
}
