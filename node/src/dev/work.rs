//! The built-in worker's trade: a report on a text, exact enough to be checked by the one who pays for it.

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// How many of the most frequent words are listed.
const TOP_WORDS: usize = 10;

/// What the worker returns, as JSON with the fields in this order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextReport {
    /// Line feeds, plus one for a last line without one.
    pub lines: u64,
    /// Runs of letters and digits.
    pub words: u64,
    /// Length.
    pub bytes: u64,
    /// The most frequent words in lower case, most frequent first, ties in alphabetical order.
    pub top_words: Vec<WordCount>,
    /// SHA-256 of the input, hex.
    pub sha256: String,
}

/// One word and how often it stands in the text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WordCount {
    /// Lower case.
    pub word: String,
    /// Occurrences.
    pub count: u64,
}

impl TextReport {
    /// Reads `input` as UTF-8; bytes that are none separate words.
    pub fn of(input: &[u8]) -> TextReport {
        let text = String::from_utf8_lossy(input);
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        let mut words = 0;
        for word in text.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()) {
            words += 1;
            *counts.entry(word.to_lowercase()).or_default() += 1;
        }
        let mut ranked: Vec<(String, u64)> = counts.into_iter().collect();
        ranked.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        let line_feeds = input.iter().filter(|b| **b == b'\n').count() as u64;
        let unfinished = input.last().is_some_and(|b| *b != b'\n');
        TextReport {
            lines: line_feeds + u64::from(unfinished),
            words,
            bytes: input.len() as u64,
            top_words: ranked.into_iter().take(TOP_WORDS).map(|(word, count)| WordCount { word, count }).collect(),
            sha256: HEXLOWER.encode(&Sha256::digest(input)),
        }
    }

    /// The bytes that are returned, hashed and paid for.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_counts_lines_words_and_bytes() {
        let report = TextReport::of(b"To be, or not to be:\nthat is the question");
        assert_eq!((report.lines, report.words, report.bytes), (2, 10, 41));
        assert_eq!(report.top_words[0], WordCount { word: "be".into(), count: 2 });
        assert_eq!(report.top_words[1], WordCount { word: "to".into(), count: 2 });
    }

    #[test]
    fn an_empty_text_has_nothing_to_count() {
        let report = TextReport::of(b"");
        assert_eq!((report.lines, report.words, report.bytes), (0, 0, 0));
        assert!(report.top_words.is_empty());
    }
}
