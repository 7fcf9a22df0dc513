//! Commands in the documents exist: every `comity ..` and `comity-sim ..` in a code block or between backquotes is
//! understood by the real command line of that program.

use crate::tree::{Breach, Tree, found_at, none};

/// The command line as far as a document can be wrong about it.
struct Verb {
    name: String,
    /// Long flags with whether they take a value.
    flags: Vec<(String, bool)>,
    verbs: Vec<Verb>,
    takes_words: bool,
}

impl Verb {
    fn of(command: &clap::Command) -> Verb {
        let flags =
            command.get_arguments().filter_map(|a| a.get_long().map(|l| (l.to_owned(), a.get_action().takes_values())));
        Verb {
            name: command.get_name().to_owned(),
            flags: flags.chain([("help".to_owned(), false), ("version".to_owned(), false)]).collect(),
            verbs: command.get_subcommands().map(Verb::of).collect(),
            takes_words: command.get_positionals().next().is_some(),
        }
    }
}

/// A call of one of our programs in a document: its words, the program's name first.
struct Call {
    line: usize,
    words: Vec<String>,
}

/// Our programs, by the package that holds each.
const PROGRAMS: [(&str, &str); 2] = [("comity", "comity-node"), ("comity-sim", "comity-sim")];

/// Calls in code. Lines joined by `\\`, parts of a pipe or of `&&` count each; `cargo run .. --` is `comity`. In a block
/// of `console` only lines behind a `$` are commands, the others are what they print.
fn calls(document: &str) -> Vec<Call> {
    let mut found = Vec::new();
    let mut fence: Option<&str> = None;
    let mut pending: Option<(usize, String)> = None;
    for (number, line) in document.lines().enumerate() {
        if let Some(language) = line.trim_start().strip_prefix("```") {
            fence = if fence.is_some() { None } else { Some(language.trim()) };
            continue;
        }
        let Some(language) = fence else {
            let spans = line.split('`').skip(1).step_by(2);
            found.extend(spans.filter_map(call).map(|words| Call { line: number + 1, words }));
            continue;
        };
        if language == "console" && pending.is_none() && !line.trim_start().starts_with('$') {
            continue;
        }
        let (first, mut text) = pending.take().unwrap_or((number + 1, String::new()));
        text.push_str(line.trim());
        if let Some(open) = text.strip_suffix('\\') {
            pending = Some((first, open.to_owned()));
            continue;
        }
        for part in text.split(['|', ';']).flat_map(|part| part.split("&&")) {
            found.extend(call(part).map(|words| Call { line: first, words }));
        }
    }
    found
}

fn call(part: &str) -> Option<Vec<String>> {
    let part = part.split(" # ").next().unwrap_or_default();
    let mut words: Vec<String> = part.split_whitespace().map(str::to_owned).collect();
    let leading = words.iter().take_while(|w| *w == "$" || *w == "exec" || is_setting(w)).count();
    words.drain(..leading);
    let first = words.first()?;
    let named = |name: &str| first == name || first.ends_with(&format!("/{name}"));
    if let Some((name, _)) = PROGRAMS.iter().find(|(name, _)| named(name)) {
        words[0] = (*name).to_owned();
        return Some(words);
    }
    if first == "cargo" && words.get(1).is_some_and(|w| w == "run") {
        let at = words.iter().position(|w| w == "--")?;
        let package = words[..at].iter().position(|w| w == "-p").and_then(|p| words.get(p + 1));
        // `cargo run` alone is the node.
        let program = package.map_or(Some("comity"), |wanted| {
            PROGRAMS.iter().find(|(_, package)| package == wanted).map(|(name, _)| *name)
        })?;
        words[at] = program.to_owned();
        return Some(words.split_off(at));
    }
    None
}

/// `NAME=value` in front of a command.
fn is_setting(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| name.chars().all(|c| c.is_ascii_uppercase() || c == '_'))
}

fn unknown_commands(tree: &Tree, programs: &[Verb]) -> Vec<Breach> {
    let documents = tree.files.iter().filter(|(path, _)| path.ends_with(".md"));
    let mut breaches = Vec::new();
    for (path, text) in documents {
        for call in calls(text) {
            let Some(root) = programs.iter().find(|program| program.name == call.words[0]) else { continue };
            if let Err(reason) = understood(&call.words[1..], root) {
                let rule = format!("`{}`: {reason}", call.words.join(" "));
                breaches.push(Breach::new(path, call.line, rule, "correct the document, or add the command first"));
            }
        }
    }
    breaches
}

fn understood(words: &[String], root: &Verb) -> Result<(), String> {
    let mut verb = root;
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if word.contains(['…', '|', '<', '[', '>']) || word.ends_with("..") {
            // A placeholder, a choice or a redirection: what follows is for people.
            return Ok(());
        }
        if let Some(flag) = word.strip_prefix("--") {
            let (name, inline) = flag.split_once('=').map_or((flag, false), |(name, _)| (name, true));
            let known = verb.flags.iter().chain(&root.flags).find(|(flag, _)| flag == name);
            let Some((_, takes_value)) = known else { return Err(format!("{} has no flag --{name}", verb.name)) };
            if *takes_value && !inline {
                words.next();
            }
        } else if let Some(next) = verb.verbs.iter().find(|v| v.name == *word) {
            verb = next;
        } else if !verb.takes_words {
            return Err(format!("{} knows no command {word}", verb.name));
        }
    }
    Ok(())
}

#[test]
fn every_command_in_the_documents_exists() {
    let node = Verb::of(&<comity_node::cli::args::Cli as clap::CommandFactory>::command());
    let sim = Verb::of(&<comity_sim::cli::args::Cli as clap::CommandFactory>::command());
    let names = [&node.name, &sim.name].map(String::as_str);
    assert_eq!(names, PROGRAMS.map(|(name, _)| name));
    assert!(node.verbs.len() > 5 && sim.verbs.len() > 5, "a command line was not understood");
    let tree = Tree::workspace();
    let readme = calls(&tree.files["README.md"]);
    assert!(!readme.is_empty(), "the README shows no command, or none was understood");
    none(unknown_commands(&tree, &[node, sim]));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Verb {
        let leaf = |name: &str, takes_words: bool, flags: &[(&str, bool)]| Verb {
            name: name.into(),
            flags: flags.iter().map(|(f, v)| (f.to_string(), *v)).collect(),
            verbs: Vec::new(),
            takes_words,
        };
        let mut transfer = leaf("transfer", false, &[]);
        transfer.verbs = vec![leaf("send", true, &[("amount", true)])];
        let mut root = leaf("comity", false, &[("json", false)]);
        root.verbs = vec![leaf("dev", false, &[("once", false), ("input", true)]), transfer];
        root
    }

    #[test]
    fn a_command_that_does_not_exist_is_found() {
        let document = "Run `comity nothing`, `comity dev` or `comity transfer send|lend …` with `--ever`:\n```sh\n\
            comity dev --once --json\n$ comity dev --twice\ncargo run --release -- dance\n\
            COMITY_API=x comity transfer send cm1abc --amount 5 | jq .\ncomity transfer \\\n  lend\n# comity comment\n\
            ready: comity is up\ncargo test --workspace -- nothing\ncargo run -- dev --input dev\n```\n\
            ```console\n$ comity dev\ncomity says something\n$ comity devil\n```\n\
            See `comity-sim run` or `comity-sim walk`.\n```sh\ncargo run --release -p comity-sim -- fly\n\
            cargo run -p other -- fly\n./comity-sim run\n```\n";
        let tree = Tree::of(&[("README.md", document), ("notes.txt", document)]);
        let lines = [1, 4, 5, 7, 17, 19, 21].map(|line| ("README.md", line));
        let mut sim = sample();
        sim.name = "comity-sim".into();
        sim.verbs[0].name = "run".into();
        found_at(&unknown_commands(&tree, &[sample(), sim]), &lines);
    }

    #[test]
    fn the_real_command_line_is_read_from_clap() {
        let command = clap::Command::new("comity")
            .subcommand(clap::Command::new("up").arg(clap::Arg::new("join").long("join").num_args(1)))
            .arg(clap::Arg::new("json").long("json").action(clap::ArgAction::SetTrue));
        let verb = Verb::of(&command);
        assert_eq!(verb.verbs[0].flags[0], ("join".to_owned(), true));
        assert_eq!(verb.flags[0], ("json".to_owned(), false));
        assert!(
            understood(&["up".to_owned(), "--json".to_owned(), "--join".to_owned(), "T".to_owned()], &verb).is_ok()
        );
    }
}
