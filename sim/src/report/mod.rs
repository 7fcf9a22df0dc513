//! A record as one page: no network, no server, works from a file.
//!
//! The words stand in the page itself; the picture is drawn by `page.js` from the record, which is embedded as JSON.
//!
//! Deliberately absent: anything that the record does not hold.

use std::fmt::Write;

use serde_json::json;

use crate::{
    plan::PlannedFault,
    record::{Record, Verdict, What},
    scenario::Scenario,
};

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// The page; `name` is how the record's file is called.
pub fn page(record: &Record, name: &str) -> String {
    let scenario = &record.plan.scenario;
    let parts = [
        ("TITLE", escaped(&format!("{} {}: {}", scenario.name, record.plan.seed, verdict(record.verdict)))),
        ("STYLE", STYLE.to_owned()),
        ("CLASS", if record.verdict == Verdict::Held { "held" } else { "broken" }.to_owned()),
        ("VERDICT", verdict(record.verdict).to_owned()),
        ("SCENARIO", escaped(&scenario.name)),
        ("SEED", record.plan.seed.to_string()),
        ("ABOUT", escaped(&scenario.about)),
        ("JUDGEMENT", judgement(record)),
        ("FACTS", facts(record)),
        ("COMMAND", escaped(&format!("comity-sim replay {name}"))),
        ("FAULTS", faults(record)),
        ("REACHED", reached(record)),
        ("DATA", data(record)),
        ("SCRIPT", SCRIPT.to_owned()),
    ];
    let mut page = String::new();
    let mut rest = PAGE;
    // One pass: what is put in is never looked at again, so no text of a record can pass for a place.
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((key, after)) = after.split_once("}}") else { break };
        page.push_str(before);
        page.push_str(parts.iter().find(|(known, _)| *known == key).map_or("", |(_, text)| text));
        rest = after;
    }
    page.push_str(rest);
    page
}

fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Held => "held",
        Verdict::Crashed => "crashed",
        Verdict::NoProgress => "no progress",
        Verdict::Wrong => "wrong",
    }
}

fn judgement(record: &Record) -> String {
    match &record.failure {
        None => format!("<p class=\"claim\">Held: {}.</p>", escaped(&record.plan.scenario.expect)),
        Some(failure) => format!(
            "<p class=\"claim\">Broken at {}: {}.</p><p class=\"seen\"><b>{}</b> saw instead:</p><pre>{}</pre>",
            moment(failure.at_ms),
            escaped(&failure.claim),
            escaped(&failure.oracle),
            escaped(&failure.detail)
        ),
    }
}

fn facts(record: &Record) -> String {
    let done = record.timeline.iter().filter(|h| matches!(h.what, What::FaultBegan { done: true, .. })).count();
    let speed = record.virtual_ms / record.wall_ms.max(1);
    let facts = [
        ("virtual time", moment(record.virtual_ms)),
        ("real time", format!("{} ({speed} times as fast)", moment(record.wall_ms))),
        ("faults", format!("{done} of {} done", record.plan.faults.len())),
        ("order of tasks", serde_json::to_string(&record.plan.policy).unwrap_or_default().replace('"', "")),
        ("events", record.events.to_string()),
        ("digest", format!("{:016x}", record.digest)),
        ("commit", record.commit.clone()),
    ];
    let mut text = String::new();
    for (name, value) in facts {
        let _ = write!(text, "<div><dt>{name}</dt><dd>{}</dd></div>", escaped(&value));
    }
    text
}

fn faults(record: &Record) -> String {
    let mut rows = String::new();
    for planned in &record.plan.faults {
        let began = record.timeline.iter().find_map(|happening| match &happening.what {
            What::FaultBegan { number, done } if *number == planned.number => Some((happening.at_ms, *done)),
            _ => None,
        });
        let done = match began {
            Some((at_ms, true)) => format!("done at {}", moment(at_ms)),
            Some((_, false)) => "could not happen".to_owned(),
            None => "not reached".to_owned(),
        };
        let _ = write!(
            rows,
            "<tr data-fault=\"{0}\"><td>{0}</td><td>{1}</td><td>{2}</td><td>{3}</td><td>{4}</td><td>{done}</td></tr>",
            planned.number,
            moment(planned.at_ms),
            moment(planned.for_ms),
            planned.kind(),
            escaped(&words(planned))
        );
    }
    rows
}

/// The settings of a fault and what it waits for, as `host 3, share 0.1`.
fn words(planned: &PlannedFault) -> String {
    let values = [serde_json::to_value(&planned.fault), serde_json::to_value(planned.when)];
    let values: Vec<serde_json::Value> = values.into_iter().filter_map(Result::ok).collect();
    let settings = values.iter().filter_map(|value| value.as_object()).flatten().filter(|(key, _)| *key != "kind");
    let list: Vec<String> = settings
        .map(|(key, value)| format!("{} {}", key.replace('_', " "), value.to_string().replace('"', "")))
        .collect();
    list.join(", ")
}

fn reached(record: &Record) -> String {
    let mut rows = String::new();
    for (name, count) in &record.reached {
        let (group, name) = name.split_once(':').unwrap_or(("other", name));
        let _ = write!(rows, "<tr><td>{}</td><td>{}</td><td>{count}</td></tr>", escaped(group), escaped(name));
    }
    rows
}

/// The record as the script wants it. Nothing in it can end the script's element.
fn data(record: &Record) -> String {
    let scenario: &Scenario = &record.plan.scenario;
    let domains = scenario.domains.iter().map(|domain| json!({ "name": domain.name, "nodes": domain.nodes }));
    let data = json!({
        "end_ms": record.virtual_ms,
        "domains": domains.collect::<Vec<_>>(),
        "faults": record.plan.faults.iter().map(|planned| json!({
            "number": planned.number,
            "for_ms": planned.for_ms,
            "kind": planned.kind(),
            "words": words(planned),
            "fault": planned.fault,
        })).collect::<Vec<_>>(),
        "failure": record.failure.as_ref().map(|failure| json!({ "at_ms": failure.at_ms, "oracle": failure.oracle })),
        "timeline": record.timeline,
    });
    data.to_string().replace('<', "\\u003c")
}

fn moment(at_ms: u64) -> String {
    format!("{}.{:03} s", at_ms / 1_000, at_ms % 1_000)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        plan::Plan,
        record::{Failure, Happening},
        scenario,
    };

    fn broken() -> Record {
        Record {
            verdict: Verdict::Wrong,
            commit: "abc".to_owned(),
            plan: Plan::draw(7, &scenario::named("two-domains").expect("it is shipped")),
            digest: 5,
            marks: Vec::new(),
            marks_every: 1,
            events: 100,
            virtual_ms: 20_000,
            wall_ms: 1,
            failure: Some(Failure {
                oracle: "agreement".to_owned(),
                claim: "replicas agree".to_owned(),
                at_ms: 19_950,
                detail: "hosts 1 & 2 </script> {{TITLE}} differ".to_owned(),
            }),
            timeline: vec![Happening { at_ms: 3, what: What::Note { text: "</script><b>{{DATA}}".to_owned() } }],
            reached: Default::default(),
        }
    }

    #[test]
    fn a_page_says_claim_seed_and_command_and_asks_no_network() {
        let page = page(&broken(), "FAILURE-two-domains-7.json");
        for words in
            ["Broken at 19.950 s: replicas agree", "comity-sim replay FAILURE-two-domains-7.json", "two-domains"]
        {
            assert!(page.contains(words), "{words}");
        }
        let namespace = page.replace("http://www.w3.org/2000/svg", "");
        assert!(!namespace.contains("http://") && !namespace.contains("https://"));
        assert_eq!(page.matches("<tr data-fault").count(), broken().plan.faults.len());
    }

    #[test]
    fn no_text_of_a_record_ends_the_script_or_passes_for_a_place() {
        let page = page(&broken(), "x.json");
        assert_eq!(page.matches("</script>").count(), PAGE.matches("</script>").count());
        assert!(page.contains("{{TITLE}} differ"));
    }
}
