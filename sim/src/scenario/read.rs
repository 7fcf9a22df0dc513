//! From a file to a scenario, or to an error that says where it is wrong and what was probably meant.

use std::ops::Range;

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    Scenario,
    check::{self, Step, Wrong},
    library,
};

/// A scenario that cannot be run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}:{column}: {what}{}; nothing was run", help.as_ref().map(|help| format!("; {help}")).unwrap_or_default())]
pub struct BadScenario {
    /// The file as it was named.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// Which rule is broken.
    pub what: String,
    /// What to write instead.
    pub help: Option<String>,
}

/// Reads the text of a scenario; `file` is what the error calls it.
///
/// # Errors
/// With the place, the rule and the nearest thing that would be right.
pub fn read(file: &str, text: &str) -> Result<Scenario, BadScenario> {
    let bad = |span: Range<usize>, what: String, help: Option<String>| {
        let (line, column) = place(text, span.start);
        BadScenario { file: file.to_owned(), line, column, what, help }
    };
    let scenario: Scenario = toml::from_str(text).map_err(|error| {
        let (what, help, word) = explain(error.message());
        let span = error.span().unwrap_or(0..0);
        bad(word.and_then(|word| find_word(text, &span, &word)).unwrap_or(span), what, help)
    })?;
    check::check(&scenario).map_err(|Wrong { path, what, help }| bad(locate(text, &path), what, help))?;
    Ok(scenario)
}

/// The parser's words, the help, and the word that it is about.
fn explain(message: &str) -> (String, Option<String>, Option<String>) {
    let what = message.lines().next().unwrap_or("no scenario").to_owned();
    let mut quoted = what.split('`').skip(1).step_by(2).map(str::to_owned);
    if !what.starts_with("unknown ") {
        return (what, None, None);
    }
    let word = quoted.next();
    let mut expected: Vec<String> = quoted.collect();
    if expected.is_empty() {
        expected = known_keys();
    }
    let near = word.as_deref().and_then(|word| library::nearest(word, expected.iter().map(String::as_str)));
    let help = match near {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known here: {}", expected.join(", ")),
    };
    let short = what.split(", expected").next().unwrap_or(&what).replace("field", "key").replace("variant", "name");
    (short, Some(help), word)
}

/// Every key of a scenario, for the places where the parser does not say which it expected.
fn known_keys() -> Vec<String> {
    fn collect(value: &serde_json::Value, keys: &mut Vec<String>) {
        match value {
            serde_json::Value::Object(members) => members.iter().for_each(|(key, value)| {
                keys.push(key.clone());
                collect(value, keys);
            }),
            serde_json::Value::Array(members) => members.iter().for_each(|value| collect(value, keys)),
            _ => {}
        }
    }
    let mut keys: Vec<String> =
        ["between", "script", "policy", "links", "gateways", "majority_above", "reaches", "log"]
            .map(str::to_owned)
            .to_vec();
    let whole = library::named("two-domains").and_then(|scenario| serde_json::to_value(scenario).ok());
    collect(&whole.unwrap_or_default(), &mut keys);
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// Where a word stands inside a span or, as the parser knows only the table that holds it, behind its beginning.
fn find_word(text: &str, span: &Range<usize>, word: &str) -> Option<Range<usize>> {
    let is_part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '-');
    let from = text.get(span.start..)?;
    let found = from
        .match_indices(word)
        .find(|(at, _)| !is_part(from[..*at].chars().next_back()) && !is_part(from[at + word.len()..].chars().next()));
    found.map(|(at, _)| span.start + at..span.start + at + word.len())
}

/// The bytes of what a path leads to, or of the last part of it that is written down.
fn locate(text: &str, path: &[Step]) -> Range<usize> {
    let Ok(table) = DeTable::parse(text) else { return 0..0 };
    let mut span = table.span();
    let root = table.into_inner();
    let Some((Step::Key(first), rest)) = path.split_first() else { return span };
    let Some(mut here) = find_key(&root, first) else { return span };
    span = here.span();
    for step in rest {
        let next = match (step, here.get_ref()) {
            (Step::Key(key), DeValue::Table(table)) => find_key(table, key),
            (Step::At(at), DeValue::Array(array)) => array.get(*at),
            _ => None,
        };
        let Some(next) = next else { break };
        here = next;
        span = here.span();
    }
    span
}

fn find_key<'a, 'i>(table: &'a DeTable<'i>, key: &str) -> Option<&'a Spanned<DeValue<'i>>> {
    table.iter().find(|(known, _)| known.get_ref() == key).map(|(_, value)| value)
}

/// Line and column of a byte, from 1.
fn place(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    (line, before.rsplit('\n').next().unwrap_or_default().chars().count() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "name = \"mine\"\nabout = \"a\"\nexpect = \"b\"\n";
    const DOMAINS: &str = "domains = [{ name = \"alpha\", nodes = 3 }, { name = \"beta\", nodes = 3 }]\n";

    #[track_caller]
    fn refused(body: &str, place: (usize, usize), what: &str, help: &str) {
        let error = read("mine.toml", &format!("{HEAD}{body}")).expect_err("it must be refused");
        assert_eq!((error.line, error.column), place, "{error}");
        assert!(error.to_string().contains(what), "{error}");
        assert!(error.help.as_deref().unwrap_or_default().contains(help), "{error}");
    }

    #[test]
    fn a_whole_scenario_is_read() {
        let scenario = read("mine.toml", &format!("{HEAD}{DOMAINS}")).expect("it is whole");
        assert_eq!((scenario.name.as_str(), scenario.domains.len()), ("mine", 2));
    }

    #[test]
    fn an_unknown_key_is_refused_with_the_nearest_one_wherever_it_stands() {
        refused(&format!("polcy = \"fifo\"\n{DOMAINS}"), (4, 1), "unknown key `polcy`", "`policy`");
        refused("domains = [{ name = \"alpha\", nods = 3 }]\n", (4, 30), "unknown key `nods`", "`nodes`");
        refused(&format!("{DOMAINS}[load]\nper_secnd = 3\n"), (6, 1), "unknown key `per_secnd`", "`per_second`");
        let link = "[[links]]\nbetween = [\"alpha\", \"beta\"]\nlatncy_us = 3\n";
        refused(&format!("{DOMAINS}{link}"), (7, 1), "unknown key `latncy_us`", "`latency_us`");
        let script = "[[script]]\nat_ms = 9000\nfor_ms = 5\nfault = { kind = \"crash\", hst = 1 }\n";
        refused(&format!("{DOMAINS}{script}"), (8, 27), "unknown key `hst`", "`host`");
        let script = "[[script]]\nat_ms = 9000\nfor_ms = 5\nfault = { kind = \"crush\", host = 1 }\n";
        refused(&format!("{DOMAINS}{script}"), (8, 19), "unknown name `crush`", "`crash`");
    }

    #[test]
    fn a_topology_that_cannot_be_is_refused_where_it_stands() {
        for nodes in [0, 2, 7] {
            let body = format!("domains = [{{ name = \"alpha\", nodes = {nodes} }}]\n");
            refused(&body, (4, 38), &format!("a domain of {nodes} nodes"), "1, 3 or 5");
        }
        refused("domains = []\n", (4, 11), "no domain", "at least one");
        let twice = "[[domains]]\nname = \"alpha\"\nnodes = 1\n[[domains]]\nname = \"alpha\"\nnodes = 1\n";
        refused(twice, (8, 8), "two domains are called alpha", "");
        let link = "[[links]]\nbetween = [\"alpha\", \"bet\"]\n";
        refused(&format!("{DOMAINS}{link}"), (6, 21), "no domain is called bet", "beta");
    }

    #[test]
    fn a_rate_that_cannot_be_is_refused_where_it_stands() {
        refused(&format!("{DOMAINS}[load]\nper_second = -1.5\n"), (6, 14), "per_second is -1.5", "0");
        refused(&format!("{DOMAINS}[load]\nacross = 1.5\n"), (6, 10), "across is 1.5", "0 and 1");
        refused(&format!("{DOMAINS}[load]\nper_second = nan\n"), (6, 14), "per_second", "");
        refused(&format!("{DOMAINS}[load]\nagents = -4\n"), (6, 10), "-4", "");
        refused(&format!("{DOMAINS}[chaos]\nshare = -0.1\n"), (6, 9), "share is -0.1", "0 and 1");
        refused(&format!("{DOMAINS}[chaos]\nkinds = [\"crash\", \"pausse\"]\n"), (6, 19), "pausse", "`pause`");
    }

    #[test]
    fn a_script_that_cannot_happen_is_refused_where_it_stands() {
        let script = |fault: &str, at: u64| format!("{DOMAINS}[[script]]\nat_ms = {at}\nfor_ms = 5\nfault = {fault}\n");
        let crash = script("{ kind = \"crash\", host = 6 }", 9_000);
        refused(&crash, (8, 34), "host 6", "0 to 5");
        let partition = script("{ kind = \"partition\", side = [0, 9] }", 9_000);
        refused(&partition, (8, 42), "host 9", "0 to 5");
        refused(&script("{ kind = \"crash\", host = 1 }", 999_000), (6, 9), "after the end", "72000");
    }

    #[test]
    fn what_is_no_toml_is_refused_where_it_breaks_off() {
        refused("domains = [\n", (4, 12), "unclosed", "");
    }
}
