//! A node of one's own: made without a question, stopped cleanly, started again, grown to three; and its command line.

use comity_proto::{envelope::Signed as _, identity::Roster};
use comity_tests::{
    PATIENCE,
    cli::{ask, try_ask},
    door::from_base64,
    single::Single,
    wait_for,
};
use serde_json::Value;

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_else(|| panic!("{name} in {value}")).to_owned()
}

/// Minor units of the domain's own asset.
fn available(node: &Single, agent: &str) -> String {
    text(&ask(&node.dir, &["account", "show", agent])["balances"][0], "available")
}

fn outcome(answer: &Value) -> &str {
    answer["results"][0]["outcome"].as_str().unwrap_or_else(|| panic!("{answer}"))
}

#[test]
fn a_node_is_made_without_a_question_stops_cleanly_and_recovers_what_it_held() {
    let mut node = Single::nothing();
    let (http, mesh) = (node.http.to_string(), node.mesh.to_string());
    let made = ask(&node.dir, &["init", "--domain", "acme", "--http", &http, "--mesh", &mesh]);
    assert_eq!(text(&made, "nickname"), "acme");
    // The addresses come from the configuration now, not from the arguments' defaults.
    node.start(&[]);
    node.wait_until_founded();
    assert_eq!(text(&ask(&node.dir, &["status"]), "domain"), text(&made, "domain"));
    node.issue(1_000_000_000);
    ask(&node.dir, &["agent", "register", "alice"]);
    ask(&node.dir, &["faucet", "claim", "alice"]);
    assert_eq!(available(&node, "alice"), "1000000");
    let books = ask(&node.dir, &["account", "list"]);

    for signal in ["TERM", "INT"] {
        let mut process = node.process.take().expect("it runs");
        assert_eq!(process.signal(signal), Some(0), "SIG{signal}: {}", process.said());
        let away = try_ask(&node.dir, &["status"]);
        assert_eq!((away.code, away.refusal()), (1, "node_unreachable"), "{}", away.text);
        node.start(&[]);
        node.wait_until_founded();
        assert_eq!(ask(&node.dir, &["account", "list"]), books, "after SIG{signal}");
        assert_eq!(available(&node, "alice"), "1000000");
    }
    // What was there once is not there twice: the grant was given.
    let again = try_ask(&node.dir, &["faucet", "claim", "alice"]);
    assert_eq!(again.refusal(), "faucet_claimed", "{}", again.text);
}

fn replicas(node: &Single) -> Vec<(String, String)> {
    let said = try_ask(&node.dir, &["raft", "list"]);
    let list = said.last()["replicas"].as_array().cloned().unwrap_or_default();
    list.iter().map(|replica| (text(replica, "node"), text(replica, "role"))).collect()
}

fn roster(node: &Single) -> Option<Roster> {
    let domain: Value = node.api().get("/api/v1/domain").ok()?;
    let bytes = from_base64(domain["roster"].as_str()?);
    Some(Roster::open(&bytes.into()).expect("a signed roster").into_inner())
}

#[test]
fn a_domain_of_one_grows_to_three_voters_and_the_roster_follows() {
    let mut founder = Single::up();
    founder.issue(1_000_000_000);
    ask(&founder.dir, &["agent", "register", "alice"]);
    ask(&founder.dir, &["faucet", "claim", "alice"]);
    assert_eq!(roster(&founder).expect("a roster").voters.len(), 1);

    let mut guests: Vec<Single> = (0..2)
        .map(|_| {
            let token = text(&ask(&founder.dir, &["join-token"]), "token");
            let mut guest = Single::nothing();
            guest.start(&["--join", &token]);
            guest.wait_until_founded();
            guest
        })
        .collect();
    let voting = |replicas: &[(String, String)]| replicas.iter().filter(|(_, role)| role != "learner").count();
    wait_for("three voters", PATIENCE, || (voting(&replicas(&founder)) == 3).then_some(()));
    let mut voters: Vec<String> = replicas(&founder).into_iter().map(|(node, _)| node).collect();
    voters.sort();
    let grown = wait_for("a roster of three", PATIENCE, || roster(&founder).filter(|roster| roster.voters.len() == 3));
    let mut listed: Vec<String> = grown.voters.iter().map(ToString::to_string).collect();
    listed.sort();
    assert_eq!(listed, voters, "the roster names the voters");
    assert!(grown.epoch > 1);

    // Every replica holds the same, byte for byte, and the domain outlives its founder.
    wait_for("equal replicas", PATIENCE, || {
        let digest =
            |node: &Single| try_ask(&node.dir, &["ledger", "digest"]).last()["digest"].as_str().map(str::to_owned);
        let digests: Vec<_> = std::iter::once(&founder).chain(&guests).map(digest).collect();
        (digests[0].is_some() && digests.iter().all(|other| *other == digests[0])).then_some(())
    });
    founder.process = None;
    let alice = "alice.key";
    std::fs::create_dir_all(guests[0].dir.join("agents")).expect("a wallet");
    std::fs::copy(founder.dir.join("agents").join(alice), guests[0].dir.join("agents").join(alice)).expect("her key");
    wait_for("a new leader", PATIENCE, || {
        let said = try_ask(&guests[0].dir, &["account", "show", "alice"]);
        (said.last()["balances"][0]["available"] == "1000000").then_some(())
    });
    ask(&guests[0].dir, &["agent", "register", "bob"]);
    ask(&guests[0].dir, &["transfer", "send", "--from", "alice", "--to", "bob", "0.25"]);
    guests.iter_mut().for_each(|guest| guest.process = None);
}

#[test]
fn the_commands_of_the_readme_answer_programs() {
    let node = Single::up();
    let dir = &node.dir;
    node.issue(1_000_000_000_000);
    let alice = ask(dir, &["agent", "register", "alice", "--own-code", "ALICE"]);
    assert_eq!(outcome(&alice), "created");
    let bob = ask(dir, &["agent", "register", "bob", "--referred-by", "ALICE", "--group", "text"]);
    let shown = ask(dir, &["agent", "show", "bob"]);
    assert_eq!((text(&shown, "agent"), text(&shown, "group")), (text(&bob, "agent"), "text".to_owned()));
    assert_eq!(text(&shown, "referrer"), text(&alice, "agent"));
    let listed = ask(dir, &["agent", "list"]);
    assert_eq!(listed["agents"].as_array().map(Vec::len), Some(2), "{listed}");

    for agent in ["alice", "bob"] {
        ask(dir, &["faucet", "claim", agent]);
    }
    assert_eq!(outcome(&ask(dir, &["faucet", "fund", "2.00"])), "applied");
    assert_eq!(
        outcome(&ask(dir, &["transfer", "send", "--from", "alice", "--to", "bob", "0.25", "--memo", "tea"])),
        "created"
    );
    assert_eq!((available(&node, "alice"), available(&node, "bob")), ("750000".to_owned(), "1250000".to_owned()));
    assert_eq!(ask(dir, &["transfer", "list"])["transfers"].as_array().map(Vec::len), Some(0), "none to other domains");

    escrow(&node);
    cards(&node, &text(&bob, "agent"));

    // Bob's key changes; he stays who he is, and his old key is worth nothing.
    let before = text(&ask(dir, &["agent", "show", "bob"]), "key");
    assert_eq!(outcome(&ask(dir, &["agent", "rotate", "bob"])), "applied");
    let after = ask(dir, &["agent", "show", "bob"]);
    assert_eq!(text(&after, "agent"), text(&bob, "agent"));
    assert_ne!(text(&after, "key"), before);
    ask(dir, &["transfer", "send", "--from", "bob", "--to", "alice", "1"]);
    assert_eq!(outcome(&ask(dir, &["name", "register", "translator", "--as", "alice"])), "created");
    assert_eq!(text(&ask(dir, &["name", "resolve", "translator"]), "agent"), text(&alice, "agent"));
    assert_eq!(text(&ask(dir, &["agent", "show", "translator"]), "agent"), text(&alice, "agent"));
    ask(dir, &["name", "release", "translator", "--as", "alice", "--reason", "done"]);
    assert_eq!(try_ask(dir, &["name", "resolve", "translator"]).refusal(), "unknown_name");
    ask(dir, &["agent", "retire", "bob", "--reason", "tired"]);
    assert_eq!(ask(dir, &["agent", "show", "bob"])["retired"], true);

    let status = ask(dir, &["status"]);
    assert_eq!((text(&status, "role"), status["voters"].as_u64()), ("leader".to_owned(), Some(1)));
    let id = ask(dir, &["id"]);
    assert_eq!(text(&id, "domain"), text(&status, "domain"));
    assert!(ask(dir, &["members"])["members"].is_array());
    let invitation = ask(dir, &["peer", "invite", "--cap", "1000"]);
    assert!(text(&invitation, "token").starts_with("cmpeer1"), "{invitation}");
    assert_eq!(ask(dir, &["peer", "list"])["peers"].as_array().map(Vec::len), Some(0));
    assert!(
        ask(dir, &["ledger", "events", "--last", "5"])["events"].as_array().is_some_and(|events| events.len() == 5)
    );
    assert!(ask(dir, &["ledger", "digest"])["violation"].is_null());
}

fn escrow(node: &Single) {
    let dir = &node.dir;
    let lock =
        ["escrow", "lock", "--from", "alice", "--to", "bob", "0.10", "--task", "count words", "--on-silence", "refund"];
    let escrow = text(&ask(dir, &lock), "escrow");
    assert_eq!(available(node, "alice"), "650000");
    assert_eq!(outcome(&ask(dir, &["escrow", "accept", &escrow, "--as", "bob"])), "applied");
    let hash = "ab".repeat(32);
    assert_eq!(outcome(&ask(dir, &["escrow", "submit", &escrow, "--as", "bob", "--result", &hash])), "applied");
    let other = "cd".repeat(32);
    let wrong = try_ask(dir, &["escrow", "release", &escrow, "--as", "alice", "--verified", &other]);
    assert_eq!(wrong.refusal(), "hash_mismatch", "{}", wrong.text);
    ask(dir, &["escrow", "release", &escrow, "--as", "alice", "--verified", &hash]);
    // 0.10 less the fee of 1 %. Nobody referred the payer, so all of the fee goes to the treasury.
    assert_eq!(available(node, "bob"), "1349000");
    let shown = ask(dir, &["escrow", "show", &escrow[..8]]);
    assert_eq!((text(&shown, "escrow"), text(&shown, "open")), (escrow, "0".to_owned()));
    assert_eq!(ask(dir, &["escrow", "list", "alice"])["escrows"].as_array().map(Vec::len), Some(1));
}

fn cards(node: &Single, bob: &str) {
    let dir = &node.dir;
    let publish =
        ["card", "publish", "bob", "--description", "counts", "--capability", "text.statistics", "--price", "5.00"];
    ask(dir, &publish);
    let found = ask(dir, &["discover", "text.statistics"]);
    assert_eq!(text(&found, "status"), "found");
    let card = &found["agents"][0];
    assert_eq!(
        (text(card, "agent"), text(card, "price"), text(card, "path")),
        (bob.to_owned(), "5000000".to_owned(), "local".to_owned())
    );
    assert_eq!(text(&ask(dir, &["card", "get", bob]), "agent"), bob);
    assert_ne!(text(&ask(dir, &["discover", "text.poetry"]), "status"), "found");
}
