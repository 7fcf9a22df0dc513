use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use comity_runtime as runtime;
use futures::future::join_all;
use futures::{AsyncReadExt, AsyncWriteExt, FutureExt};
use parking_lot::Mutex;

use super::support::*;
use crate::mesh::limits::{IN_FLIGHT_PER_LINK, WAITING_PER_LINK};
use crate::mesh::{Class, MeshHandle, Refusal, Relation, RpcError, peer, streams};

const SECOND: Duration = Duration::from_secs(1);

async fn pair() -> (MeshHandle, MeshHandle) {
    let alpha = domain(1);
    let ours = trust(&[(&alpha, Relation::Own)]);
    let a = start(config(&key(11), alpha.identity(&key(11)), ours.clone())).await;
    let b = start_at(config(&key(12), alpha.identity(&key(12)), ours), &a.listening()).await;
    until("own", SOON, || standing(&a, &b) == "own" && standing(&b, &a) == "own").await;
    (a, b)
}

#[test]
fn many_requests_share_one_stream_and_each_gets_its_own_answer() {
    run(async {
        let (a, b) = pair().await;
        a.serve(Class::Raft, Arc::new(|_, body| async move { Ok(body) }.boxed()));
        const CALLERS: usize = 64;
        const EACH: usize = 300;
        let started = runtime::now();
        join_all((0..CALLERS).map(|caller| {
            let (b, node) = (b.clone(), a.node());
            runtime::spawn(async move {
                for turn in 0..EACH {
                    let mut body = vec![0; 256];
                    body[..8].copy_from_slice(&((caller * EACH + turn) as u64).to_le_bytes());
                    let body = Bytes::from(body);
                    let answer = b.request(node, Class::Raft, body.clone(), SOON).await;
                    assert_eq!(answer, Ok(body));
                }
            })
        }))
        .await
        .into_iter()
        .for_each(|ended| ended.expect("every answer was right"));
        let all = (CALLERS * EACH) as f64 / started.elapsed().as_secs_f64();
        let started = runtime::now();
        for _ in 0..500 {
            b.request(a.node(), Class::Raft, Bytes::from(vec![0; 256]), SOON).await.expect("answered");
        }
        let one = 500.0 / started.elapsed().as_secs_f64();
        println!(
            "256-byte requests over noise and yamux (test build): {all:.0}/s with {CALLERS} callers, {one:.0}/s with one"
        );
    });
}

#[test]
fn at_most_64_requests_are_worked_on_and_the_queue_behind_them_is_bounded() {
    run(async {
        let (a, b) = pair().await;
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let release = Arc::new(tokio::sync::Semaphore::new(0));
        let (inside, peak, gate) = (now.clone(), most.clone(), release.clone());
        a.serve(
            Class::Forward,
            Arc::new(move |_, body| {
                let (inside, peak, gate) = (inside.clone(), peak.clone(), gate.clone());
                async move {
                    peak.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    let _turn = gate.acquire().await;
                    inside.fetch_sub(1, Ordering::SeqCst);
                    Ok(body)
                }
                .boxed()
            }),
        );
        let mut waiting: Vec<_> = (0..IN_FLIGHT_PER_LINK + WAITING_PER_LINK)
            .map(|_| {
                let (b, node) = (b.clone(), a.node());
                Box::pin(async move { b.request(node, Class::Forward, Bytes::from_static(b"x"), SOON).await })
            })
            .collect();
        // Asked once, each has taken its place in the queue or on the wire.
        for call in &mut waiting {
            assert!(futures::poll!(call).is_pending());
        }
        let waiting: Vec<_> = waiting.into_iter().map(runtime::spawn).collect();
        until("all places taken", SOON, || now.load(Ordering::SeqCst) == IN_FLIGHT_PER_LINK).await;
        let refused = b.request(a.node(), Class::Forward, Bytes::new(), SOON).await;
        assert_eq!(refused, Err(RpcError::Busy));
        // Another class has a stream of its own and is not held up.
        a.serve(Class::Raft, Arc::new(|_, body| async move { Ok(body) }.boxed()));
        let heartbeat = b.request(a.node(), Class::Raft, Bytes::from_static(b"beat"), SOON).await;
        assert_eq!(heartbeat, Ok(Bytes::from_static(b"beat")));
        release.add_permits(10_000);
        for call in waiting {
            assert_eq!(call.await.expect("no panic"), Ok(Bytes::from_static(b"x")));
        }
        assert_eq!(most.load(Ordering::SeqCst), IN_FLIGHT_PER_LINK);
    });
}

#[test]
fn an_oversize_frame_is_refused_on_both_ends() {
    run(async {
        let (a, b) = pair().await;
        a.serve(Class::Raft, Arc::new(|_, body| async move { Ok(body) }.boxed()));
        let too_much = Bytes::from(vec![0; Class::Raft.body_max() + 1]);
        let refused = b.request(a.node(), Class::Raft, too_much, SECOND).await;
        assert!(matches!(refused, Err(RpcError::TooLarge { .. })), "{refused:?}");
        // A hostile neighbour announces four gigabytes: the stream ends, the connection and the node live on.
        let at = peer::peer_id(&a.node()).expect("a key");
        let mut raw = streams::open(b.shared(), at, Class::Raft.protocol()).await.expect("opens");
        raw.write_all(&u32::MAX.to_le_bytes()).await.expect("written");
        raw.flush().await.expect("flushed");
        until("refused", SOON, || count(&a, "frame_too_large") == 1).await;
        let mut rest = Vec::new();
        let _ = raw.read_to_end(&mut rest).await;
        assert!(rest.is_empty());
        let largest = Bytes::from(vec![7; Class::Raft.body_max()]);
        let answer = b.request(a.node(), Class::Raft, largest.clone(), SOON).await;
        assert_eq!(answer, Ok(largest), "the largest allowed body travels");
    });
}

#[test]
fn a_request_ends_at_its_deadline_and_a_refusal_comes_in_words() {
    run(async {
        let (a, b) = pair().await;
        a.serve(
            Class::Forward,
            Arc::new(|_, body: Bytes| {
                async move {
                    if body.is_empty() {
                        std::future::pending::<()>().await;
                    }
                    Err(Refusal("not the leader".to_owned()))
                }
                .boxed()
            }),
        );
        let late = b.request(a.node(), Class::Forward, Bytes::new(), Duration::from_millis(300)).await;
        assert!(matches!(late, Err(RpcError::Deadline | RpcError::Refused(_))), "{late:?}");
        let refused = b.request(a.node(), Class::Forward, Bytes::from_static(b"x"), SOON).await;
        assert_eq!(refused, Err(RpcError::Refused("not the leader".to_owned())));
        let unserved = b.request(a.node(), Class::Snapshot, Bytes::new(), SOON).await;
        assert!(matches!(unserved, Err(RpcError::NotPermitted(_))), "{unserved:?}");
        let nobody = b.request(key(99).public(), Class::Raft, Bytes::new(), SECOND).await;
        assert!(matches!(nobody, Err(RpcError::Unreachable(_))), "{nobody:?}");
    });
}

#[test]
fn requests_on_a_connection_that_breaks_are_told_that_it_was_lost() {
    run(async {
        let (a, b) = pair().await;
        let arrived = Arc::new(AtomicUsize::new(0));
        let here = arrived.clone();
        a.serve(
            Class::Forward,
            Arc::new(move |_, _| {
                here.fetch_add(1, Ordering::SeqCst);
                std::future::pending().boxed()
            }),
        );
        let (caller, node) = (b.clone(), a.node());
        let asked =
            runtime::spawn(async move { caller.request(node, Class::Forward, Bytes::from_static(b"x"), SOON).await });
        until("the request is under way", SOON, || arrived.load(Ordering::SeqCst) == 1).await;
        a.shutdown().await;
        let lost = asked.await.expect("no panic");
        assert!(matches!(lost, Err(RpcError::Lost(_))), "{lost:?}");
    });
}

#[test]
fn a_task_stream_carries_frames_both_ways_until_it_is_closed() {
    run(async {
        let (a, b) = pair().await;
        let heard = Arc::new(Mutex::new(Vec::new()));
        let keep = heard.clone();
        a.serve_tasks(Arc::new(move |caller, mut stream| {
            let keep = keep.clone();
            async move {
                while let Ok(Some(frame)) = stream.recv().await {
                    keep.lock().push((caller.node, frame.clone()));
                    // The last stream of this test is dropped without a close.
                    let _ = stream.send(&frame).await;
                }
                let _ = stream.send(b"end").await;
                let _ = stream.close().await;
            }
            .boxed()
        }));
        let domain = a.members().first().map(|member| member.domain).expect("its own heartbeat");
        let mut stream = b.open_task_stream_to(&domain).await.expect("opens");
        for frame in [b"one".as_slice(), &[7; 100_000], b""] {
            stream.send(frame).await.expect("a reads");
            assert_eq!(stream.recv().await.expect("echo").as_deref(), Some(frame));
        }
        stream.close().await.expect("closed");
        assert_eq!(stream.recv().await.expect("last word").as_deref(), Some(b"end".as_slice()));
        assert_eq!(stream.recv().await.expect("clean end"), None);
        assert!(heard.lock().iter().all(|(node, _)| *node == b.node()));
        let too_much = vec![0; Class::Tasks.body_max() + 1];
        let mut stream = b.open_task_stream(a.node()).await.expect("opens");
        assert!(stream.send(&too_much).await.is_err());
    });
}

#[test]
fn settle_finds_another_node_of_the_domain_when_one_is_silent() {
    run(async {
        let (alpha, beta) = (domain(1), domain(2));
        let of_alpha = trust(&[(&alpha, Relation::Own), (&beta, Relation::Peer)]);
        let of_beta = trust(&[(&beta, Relation::Own), (&alpha, Relation::Peer)]);
        let a = start(config(&key(11), alpha.identity(&key(11)), of_alpha)).await;
        let silent = start_at(config(&key(21), beta.identity(&key(21)), of_beta.clone()), &a.listening()).await;
        let good = start_at(config(&key(22), beta.identity(&key(22)), of_beta), &a.listening()).await;
        silent.serve(Class::Settlement, Arc::new(|_, _| std::future::pending().boxed()));
        good.serve(Class::Settlement, Arc::new(|_, body| async move { Ok(body) }.boxed()));
        until("both there", SOON, || a.nodes_of(&beta.id).len() == 2).await;
        a.hint_leader(beta.id, silent.node());
        assert_eq!(a.nodes_of(&beta.id)[0], silent.node());
        let body = Bytes::from_static(b"prepare");
        // Half of it is the silent node's share.
        let deadline = 20 * SECOND;
        assert_eq!(a.settle(beta.id, body.clone(), deadline).await, Ok(body.clone()));
        assert_eq!(a.nodes_of(&beta.id)[0], good.node(), "who answered is asked first");
        let started = runtime::now();
        assert_eq!(a.settle(beta.id, body.clone(), deadline).await, Ok(body));
        assert!(started.elapsed() < deadline / 2, "the silent node was not asked again");
    });
}
