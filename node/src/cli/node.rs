//! `init`, `up`, `status`, `id`, `members`, `join-token`, `raft`.

use super::{
    args::{Cli, InitArgs, JoinTokenArgs, RaftCommand, UpArgs},
    context::Context,
    output::{Output, field, table},
};
use crate::{
    config::{self, Config},
    founding::{DomainKeys, Founding, fresh_key},
    home::Home,
    keyring::passphrase,
    node::Node,
    run::Ended,
    service::error::ServiceError,
};
use serde_json::{Value, json};
use std::process::ExitCode;

fn fresh_home(cli: &Cli, args: &InitArgs) -> Result<Home, ServiceError> {
    let dir = config::data_dir(cli.data.as_deref())?;
    let config = Config::alone(&args.domain, args.http, args.mesh);
    let now_ms = comity_runtime::wall_ms();
    let mut home = if args.federated {
        Home::founder(&dir, config, DomainKeys::fresh(), fresh_key(), &[], Founding::federated(), now_ms)?
    } else {
        Home::alone(&dir, config, now_ms)?
    };
    // Nobody is asked at the start: whoever wants the root key sealed says so, then or later (`keyring encrypt`).
    if args.passphrase.passphrase_file.is_some() || std::env::var_os(passphrase::VARIABLE).is_some() {
        home.seal(&passphrase::choose(args.passphrase.passphrase_file.as_deref())?)?;
    }
    home.save()?;
    Ok(home)
}

/// A sealed root key is opened for this process, or stays closed when nothing is said: the node runs without it.
fn unseal(mut home: Home, args: &InitArgs) -> Result<Home, ServiceError> {
    if home.root_state() == "sealed" {
        let question = "passphrase of the root key (empty: run without it): ";
        if let Some(passphrase) = passphrase::find(args.passphrase.passphrase_file.as_deref(), question)? {
            home.unseal(&passphrase)?;
        }
    }
    Ok(home)
}

/// `init`
pub(super) fn init(cli: &Cli, args: &InitArgs) -> Result<ExitCode, ServiceError> {
    let home = fresh_home(cli, args)?;
    let document = json!({
        "domain": home.domain(), "nickname": home.config.domain, "data": home.dir,
        "http": home.config.http, "mesh": home.config.mesh,
    });
    Output { json: cli.json }.show(&document, |_| {
        format!(
            "domain {} {}\ndata   {}\nnext   comity up --data {}",
            home.config.domain,
            home.domain(),
            home.dir.display(),
            home.dir.display()
        )
    });
    Ok(ExitCode::SUCCESS)
}

/// `up`
pub(super) async fn up(cli: &Cli, args: &UpArgs) -> Result<ExitCode, ServiceError> {
    crate::telemetry::start(args.log_json);
    let dir = config::data_dir(cli.data.as_deref())?;
    let home = match (&args.join, Home::exists(&dir)) {
        (_, true) => unseal(Home::load(&dir)?, &args.init)?,
        (Some(token), false) => {
            let config = Config::alone("joining", args.init.http, args.init.mesh);
            crate::join::join(&dir, config, token).await?
        }
        (None, false) => fresh_home(cli, &args.init)?,
    };
    let node = Node::start(home).await?;
    println!("{}", node.greeting());
    match crate::run::until_asked_to_stop(node).await? {
        Ended::Asked => Ok(ExitCode::SUCCESS),
        Ended::Rekeyed => Err(crate::run::start_again()),
    }
}

/// `status`
pub(super) fn status(context: &Context) -> Result<(), ServiceError> {
    let answer: Value = context.client.get("/api/v1/status")?;
    context.output.show(&answer, |answer| {
        let text = |name: &str| field(answer, name);
        let not_built: Vec<&str> =
            answer["not_built"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let lines = [
            ("domain", format!("{} {}", text("nickname"), text("domain"))),
            ("node", text("node")),
            ("role", format!("{} in term {}", text("role"), text("term"))),
            ("leader", text("leader")),
            ("root key", text("root_key")),
            ("replicas", format!("{} voters, {} learners", text("voters"), text("learners"))),
            ("log", format!("applied {} of {}", text("applied_index"), text("last_index"))),
            ("in doubt", in_doubt(answer)),
            ("not heard", not_heard(answer)),
            ("keys", keys_not_seen(answer)),
            ("root forks", root_forks(answer)),
            ("refused", format!("{} payment requests since the start", text("payment_requests_refused"))),
            ("mesh", format!("{} neighbours, {} cards", text("neighbours"), text("cards"))),
            ("not built", not_built.join("; ")),
        ];
        lines.map(|(name, text)| format!("{name:<10} {text}\n")).concat()
    });
    Ok(())
}

/// What is not finished, and the fence of a restored ledger.
fn in_doubt(answer: &Value) -> String {
    let open = format!("{} transfers", field(answer, "in_doubt"));
    if answer["fenced"] == true {
        format!("{open}; fenced after a restore until every peer agrees (`comity ledger reconcile`)")
    } else {
        open
    }
}

/// Peers that have not yet heard of another key.
pub(super) fn keys_not_seen(answer: &Value) -> String {
    let of = |name: &str| answer[name].as_array().cloned().unwrap_or_default();
    let lists = [of("keys_not_seen"), of("not_seen")].concat();
    let lists = lists.iter().map(|list| {
        let peers: Vec<&str> = list["peers"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let whose = match list["key"].as_str() {
            Some("root") => "root's",
            Some("operator") => "operator's",
            _ => "nodes'",
        };
        format!("{whose} not yet seen by {}", peers.join(", "))
    });
    let lists: Vec<String> = lists.collect();
    if lists.is_empty() { "seen by every peer".to_owned() } else { lists.join("; ") }
}

/// Domains of which another root key was shown than the one that is known to follow.
fn root_forks(answer: &Value) -> String {
    let forks = answer["root_forks"].as_array().into_iter().flatten();
    let forks: Vec<String> = forks.map(|fork| format!("{}: {}", field(fork, "nickname"), root_fork(fork))).collect();
    if forks.is_empty() { "none shown".to_owned() } else { forks.join("; ") }
}

/// What an operator makes of one.
pub(super) fn root_fork(fork: &Value) -> String {
    let minutes = fork["age_ms"].as_u64().unwrap_or(0) / 60_000;
    let times = field(fork, "times");
    format!("ANOTHER ROOT KEY WAS SHOWN (times: {times}, last {minutes} min ago); the one known first stands")
}

/// Partners whose settlement words are refused for a while.
fn not_heard(answer: &Value) -> String {
    let partners = answer["not_heard"].as_array().into_iter().flatten().map(|partner| {
        let seconds = partner["for_ms"].as_u64().unwrap_or(0).div_ceil(1_000);
        format!("{} for {seconds} s: what it said changed nothing, again and again", field(partner, "domain"))
    });
    let partners: Vec<String> = partners.collect();
    if partners.is_empty() { "nobody".to_owned() } else { partners.join("; ") }
}

/// `id`
pub(super) fn id(context: &Context) -> Result<(), ServiceError> {
    let answer: Value = context.client.get("/api/v1/id")?;
    context.output.show(&answer, |answer| {
        let rows = answer.as_object().into_iter().flatten();
        table(&["WHAT", "ID"], rows.map(|(name, _)| vec![name.clone(), field(answer, name)]))
    });
    Ok(())
}

/// The last characters of a key: the first ones are the same for all.
fn short(key: &str) -> &str {
    key.get(key.len().saturating_sub(8)..).unwrap_or_default()
}

/// `members`
pub(super) fn members(context: &Context) -> Result<(), ServiceError> {
    let answer: Value = context.client.get("/api/v1/members")?;
    context.output.show(&answer, |answer| {
        let rows = answer["members"].as_array().into_iter().flatten().map(|member| {
            let text = |name| field(member, name);
            let seconds = |name: &str| format!("{:.1} s", member[name].as_u64().unwrap_or(0) as f64 / 1000.0);
            let accusers = member["suspected_by"].as_array().into_iter().flatten().filter_map(Value::as_str);
            let suspected_by = accusers.map(short).collect::<Vec<_>>().join(" ");
            let (since, quiet) = (seconds("since_ms"), seconds("last_heard_ms"));
            let (node, domain) = (text("node"), text("domain_name"));
            vec![node, domain, text("state"), since, quiet, suspected_by, text("standing"), text("address")]
        });
        table(&["NODE", "DOMAIN", "STATE", "FOR", "QUIET FOR", "SUSPECTED BY", "STANDING", "ADDRESS"], rows)
    });
    Ok(())
}

/// `join-token`
pub(super) fn join_token(context: &Context, args: &JoinTokenArgs) -> Result<(), ServiceError> {
    let answer: Value = context.client.post("/api/v1/join-tokens", &json!({ "hours": args.hours }))?;
    context.output.show(&answer, |answer| {
        let token = field(answer, "token");
        if args.quiet {
            return token;
        }
        format!("On the new machine (once, within {} h):\n\n  comity up --join {token}", args.hours)
    });
    Ok(())
}

/// `raft …`
pub(super) fn raft(context: &Context, command: &RaftCommand) -> Result<(), ServiceError> {
    match command {
        RaftCommand::List => {
            let answer: Value = context.client.get("/api/v1/raft")?;
            context.output.show(&answer, |answer| {
                let rows = answer["replicas"].as_array().into_iter().flatten().map(|replica| {
                    let text = |name| field(replica, name);
                    vec![text("node"), text("role"), text("lag"), text("address")]
                });
                table(&["NODE", "ROLE", "LAG", "ADDRESS"], rows)
            });
        }
        RaftCommand::Add { node } => {
            let answer: Value = context.client.post("/api/v1/raft/add", &json!({ "node": node }))?;
            context.output.show(&answer, |_| format!("{node} is a voter"));
        }
        RaftCommand::Remove { node, reason } => {
            let body = json!({ "node": node, "reason": reason });
            let answer: Value = context.client.post("/api/v1/raft/remove", &body)?;
            context.output.show(&answer, |_| format!("{node} is no replica any more"));
        }
    }
    Ok(())
}
