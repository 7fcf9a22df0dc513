//! What keeps a node from starting: it says so, names the thing, and leaves the directory as it was.

use comity_tests::{
    PATIENCE,
    cli::{self, Said},
    single::{Single, free_addresses},
};
use std::{fs, net::TcpListener, path::Path};

/// `comity up` that must end by itself.
fn up(data: &Path, more: &[&str]) -> Said {
    let data = data.display().to_string();
    let mut args = vec!["--json", "--data", &data, "up"];
    args.extend(more);
    cli::run(&args, PATIENCE)
}

/// A directory as `comity init` leaves it.
fn made() -> Single {
    let single = Single::nothing();
    let (http, mesh) = (single.http.to_string(), single.mesh.to_string());
    cli::ask(&single.dir, &["init", "--http", &http, "--mesh", &mesh]);
    single
}

fn detail(said: &Said) -> String {
    assert_eq!(said.code, 1, "{}", said.text);
    said.last()["error"]["detail"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_data_directory_in_use_is_refused_and_its_node_goes_on() {
    let node = Single::up();
    let addresses: Vec<String> = free_addresses(2).iter().map(ToString::to_string).collect();
    let said = up(&node.dir, &["--http", &addresses[0], "--mesh", &addresses[1]]);
    assert_eq!(said.refusal(), "data_directory_unusable", "{}", said.text);
    assert!(detail(&said).contains("use"), "{}", said.text);
    let said = cli::try_ask(&node.dir, &["init"]);
    assert_eq!((said.code, said.refusal()), (1, "data_directory_taken"), "{}", said.text);
    node.api().get::<serde_json::Value>("/api/v1/status").expect("the first one still answers");
}

#[test]
fn a_directory_of_a_newer_program_is_left_alone() {
    let node = made();
    let version = node.dir.join("comity.version");
    fs::write(&version, "comity data directory, format 999\n").expect("a version file");
    let said = up(&node.dir, &[]);
    assert_eq!(said.refusal(), "data_directory_unusable", "{}", said.text);
    assert!(detail(&said).contains("newer program"), "{}", said.text);
    assert_eq!(fs::read_to_string(&version).expect("it"), "comity data directory, format 999\n");
    assert!(!node.dir.join("ledger").exists(), "nothing was made");
}

#[test]
fn a_data_directory_that_is_a_file_or_holds_a_damaged_key_is_named() {
    // Root reads every directory, whatever its mode: a file in its place nobody can read as one.
    let node = Single::nothing();
    fs::write(&node.dir, "not a directory").expect("a file");
    let said = up(&node.dir, &[]);
    assert!(detail(&said).contains("data") && !said.refusal().is_empty(), "{}", said.text);
    assert_eq!(fs::read_to_string(&node.dir).expect("it"), "not a directory");

    let node = made();
    fs::write(node.dir.join("node.key"), "zz").expect("a damaged key");
    let said = up(&node.dir, &[]);
    assert_eq!(said.refusal(), "bad_data_directory", "{}", said.text);
    assert!(detail(&said).contains("node.key"), "{}", said.text);
}

#[test]
fn a_busy_port_is_named_with_what_it_is_for() {
    let node = made();
    for (address, door) in [(node.http, "REST"), (node.mesh, "mesh")] {
        let held = TcpListener::bind(address).expect("the port");
        let said = up(&node.dir, &[]);
        assert_eq!(said.refusal(), "port_taken", "{}", said.text);
        let detail = detail(&said);
        assert!(detail.contains(&address.port().to_string()) && detail.contains(door), "{detail}");
        drop(held);
    }
}

#[test]
fn an_unknown_key_in_the_configuration_is_refused_with_its_line() {
    let node = made();
    let path = node.dir.join("config.toml");
    let text = fs::read_to_string(&path).expect("the configuration");
    fs::write(&path, format!("# mine\ncolour = \"red\"\n{text}")).expect("a changed configuration");
    let said = up(&node.dir, &[]);
    assert_eq!(said.refusal(), "bad_config", "{}", said.text);
    let detail = detail(&said);
    assert!(detail.contains("line 2") && detail.contains("colour"), "{detail}");
}

#[test]
fn a_join_token_must_be_whole_and_is_used_once() {
    let inviter = Single::up();
    let token = cli::ask(&inviter.dir, &["join-token"])["token"].as_str().expect("a token").to_owned();
    let join = |token: &str| {
        let guest = Single::nothing();
        let (http, mesh) = (guest.http.to_string(), guest.mesh.to_string());
        let said = up(&guest.dir, &["--http", &http, "--mesh", &mesh, "--join", token]);
        assert!(!guest.dir.join("node.key").exists(), "a refused node has no home");
        (detail(&said), said.refusal().to_owned())
    };
    assert_eq!(join("hello").1, "bad_join_token");
    assert_eq!(join(&token[..token.len() - 3]).1, "bad_join_token");

    let mut first = Single::nothing();
    first.start(&["--join", &token]);
    first.wait_until_founded();
    let (detail, code) = join(&token);
    assert_eq!(code, "join_refused");
    assert!(detail.contains("join_token_unknown"), "{detail}");
}
