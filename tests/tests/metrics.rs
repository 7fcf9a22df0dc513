//! What an operator watches: a page of figures for each node, every name of it in one table, and who may read it.

use comity_node::metrics::{
    MEDIA_TYPE,
    table::{Name, ROWS, Row},
};
use comity_tests::{
    PATIENCE,
    agent::Agent,
    cli::ask,
    pair::{Pair, connect, publish},
    single::{Single, free_addresses},
    wait_for,
    wire::{self, Said},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// Labels of a sample.
type Labels = BTreeMap<String, String>;

/// One line of a page.
#[derive(Clone, Debug)]
struct Sample {
    name: String,
    labels: Labels,
    value: f64,
}

/// A page: what it says of each family, and its samples in order.
#[derive(Debug, Default)]
struct Page {
    help: BTreeMap<String, String>,
    kind: BTreeMap<String, String>,
    unit: BTreeMap<String, String>,
    samples: Vec<Sample>,
}

fn labels(text: &str) -> Labels {
    let pairs = text.split("\",").filter(|pair| !pair.is_empty());
    let pair = |pair: &str| {
        let (name, value) = pair.split_once("=\"").unwrap_or_else(|| panic!("{text}"));
        (name.to_owned(), value.trim_end_matches('"').to_owned())
    };
    pairs.map(pair).collect()
}

impl Page {
    fn of(text: &str) -> Page {
        let mut page = Page::default();
        let body = text.strip_suffix("# EOF\n").unwrap_or_else(|| panic!("no end: {text}"));
        for line in body.lines() {
            if let Some(said) = line.strip_prefix("# ") {
                let (word, said) = said.split_once(' ').expect("a word");
                let (family, said) = said.split_once(' ').expect("a family");
                let map = match word {
                    "HELP" => &mut page.help,
                    "TYPE" => &mut page.kind,
                    "UNIT" => &mut page.unit,
                    other => panic!("{other}"),
                };
                assert!(map.insert(family.to_owned(), said.to_owned()).is_none(), "{line}: said twice");
                continue;
            }
            let (sample, value) = line.rsplit_once(' ').expect("a value");
            let (name, inside) = sample.split_once('{').unwrap_or((sample, "}"));
            let value = value.parse().unwrap_or_else(|_| panic!("{line}"));
            let inside = inside.strip_suffix('}').expect("an end of labels");
            page.samples.push(Sample { name: name.to_owned(), labels: labels(inside), value });
        }
        page
    }

    /// The one sample of a row whose labels hold all these.
    fn figure(&self, name: Name, with: &[(&str, &str)]) -> Option<f64> {
        let row = &ROWS[name as usize];
        let has = |sample: &&Sample| {
            with.iter().all(|(label, value)| sample.labels.get(*label).map(String::as_str) == Some(*value))
        };
        let mut found = self.samples.iter().filter(|sample| sample.name == sample_name(row, "")).filter(has);
        let figure = found.next().map(|sample| sample.value);
        assert!(found.next().is_none(), "{name:?} {with:?} names more than one sample");
        figure
    }
}

/// The name of a row's samples; of a histogram, of the part.
fn sample_name(row: &Row, part: &str) -> String {
    let end = match row.kind.as_str() {
        "counter" => "_total",
        "info" => "_info",
        _ => part,
    };
    format!("{}{end}", row.family())
}

fn scrape(node: &Single, token: &str) -> Said {
    let bearer = format!("Bearer {token}");
    wire::ask(node.http, "GET", "/metrics", &[("authorization", &bearer)], b"")
}

fn page(node: &Single) -> Page {
    let said = scrape(node, &node.token("metrics.token"));
    assert_eq!((said.status, said.header("content-type")), (200, MEDIA_TYPE));
    Page::of(std::str::from_utf8(&said.body).expect("text"))
}

/// Whatever a page says is as its row says; gives the rows that have samples.
fn rows_of(page: &Page) -> BTreeSet<usize> {
    let mut seen = BTreeSet::new();
    let mut whose = BTreeMap::new();
    for (position, row) in ROWS.iter().enumerate() {
        let parts: &[&str] = if row.kind.as_str() == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
        whose.extend(parts.iter().map(|part| (sample_name(row, part), position)));
        let family = row.family();
        if page.kind.contains_key(&family) {
            assert_eq!(page.kind[&family], row.kind.as_str(), "{family}");
            assert_eq!(page.help[&family], format!("{}.", row.help), "{family}");
            assert_eq!(page.unit.get(&family).map_or("", String::as_str), row.unit, "{family}");
        }
    }
    let families: BTreeSet<String> = ROWS.iter().map(Row::family).collect();
    for said in [&page.help, &page.kind, &page.unit] {
        said.keys().for_each(|family| assert!(families.contains(family), "{family} is not in the table"));
    }
    let mut distinct = BTreeSet::new();
    for sample in &page.samples {
        let position = *whose.get(&sample.name).unwrap_or_else(|| panic!("{sample:?} is not in the table"));
        let bucket = sample.name.ends_with("_bucket").then_some("le");
        let wanted: BTreeSet<&str> = ROWS[position].labels.iter().copied().chain(bucket).collect();
        assert_eq!(sample.labels.keys().map(String::as_str).collect::<BTreeSet<_>>(), wanted, "{sample:?}");
        assert!(distinct.insert((sample.name.clone(), sample.labels.clone())), "{sample:?} stands twice");
        seen.insert(position);
    }
    seen
}

/// The same node with a door for other machines.
fn with_https(mut node: Single) -> Single {
    node.process = None;
    let config = node.dir.join("config.toml");
    let before = std::fs::read_to_string(&config).expect("a configuration");
    let table = format!("{before}\n[https]\nlisten = \"{}\"\n", free_addresses(1)[0]);
    std::fs::write(&config, table).expect("a configuration");
    node.start(&[]);
    node.wait_until_founded();
    node
}

#[test]
fn every_name_on_a_page_is_in_the_table_and_every_row_of_it_appears() {
    let Pair { acme, globex } = Pair::of(with_https(Single::witness("acme")), Single::witness("globex"), "all");
    ask(&acme.dir, &["licence", "issue", "globex", "--reason", "the pilot"]);
    let alice = Agent::funded(&acme.api(), acme.domain(), "alice");
    let bob = Agent::registered(&globex.api(), globex.domain(), "bob");
    let (_, pay) = alice.pay(bob.party(), acme.asset(), 1_000);
    alice.must(&acme.api(), pay);
    let missing = wait_for("every row", 2 * PATIENCE, || {
        let rows = [&acme, &globex].map(|node| rows_of(&page(node)));
        let seen: BTreeSet<usize> = rows.into_iter().flatten().collect();
        let missing: Vec<String> =
            ROWS.iter().enumerate().filter(|(at, _)| !seen.contains(at)).map(|(_, row)| row.family()).collect();
        if missing.is_empty() {
            return Some(missing);
        }
        eprintln!("not yet: {missing:?}");
        None
    });
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn figures_are_those_of_the_books_and_a_silent_partner_is_seen() {
    let acme = Single::named("acme");
    let mut globex = Single::named("globex");
    connect(&acme, &globex, "all");
    ask(&globex.dir, &["licence", "issue", "acme", "--events", "1", "--agents", "7", "--reason", "the pilot"]);
    let alice = Agent::funded(&acme.api(), acme.domain(), "alice");
    let bob = Agent::registered(&globex.api(), globex.domain(), "bob");
    let (ids, usd) = ([acme.domain(), globex.domain()].map(|id| id.to_string()), acme.asset().to_string());
    let (to_globex, to_acme) = ([("peer", ids[1].as_str())], [("peer", ids[0].as_str())]);
    let paper = [("peer", ids[0].as_str()), ("asset", usd.as_str())];
    let at = |node: &Single, name, with: &[(&str, &str)]| page(node).figure(name, with);
    let until = |what: &str, node: &Single, name, with: &[(&str, &str)], is: &dyn Fn(f64) -> bool| {
        wait_for(what, PATIENCE, || at(node, name, with).filter(|value| is(*value)))
    };

    assert_eq!(at(&acme, Name::RaftRole, &[("role", "leader")]), Some(1.0));
    assert_eq!(at(&acme, Name::PeerTreaty, &[to_globex[0], ("state", "mutual")]), Some(1.0));
    assert_eq!(at(&globex, Name::Peer, &[to_acme[0], ("name", "acme")]), Some(1.0));
    assert_eq!(at(&globex, Name::LicenceAgentsMax, &to_acme), Some(7.0));

    let (_, pay) = alice.pay(bob.party(), acme.asset(), 1_000);
    alice.must(&acme.api(), pay);
    until("the paper", &globex, Name::PeerExposure, &paper, &|held| held == 1_000.0);
    until("its end", &acme, Name::TransfersEnded, &[("part", "origin"), ("end", "committed")], &|count| count == 1.0);
    assert_eq!(at(&acme, Name::PeerReserve, &[to_globex[0], ("asset", &usd)]), Some(1_000.0));
    assert_eq!(at(&globex, Name::PeerExposureCap, &paper), Some(500_000_000.0));
    assert_eq!(at(&globex, Name::LicenceAdmitted, &to_acme), Some(1.0));

    // The licence's one event of this minute is used.
    let (_, pay) = alice.pay(bob.party(), acme.asset(), 1);
    alice.must(&acme.api(), pay);
    let refused = [to_acme[0], ("reason", "licence_events")];
    until("the refusal", &globex, Name::LicenceRefused, &refused, &|count| count >= 1.0);
    until("the doubt", &acme, Name::InDoubt, &to_globex, &|count| count == 1.0);

    globex.process.take().expect("it runs").kill();
    until("an open breaker", &acme, Name::PeerBreaker, &to_globex, &|open| open == 1.0);
    until("its absence", &acme, Name::PeerNodes, &to_globex, &|nodes| nodes == 0.0);
    until("an age", &acme, Name::InDoubtAge, &to_globex, &|age| age > 0.0);
    globex.start(&[]);
    globex.wait_until_founded();
    until("a closed breaker", &acme, Name::PeerBreaker, &to_globex, &|open| open == 0.0);
    until("its end", &acme, Name::InDoubt, &to_globex, &|count| count == 0.0);
}

#[test]
fn answers_are_counted_by_route_and_never_by_what_somebody_typed() {
    let node = Single::up();
    let bearer = format!("Bearer {}", node.token("api.token"));
    for path in ["/api/v1/agents/a", "/api/v1/agents/b", "/no/such/page", "/no/such/other"] {
        wire::ask(node.http, "GET", path, &[("authorization", &bearer)], b"");
    }
    wire::ask(node.http, "BREW", "/api/v1/status", &[], b"");
    let page = page(&node);
    let count = |route, method, status| {
        page.figure(Name::HttpRequests, &[("route", route), ("method", method), ("status", status)])
    };
    assert_eq!(count("/api/v1/agents/{agent}", "GET", "4xx"), Some(2.0));
    assert_eq!(count("none", "GET", "4xx"), Some(2.0));
    assert_eq!(count("/api/v1/status", "other", "4xx"), Some(1.0));
    assert!(page.figure(Name::HttpPlaces, &[("door", "http")]) >= Some(1.0));
    let buckets = page
        .samples
        .iter()
        .filter(|sample| sample.name.ends_with("duration_seconds_bucket") && sample.labels["route"] == "none");
    let counts: Vec<f64> = buckets.map(|sample| sample.value).collect();
    assert!(counts.is_sorted() && counts.last() == Some(&2.0), "{counts:?}");
}

#[test]
fn the_token_of_a_watcher_reads_the_page_and_nothing_else_and_lasts() {
    let mut node = Single::up();
    let watcher = node.token("metrics.token");
    assert_eq!(scrape(&node, &watcher).status, 200);
    assert_eq!(scrape(&node, &node.token("api.token")).status, 200);
    assert_eq!(scrape(&node, &node.token("admission.token")).refusal(), (403, "operator_only".to_owned()));
    assert_eq!(scrape(&node, &"0".repeat(64)).refusal(), (401, "bad_token".to_owned()));
    assert_eq!(wire::ask(node.http, "GET", "/metrics", &[], b"").refusal(), (401, "bad_token".to_owned()));
    let bearer = format!("Bearer {watcher}");
    let status = wire::ask(node.http, "GET", "/api/v1/status", &[("authorization", &bearer)], b"");
    assert_eq!(status.refusal(), (401, "bad_token".to_owned()));
    let from = [("authorization", bearer.as_str()), ("origin", "http://elsewhere.example")];
    assert_eq!(wire::ask(node.http, "GET", "/metrics", &from, b"").refusal(), (403, "wrong_origin".to_owned()));

    // What was in the log at the start is applied again, and is no burst of work.
    let alice = Agent::funded(&node.api(), node.domain(), "alice");
    publish(&node.api(), &alice, "text", 1);
    let applied = |node: &Single| page(node).figure(Name::LedgerOutcomes, &[("outcome", "created")]);
    assert!(applied(&node) >= Some(1.0));
    node.process.take().expect("it runs").kill();
    node.start(&[]);
    node.wait_until_founded();
    assert_eq!(node.token("metrics.token"), watcher);
    assert_eq!(applied(&node), Some(0.0));
    let started = page(&node).figure(Name::StartTime, &[]).expect("a start");
    let now = comity_tests::now_ms() as f64 / 1_000.0;
    assert!(started <= now && now - started < Duration::from_secs(3_600).as_secs_f64(), "{started} {now}");
}
