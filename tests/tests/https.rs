//! The HTTPS door, seen by clients that are not ours: who they are is proved by an SVID and judged by one bundle alone.

use comity_node::spiffe::{self, chain};
use comity_tests::{
    PATIENCE,
    agent::Agent,
    cli::{ask, try_ask},
    pair::{Pair, publish, text},
    single::{Single, free_addresses},
    tls::{Reply, Visitor},
    wait_for,
};
use serde_json::Value;
use std::{fs, net::SocketAddr, path::PathBuf, process::Command};

/// A domain whose node has an HTTPS door, and files for clients of it.
struct Open {
    node: Single,
    https: SocketAddr,
    files: PathBuf,
}

impl Open {
    /// Starts the node again, with a door whose certificates hold for so long.
    fn of(mut node: Single, svid_life_s: u32) -> Open {
        node.process = None;
        let https = free_addresses(1)[0];
        let config = node.dir.join("config.toml");
        let before = fs::read_to_string(&config).expect("a configuration");
        let table = format!("{before}\n[https]\nlisten = \"{https}\"\nsvid_life_s = {svid_life_s}\n");
        fs::write(&config, table).expect("a configuration");
        node.start(&[]);
        node.wait_until_founded();
        let files = node.dir.join("for-others");
        ask(&node.dir, &["keyring", "svid", "--out", &files.display().to_string()]);
        Open { node, https, files }
    }

    fn file(&self, name: &str) -> String {
        fs::read_to_string(self.files.join(name)).expect("a file for others")
    }

    /// What a client hears that shows the SVID of another node, or of none.
    fn hears(&self, guest: Option<&Open>, path: &str) -> Reply {
        let bundle = self.file("bundle.pem");
        let visitor = match guest {
            Some(guest) => Visitor::of(&guest.files, &bundle),
            None => Visitor::new(&bundle, None),
        };
        visitor.get(self.https, path, "").expect("an answer")
    }
}

const WHO: &str = "/api/v1/federation/whoami";
const CARDS: &str = "/api/v1/federation/agent-cards";

/// `openssl verify`, where there is one.
fn openssl_takes(bundle: &str, chain: &str) -> Option<bool> {
    let verify = ["verify", "-x509_strict", "-CAfile", bundle, "-untrusted", chain, chain];
    Command::new("openssl").args(verify).output().ok().map(|ended| ended.status.success())
}

#[test]
fn a_door_proves_itself_to_clients_of_others_and_renews_its_certificate_without_a_restart() {
    let acme = Open::of(Single::up(), 10);
    let domain = acme.node.domain().to_string();
    let served = acme.hears(None, "/.well-known/spiffe-bundle");
    let made: Value = serde_json::from_str(&acme.file("bundle.json")).expect("a bundle");
    assert_eq!((served.status, &served.body), (200, &made));
    assert_eq!((&made["keys"][0]["use"], &made["spiffe_sequence"]), (&"x509-svid".into(), &1.into()));
    let renewed = || (acme.hears(None, "/.well-known/spiffe-bundle").leaf != served.leaf).then_some(());
    wait_for("another leaf", PATIENCE, renewed);

    let path = |name: &str| acme.files.join(name).display().to_string();
    if let Some(taken) = openssl_takes(&path("bundle.pem"), &path("svid.pem")) {
        assert!(taken, "openssl refuses the chain");
    }
    // The command line, by the authority in its own data directory, by a bundle, and by a wrong one.
    let door = format!("https://{}", acme.https);
    assert_eq!(ask(&acme.node.dir, &["--api", &door, "status"])["domain"], domain.as_str());
    let with = |bundle: &str| try_ask(&acme.node.dir, &["--api", &door, "--bundle", bundle, "status"]);
    assert_eq!(with(&path("bundle.json")).code, 0);
    let other = Open::of(Single::up(), 3_600);
    assert_eq!(with(&other.files.join("bundle.json").display().to_string()).refusal(), "node_unreachable");
    assert_eq!(with(&path("svid.pem")).refusal(), "bad_bundle");
    assert_eq!(with(&path("nothing")).refusal(), "bundle_missing");
    // A client with another domain's bundle does not take the door for one of that domain.
    assert!(Visitor::new(&other.file("bundle.pem"), None).get(acme.https, WHO, "").is_err());
}

#[test]
fn a_partner_is_known_by_its_svid_reads_what_it_is_shown_and_no_other_bundle_speaks_for_it() {
    let Pair { acme, globex } = Pair::connected("all");
    let (acme, globex) = (Open::of(acme, 3_600), Open::of(globex, 3_600));
    let stranger = Open::of(Single::up(), 3_600);
    let known = globex.hears(Some(&acme), WHO);
    assert_eq!((known.status, text(&known.body, "domain")), (200, acme.node.domain().to_string()), "{known:?}");
    assert!(text(&known.body, "subject").starts_with(&format!("spiffe://{}/node/12D3", acme.node.domain())));
    assert_eq!((globex.hears(None, WHO).status, globex.hears(None, WHO).code()), (401, "svid_missing"));
    assert_eq!(globex.hears(Some(&stranger), WHO).code(), "svid_of_unknown_domain");
    // It is a partner, not the operator.
    assert_eq!(globex.hears(Some(&acme), "/api/v1/status").code(), "bad_token");

    // A stranger's node, certified by the stranger's root key, says that it is of acme.
    let home = stranger.node.home();
    let posing = spiffe::svid(&home.node, acme.node.domain(), &[], comity_tests::now_ms(), 60_000).expect("an SVID");
    let authority = stranger.file("svid.pem").split_inclusive("-----END CERTIFICATE-----\n").nth(1).map(str::to_owned);
    let shown = chain::pem("CERTIFICATE", &posing.leaf) + &authority.expect("the node's authority");
    let key = chain::pem("PRIVATE KEY", &posing.key);
    let visitor = Visitor::new(&globex.file("bundle.pem"), Some((&shown, &key)));
    let refused = visitor.get(globex.https, WHO, "").expect("an answer");
    assert_eq!((refused.status, refused.code()), (401, "svid_of_other_domain"));

    // A partner's bundle is asked over the mesh and is what that partner shows.
    let asked = || try_ask(&acme.node.dir, &["keyring", "bundle", "globex"]);
    wait_for("globex' bundle at acme", PATIENCE, || (asked().code == 0).then_some(()));
    assert_eq!(
        asked().last().to_string(),
        serde_json::from_str::<Value>(&globex.file("bundle.json")).unwrap().to_string()
    );
    assert_eq!(
        try_ask(&stranger.node.dir, &["keyring", "bundle", &acme.node.domain().to_string()]).refusal(),
        "unknown_domain"
    );

    cards_are_read_on_from_where_one_was(&acme, &globex);

    ask(&globex.node.dir, &["peer", "suspend", "acme", "--reason", "audit until Monday"]);
    assert_eq!(globex.hears(Some(&acme), CARDS).code(), "treaty_suspended");
}

fn cards_are_read_on_from_where_one_was(acme: &Open, globex: &Open) {
    let read = |since: &str| {
        let reply = globex.hears(Some(acme), &format!("{CARDS}?since={since}&limit=1"));
        assert_eq!(reply.status, 200, "{reply:?}");
        let names = reply.body["cards"].as_array().expect("cards").iter().map(|card| text(card, "agent"));
        (names.collect::<Vec<_>>(), text(&reply.body, "next"), reply.body["more"] == true)
    };
    let door = globex.node.api();
    let agents = ["bob", "carol"].map(|name| Agent::registered(&door, globex.node.domain(), name));
    publish(&door, &agents[0], "text.statistics", 1);
    publish(&door, &agents[1], "text.parcels", 1);
    let (first, next, more) = read("");
    let (second, last, end) = read(&next);
    assert_eq!((first.len(), second.len(), more, end), (1, 1, true, false));
    let mut both = [first, second].concat();
    both.sort();
    let mut ids = agents.each_ref().map(|agent| agent.id.to_string()).to_vec();
    ids.sort();
    assert_eq!(both, ids);
    assert_eq!(read(&last), (Vec::new(), last.clone(), false));
    publish(&door, &agents[0], "text.statistics", 2);
    let (again, after, _) = read(&last);
    assert_eq!(again, [agents[0].id.to_string()]);
    // Under other rules the reader begins anew, and sees what they admit.
    let rule = |word: &str, more: &[&str]| {
        ask(&globex.node.dir, &[&["export", word, "acme", "--reason", "the pilot"][..], more].concat())
    };
    rule("add", &["--capability", "text.parcels"]);
    rule("remove", &[]);
    let (one, at_end, _) = read(&after);
    assert_eq!(one, [agents[1].id.to_string()]);
    assert_eq!(read(&at_end).0, Vec::<String>::new());
    assert_eq!(globex.hears(Some(acme), &format!("{CARDS}?since=yesterday")).code(), "bad_cursor");
}
