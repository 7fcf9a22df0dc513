//! Discovery as software of others sees it: catalogue, search, list and facets over the mesh's cards, without a token and with
//! one; and what is refused.

use comity_tests::{
    PATIENCE,
    cli::ask,
    pair::{Pair, text},
    single::Single,
    wait_for,
};
use serde_json::{Value, json};

const A2A_CARD: &str = "application/a2a-agent-card+json";

struct Back {
    status: u16,
    kind: String,
    etag: String,
    body: Value,
}

fn http() -> ureq::Agent {
    ureq::Agent::config_builder().http_status_as_error(false).max_redirects(0).build().into()
}

fn back(sent: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Back {
    let mut response = sent.expect("an answer");
    let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (kind, etag) = (header("content-type").to_owned(), header("etag").to_owned());
    Back {
        status: response.status().as_u16(),
        kind,
        etag,
        body: response.body_mut().read_json().unwrap_or(Value::Null),
    }
}

fn get(node: &Single, path: &str, headers: &[(&str, &str)]) -> Back {
    let mut request = http().get(format!("http://{}/{path}", node.http));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    back(request.call())
}

fn post(node: &Single, path: &str, headers: &[(&str, &str)], body: &str) -> Back {
    let mut request = http().post(format!("http://{}/{path}", node.http)).header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    back(request.send(body))
}

/// A custodial agent with a card: its id and its token.
fn agent(node: &Single, name: &str, capability: &str, public: bool) -> (String, String) {
    let made = ask(&node.dir, &["agent", "register", name, "--custodial"]);
    let (agent, token) = (text(&made, "agent"), text(&made, "token"));
    let card = json!({ "name": name, "capabilities": [capability], "price": "0.50", "public": public });
    let _: Value = node.api().with_token(&token).post("/api/v1/custody/card", &card).expect("a card");
    (agent, token)
}

/// From now on strangers may see what its agent says to be public.
fn open(node: &Single) {
    ask(&node.dir, &["export", "add", "everyone", "--reason", "all may see"]);
}

fn names(found: &Value) -> Vec<&str> {
    let list = found["results"].as_array().or(found["items"].as_array()).expect("a list");
    list.iter().map(|entry| entry["displayName"].as_str().expect("a name")).collect()
}

#[test]
fn a_stranger_finds_public_agents_of_every_domain_and_a_token_shows_the_others() {
    let Pair { acme, globex } = Pair::connected("all");
    let (here, token) = agent(&acme, "counter", "text.count", true);
    let (_, _) = agent(&acme, "hidden", "text.count", false);
    let (there, _) = agent(&globex, "poet", "text.rhyme", true);
    let before = get(&acme, "agents", &[]).body;
    assert!(!names(&before).contains(&"counter"), "public by its agent's word alone is not yet for strangers");
    open(&acme);
    open(&globex);
    let need = |words: &str| json!({ "query": { "text": words } }).to_string();
    let found = wait_for("the card of the other domain", PATIENCE, || {
        Some(post(&acme, "search", &[], &need("rhyme"))).filter(|back| !names(&back.body).is_empty())
    });
    let entry = &found.body["results"][0];
    let urn = format!("urn:air:{}:agent:{there}", globex.domain());
    assert_eq!((found.status, text(entry, "identifier"), &entry["score"]), (200, urn.clone(), &json!(100)));
    assert_eq!((text(entry, "type").as_str(), text(entry, "mediaType").as_str()), (A2A_CARD, A2A_CARD));
    assert_eq!(text(entry, "source"), format!("http://{}/", acme.http));
    assert_eq!(text(&entry["trustManifest"], "identity"), format!("spiffe://{}", globex.domain()));
    // What the entry leads to is that agent's own card, through this node.
    let url = text(entry, "url");
    let card =
        get(&acme, url.split_once("/a2a/").map(|(_, rest)| format!("a2a/{rest}")).unwrap_or_default().as_str(), &[]);
    assert_eq!((card.status, &card.body["name"]), (200, &json!("poet")));

    let bearer = format!("Bearer {token}");
    let own = [("authorization", bearer.as_str())];
    assert_eq!(names(&post(&acme, "search", &[], &need("count text")).body), ["counter", "poet"]);
    let mut all = post(&acme, "search", &own, &need("count")).body;
    assert_eq!(names(&all).len(), 2, "{all}");
    all = get(&acme, "agents", &own).body;
    assert_eq!((names(&all).len(), &all["total"]), (3, &json!(3)), "{all}");
    assert_eq!(get(&acme, "agents", &[]).body["total"], 2);

    let filter =
        json!({ "query": { "text": "text", "filter": { "publisher": acme.domain().to_string() } } }).to_string();
    assert_eq!(names(&post(&acme, "search", &[], &filter).body), ["counter"]);
    let path = |urn: &str| format!("agents/{}", urn.replace(':', "%3A"));
    let one = get(&acme, &path(&urn), &[]);
    assert_eq!((one.status, &one.body["identifier"], &one.body["score"]), (200, &json!(urn), &Value::Null));
    assert_eq!(get(&acme, &path(&urn), &[("if-none-match", &one.etag)]).status, 304);
    let stolen = format!("urn:air:{}:agent:{here}", globex.domain());
    assert_eq!(get(&acme, &path(&stolen), &[]).status, 404, "another publisher's name for it");

    let explore = json!({ "resultType": { "facets": [{ "field": "publisher" }, { "field": "tags", "limit": 1 }] } });
    let facets = post(&acme, "explore", &[], &explore.to_string()).body;
    assert_eq!(facets["resultType"], "facets");
    assert_eq!(facets["facets"]["publisher"]["buckets"].as_array().map(Vec::len), Some(2), "{facets}");
    let tags = &facets["facets"]["tags"];
    assert_eq!((&tags["buckets"][0], &tags["otherCount"]), (&json!({ "value": "text", "count": 2 }), &json!(2)));

    ask(&globex.dir, &["card", "domain", "edit", "--endpoint", "https://globex.example"]);
    let asked = json!({ "query": { "text": "rhyme" }, "federation": "referrals" }).to_string();
    let referred = wait_for("the other domain's door", PATIENCE, || {
        let answer = post(&acme, "search", &[], &asked).body;
        answer["referrals"][0].is_object().then_some(answer)
    });
    assert_eq!(text(&referred["referrals"][0], "url"), "https://globex.example");
}

#[test]
fn the_catalogue_names_what_this_domain_publishes_and_a_poll_is_a_304() {
    let node = Single::named("acme");
    let (agent, _) = agent(&node, "counter", "text.count", true);
    open(&node);
    wait_for("the card for everybody", PATIENCE, || (get(&node, "agents", &[]).body["total"] == 1).then_some(()));
    for path in [".well-known/ai-catalog.json", ".well-known/ard.json"] {
        let back = get(&node, path, &[]);
        assert_eq!((back.status, back.kind.as_str()), (200, "application/ai-catalog+json"));
        assert_eq!((&back.body["specVersion"], &back.body["host"]["displayName"]), (&json!("1.0"), &json!("acme")));
        let entries = back.body["entries"].as_array().expect("entries");
        let kinds: Vec<&Value> = entries.iter().map(|entry| &entry["type"]).collect();
        assert_eq!(kinds, [&json!("application/ai-registry+json"), &json!(A2A_CARD), &json!(A2A_CARD)]);
        assert!(text(&entries[2], "identifier").ends_with(&format!(":agent:{agent}")), "{entries:?}");
        for entry in entries {
            assert!(entry["url"].is_string() && entry["data"].is_null(), "{entry}");
            let queries = entry["representativeQueries"].as_array().map_or(0, Vec::len);
            assert!((2..=5).contains(&queries), "{entry}");
        }
        assert_eq!(get(&node, path, &[("if-none-match", &back.etag)]).status, 304);
    }
    let moved = http().get(format!("http://{}/.well-known/agent.json", node.http)).call().expect("an answer");
    assert_eq!(moved.status(), 308);
    assert_eq!(moved.headers()["location"], "/.well-known/agent-card.json");
}

#[test]
fn pages_follow_each_other_without_gaps() {
    let node = Single::named("acme");
    for name in ["one", "two", "three"] {
        agent(&node, name, "text.count", true);
    }
    open(&node);
    wait_for("the cards for everybody", PATIENCE, || (get(&node, "agents", &[]).body["total"] == 3).then_some(()));
    let (mut seen, mut token) = (Vec::new(), None::<String>);
    for _ in 0..3 {
        let mut body = json!({ "query": { "text": "count" }, "pageSize": 1 });
        if let Some(token) = &token {
            body["pageToken"] = token.as_str().into();
        }
        let page = post(&node, "search", &[], &body.to_string()).body;
        seen.extend(names(&page).iter().map(|name| (*name).to_owned()));
        token = page["pageToken"].as_str().map(str::to_owned);
    }
    let first = get(&node, "agents?pageSize=2", &[]).body;
    let rest = get(&node, &format!("agents?pageSize=2&pageToken={}", text(&first, "pageToken")), &[]).body;
    assert!(rest["pageToken"].is_null() && token.is_none(), "{rest}");
    let listed: Vec<&str> = names(&first).into_iter().chain(names(&rest)).collect();
    assert_eq!(seen, listed, "equal scores stand in the order of ids");
    seen.sort_unstable();
    assert_eq!(seen, ["one", "three", "two"]);
}

#[test]
fn bad_input_is_refused_in_the_specifications_own_form() {
    let node = Single::named("acme");
    let refusal = |back: &Back| (back.status, back.body["errorCode"].as_str().unwrap_or_default().to_owned());
    let invalid = (400, "INVALID_ARGUMENT".to_owned());
    let deep = format!("{}{}", "[".repeat(3_000), "]".repeat(3_000));
    for body in [
        "{}",
        "[]",
        "",
        "{",
        &deep,
        r#"{"query":{"text":"x","text":"y"}}"#,
        r#"{"query":{"text":"x"},"pageSize":9007199254740993}"#,
        r#"{"query":{"text":"x"},"pageSize":0}"#,
        r#"{"query":{"text":"x"},"federation":"all"}"#,
        r#"{"query":{"text":"x"},"pageToken":"x"}"#,
        r#"{"query":{"text":"x"},"colour":"red"}"#,
        r#"{"query":{"text":"x","filter":{"metadata.home":"y"}}}"#,
    ] {
        let back = post(&node, "search", &[], body);
        assert_eq!(refusal(&back), invalid, "{body:.80}");
        assert!(!text(&back.body, "message").is_empty());
    }
    for body in ["{}", r#"{"resultType":{"facets":[]}}"#, r#"{"resultType":{"facets":[{"field":"colour"}]}}"#] {
        assert_eq!(refusal(&post(&node, "explore", &[], body)), invalid, "{body}");
    }
    for path in
        ["agents/not-a-valid-ard-urn", "agents?filter=colour%20%3D%20red", "agents?orderBy=x", "agents?pageSize=x"]
    {
        assert_eq!(refusal(&get(&node, path, &[])), invalid, "{path}");
    }
    let unknown = "agents/urn%3Aair%3Aard-conformance.invalid%3Aprobe%3Anot-found";
    assert_eq!(refusal(&get(&node, unknown, &[])), (404, "NOT_FOUND".to_owned()));
    let large = format!(r#"{{"query":{{"text":"{}"}}}}"#, "x".repeat(2 << 20));
    assert_eq!(post(&node, "search", &[], &large).status, 413);
    let token = format!("Bearer {}", "f".repeat(64));
    for path in ["agents", ".well-known/ai-catalog.json"] {
        let back = get(&node, path, &[("authorization", &token)]);
        assert_eq!(refusal(&back), (401, "UNAUTHENTICATED".to_owned()));
        for (header, value) in [("host", "evil.example"), ("origin", "https://evil.example")] {
            assert_eq!(get(&node, path, &[(header, value)]).status, 403, "{header}");
        }
    }
}
