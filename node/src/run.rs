//! A node as a process: its REST door, signals, and the exit when its replica cannot go on.

use crate::{
    http,
    node::Node,
    service::error::{Kind, ServiceError},
    spiffe::current,
};
use std::{sync::Arc, time::Duration};
use tokio::sync::watch;

/// How long requests under way have to end.
const GRACE: Duration = Duration::from_secs(3);
/// How long the door of a node whose replica failed goes on saying so, before it closes: whoever is connecting hears it.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Why a node ended without an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Somebody asked it to.
    Asked,
    /// It has another key, which a process takes up when it starts.
    Rekeyed,
}

/// Starts this program again in the place of this process, with the same words; returns only when that failed.
pub fn start_again() -> ServiceError {
    let cannot = |detail: String| {
        let next = "start the node again: it takes up its next key";
        ServiceError::new(Kind::Internal, "not_started_again", detail, next)
    };
    #[cfg(unix)]
    {
        use std::os::unix::process::CommandExt as _;
        match std::env::current_exe() {
            Ok(program) => {
                cannot(std::process::Command::new(program).args(std::env::args_os().skip(1)).exec().to_string())
            }
            Err(error) => cannot(error.to_string()),
        }
    }
    #[cfg(not(unix))]
    cannot("a process is not replaced on this system".to_owned())
}

/// Serves until asked to stop (Ctrl-C, SIGTERM) or until the replica fails.
///
/// # Errors
/// `port_taken`; `replica_failed`, after which a new start recovers what was acknowledged.
pub async fn until_asked_to_stop(node: Arc<Node>) -> Result<Ended, ServiceError> {
    node.tokens().let_watch(&node.home().watcher_token()?);
    let listener = http::listen(node.home().config.http).await?;
    let (stop, mut stopped) = watch::channel(false);
    if let Some(https) = node.home().config.https.clone() {
        let mut stopped = stopped.clone();
        let stop = async move {
            // The sender lives until the end of the node.
            let _ = stopped.wait_for(|stop| *stop).await;
        };
        // The first certificate before the first client, where the root key or a file gives one.
        let _tried_again_by_the_tender = current::renew(&node, &https).await;
        http::serve_tls(node.clone(), &https, stop).await?;
        comity_runtime::spawn(current::tend(node.clone(), https));
    }
    let serving = comity_runtime::spawn(http::serve(listener, node.clone(), async move {
        // The sender lives until the end of this function.
        let _ = stopped.wait_for(|stop| *stop).await;
    }));
    let (mut failed, mut rekeyed) = (node.replica().failed(), node.rekeyed());
    let mut ended = Ended::Asked;
    let failure = tokio::select! {
        biased;
        why = failed.wait_for(Option::is_some) => why.ok().and_then(|why| why.clone()),
        Ok(_) = rekeyed.wait_for(|rekeyed| *rekeyed) => {
            ended = Ended::Rekeyed;
            None
        }
        () = asked_to_stop() => None,
    };
    if failure.is_some() {
        comity_runtime::sleep(LAST_WORDS).await;
    }
    stop.send_replace(true);
    // Long polls end with their connections.
    let _ended_or_cut = comity_runtime::timeout(GRACE, serving).await;
    node.stop().await;
    match failure {
        None => Ok(ended),
        Some(why) => Err(ServiceError::new(
            Kind::Internal,
            "replica_failed",
            why,
            "start the node again: it recovers everything that was acknowledged",
        )),
    }
}

async fn asked_to_stop() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut term) = signal(SignalKind::terminate()) {
            tokio::select! {
                biased;
                _ = term.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
            return;
        }
    }
    // Without signals the process is ended from outside.
    let _ = tokio::signal::ctrl_c().await;
}
