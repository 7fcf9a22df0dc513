//! The card of a domain, as strangers see it: fetched, verified, polled, edited, heard by a peer; and every way in which
//! the command line refuses one.

use comity_tests::{
    PATIENCE,
    cli::{ask, try_ask},
    single::Single,
    wait_for,
};
use serde_json::Value;
use std::{fs, path::Path};

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_else(|| panic!("{name} in {value}")).to_owned()
}

struct Answer {
    status: u16,
    etag: String,
    body: Vec<u8>,
}

/// Without a token: these routes are for everybody.
fn fetch(node: &Single, name: &str, etag: Option<&str>) -> Answer {
    let config = ureq::Agent::config_builder().http_status_as_error(false).build();
    let agent: ureq::Agent = config.into();
    let mut request = agent.get(format!("http://{}/.well-known/{name}", node.http));
    if let Some(etag) = etag {
        request = request.header("if-none-match", etag);
    }
    let mut answer = request.call().expect("an answer");
    let etag = answer.headers().get("etag").map(|tag| tag.to_str().expect("text").to_owned()).unwrap_or_default();
    Answer { status: answer.status().as_u16(), etag, body: answer.body_mut().read_to_vec().expect("a body") }
}

fn first_card(node: &Single) -> Answer {
    wait_for("a domain card", PATIENCE, || {
        Some(fetch(node, "registry-card.json", None)).filter(|answer| answer.status == 200)
    })
}

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).expect("JSON")
}

#[test]
fn a_card_is_served_verified_polled_edited_and_heard_by_a_peer() {
    let (acme, globex) = (Single::named("acme"), Single::named("globex"));
    let served = first_card(&acme);
    let card = json(&served.body);
    assert_eq!((text(&card, "nickname"), text(&card, "domain")), ("acme".to_owned(), acme.domain().to_string()));
    assert_eq!((card["fees"]["escrow_bps"].as_u64(), &card["peers"]), (Some(100), &Value::Array(vec![])));
    assert!(card["operator"]["latitude"].is_null() && card["supply"]["standing"] == "issuer", "{card}");

    // A poll is a 304 for as long as nobody decides anything, whatever the ledger does meanwhile.
    let again = fetch(&acme, "registry-card.json", Some(&served.etag));
    assert_eq!((again.status, again.etag.as_str(), again.body.len()), (304, served.etag.as_str(), 0));
    ask(&acme.dir, &["agent", "register", "alice"]);
    assert_eq!(fetch(&acme, "registry-card.json", Some(&served.etag)).status, 304);
    assert_eq!(fetch(&acme, "registry-card.json", Some("W/\"other\"")).status, 200);

    // The key that signed is one of the set, under the same name.
    let keys = fetch(&acme, "registry-jwks.json", None);
    assert_eq!((keys.status, fetch(&acme, "registry-jwks.json", Some(&keys.etag)).status), (200, 304));
    let keys = json(&keys.body);
    let protected = text(&card["signatures"][0], "protected");
    let header = json(&data_encoding::BASE64URL_NOPAD.decode(protected.as_bytes()).expect("base64url"));
    let named = keys["keys"].as_array().expect("keys").iter().find(|key| key["kid"] == header["kid"]);
    assert_eq!(named.map(|key| (&key["crv"], &key["alg"])), Some((&"Ed25519".into(), &"EdDSA".into())));

    // What the operator adds is another version; a peer is named by choice only.
    let token = text(&ask(&acme.dir, &["peer", "invite", "--cap", "1000"]), "token");
    ask(&globex.dir, &["peer", "accept", &token, "--cap", "500"]);
    ask(&acme.dir, &["peer", "approve", "globex"]);
    let edit = ["card", "domain", "edit", "--latitude", "52.5200", "--longitude", "-13.4050", "--show-peer", "globex"];
    let edited = ask(&acme.dir, &edit);
    assert_eq!(edited["operator"]["latitude"], "52.5200");
    assert_eq!(edited["peers"][0]["domain"], globex.domain().to_string());
    let fresh = fetch(&acme, "registry-card.json", Some(&served.etag));
    assert_eq!((fresh.status, json(&fresh.body)), (200, edited.clone()));

    // By gossip or repair, under the key that the treaty pinned.
    let heard = wait_for("the card at the peer", PATIENCE, || {
        let said = try_ask(&globex.dir, &["card", "domain", "show", "acme"]);
        Some(said.last().clone()).filter(|answer| answer["card"]["version"] == edited["version"])
    });
    assert_eq!((&heard["pinned"], &heard["stale"]), (&Value::Bool(true), &Value::Bool(false)));
    let file = globex.dir.join("acme.card");
    ask(&globex.dir, &["card", "domain", "show", "acme", "--out", &file.display().to_string()]);
    let judged = ask(&globex.dir, &["card", "domain", "verify", &file.display().to_string()]);
    assert_eq!(text(&judged, "version"), text(&edited, "version"));
}

#[test]
fn the_keys_are_there_from_the_first_answer_on_and_need_no_card() {
    let mut node = Single::nothing();
    let (http, mesh) = (node.http.to_string(), node.mesh.to_string());
    ask(&node.dir, &["init", "--domain", "acme", "--http", &http, "--mesh", &mesh]);
    let config = node.dir.join("config.toml");
    let said = fs::read_to_string(&config).expect("a configuration");
    fs::write(&config, said.replace("card_every_s = 600", "card_every_s = 0")).expect("a configuration");
    node.start(&[]);
    let url = format!("http://{http}/.well-known/registry-jwks.json");
    wait_for("any answer", PATIENCE, || match ureq::get(&url).call() {
        Err(error) if !matches!(error, ureq::Error::StatusCode(_)) => None,
        answered => Some(answered.expect("keys in the first answer")),
    });
    let first = fetch(&node, "registry-jwks.json", None);
    let keys = json(&first.body);
    let named: Vec<&Value> = keys["keys"].as_array().expect("keys").iter().map(|key| &key["kid"]).collect();
    let card = json(&fetch(&node, "agent-card.json", None).body);
    let protected = text(&card["signatures"][0], "protected");
    let header = json(&data_encoding::BASE64URL_NOPAD.decode(protected.as_bytes()).expect("base64url"));
    assert!(named.len() == 2 && named.contains(&&header["kid"]), "{keys}");
    // The ledger's voters are those of the roster: nothing changes under a client that has polled before.
    node.wait_until_founded();
    assert_eq!(fetch(&node, "registry-jwks.json", Some(&first.etag)).status, 304);
    assert_eq!(fetch(&node, "registry-card.json", None).status, 503, "no card is made");
}

#[test]
fn whatever_a_node_without_a_vote_signs_is_verified_by_the_keys_of_any_node() {
    let founder = Single::up();
    let token = text(&ask(&founder.dir, &["join-token"]), "token");
    let mut guest = Single::nothing();
    guest.start(&["--join", &token]);
    guest.wait_until_founded();
    let status: Value = guest.api().get("/api/v1/status").expect("a status");
    assert_eq!((&status["role"], &status["voters"]), (&Value::from("learner"), &Value::from(1)), "two are no majority");
    let card = json(&fetch(&guest, "agent-card.json", None).body);
    let protected = data_encoding::BASE64URL_NOPAD.decode(text(&card["signatures"][0], "protected").as_bytes());
    let header = json(&protected.expect("base64url"));
    assert_eq!(header["kid"], status["node"], "its own key");
    let keys = |node: &Single| json(&fetch(node, "registry-jwks.json", None).body);
    // Behind one name each answers for the other.
    let keys = wait_for("one set of keys", PATIENCE, || Some(keys(&guest)).filter(|listed| *listed == keys(&founder)));
    let named: Vec<&Value> = keys["keys"].as_array().expect("keys").iter().map(|key| &key["kid"]).collect();
    assert!(named.len() == 3 && named.contains(&&header["kid"]), "{named:?}");
}

#[test]
fn words_of_the_operator_survive_a_restart_and_wrong_ones_change_nothing() {
    let mut node = Single::up();
    first_card(&node);
    ask(&node.dir, &["card", "domain", "edit", "--contact", "noc@acme.example", "--endpoint", "https://acme.example"]);
    for (flags, code) in [
        (["--latitude", "91", "--longitude", "0"], "bad_card_profile"),
        (["--endpoint", "a b", "--contact", "x"], "bad_card_profile"),
        (["--show-peer", "nobody", "--contact", "x"], "unknown_domain"),
    ] {
        let args: Vec<&str> = ["card", "domain", "edit"].into_iter().chain(flags).collect();
        assert_eq!(try_ask(&node.dir, &args).refusal(), code);
    }
    let before = json(&first_card(&node).body);
    node.process = None;
    node.start(&[]);
    node.wait_until_founded();
    let after = json(&first_card(&node).body);
    let said = ["operator", "endpoints", "policy", "peers", "version"];
    assert_eq!(said.map(|name| &after[name]), said.map(|name| &before[name]));
    assert_eq!(after["operator"]["contact"], "noc@acme.example");
    assert!(after["sequence"].as_u64() >= before["sequence"].as_u64());
    let empty = ask(&node.dir, &["card", "domain", "edit", "--contact", ""]);
    assert!(empty["operator"]["contact"].is_null(), "{empty}");
}

#[test]
fn a_card_in_a_file_is_refused_by_the_name_of_what_is_wrong() {
    let node = Single::up();
    let good = first_card(&node).body;
    let domain = node.domain().to_string();
    let file = node.dir.join("card.json");
    let path = file.display().to_string();
    let nowhere = Path::new("/nonexistent");
    let verify = |bytes: &[u8], more: &[&str]| {
        fs::write(&file, bytes).expect("a file");
        let args: Vec<&str> = ["card", "domain", "verify", &path].into_iter().chain(more.iter().copied()).collect();
        try_ask(nowhere, &args)
    };
    let of = ["--domain", &domain];
    assert_eq!(verify(&good, &of).last()["holds"], true, "no node is asked");
    assert_eq!(verify(&good, &[]).refusal(), "no_trust_root");
    let other = comity_proto::ids::DomainId([7; 32]).to_string();
    assert_eq!(verify(&good, &["--domain", &other]).refusal(), "card_of_other_domain");

    let card = json(&good);
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut card = card.clone();
        change(&mut card);
        verify(card.to_string().as_bytes(), &of).refusal().to_owned()
    };
    assert_eq!(changed(&|card| card["nickname"] = "evil".into()), "bad_signature");
    assert_eq!(changed(&|card| card["supply"]["assets"][0]["supply"] = "1".into()), "bad_signature");
    let header = br#"{"alg":"EdDSA","jwk":{"crv":"Ed25519","kty":"OKP","x":"AA"},"kid":"mine"}"#;
    let own_key = data_encoding::BASE64URL_NOPAD.encode(header);
    assert_eq!(changed(&|card| card["signatures"][0]["protected"] = own_key.clone().into()), "key_in_card");
    let doubled = String::from_utf8(good.clone()).expect("text").replacen('{', r#"{"nickname":"evil","#, 1);
    assert_eq!(verify(doubled.as_bytes(), &of).refusal(), "duplicate_key");
    assert_eq!(verify(&[&good[..], &[b' '; 16 * 1024]].concat(), &of).refusal(), "card_too_large");
    assert_eq!(verify(b"{", &of).refusal(), "not_json");

    // A newer one that was kept refuses an older one.
    let kept = node.dir.join("kept.json");
    let newer = ask(&node.dir, &["card", "domain", "edit", "--contact", "noc"]);
    fs::write(&kept, newer.to_string()).expect("a file");
    let against = ["--domain", &domain, "--against", &kept.display().to_string()];
    assert_eq!(verify(&good, &against).refusal(), "card_older");
    assert_eq!(verify(newer.to_string().as_bytes(), &against).last()["holds"], true);
}
