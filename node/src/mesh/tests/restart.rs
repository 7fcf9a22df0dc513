use std::time::Duration;

use comity_proto::envelope::Signed as _;
use comity_runtime as runtime;
use libp2p::Multiaddr;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

use super::support::*;
use crate::mesh::Relation;

/// Forwards one connection and, when the far side dies, keeps the near side open without a word: what a pulled cable
/// or a stopped machine looks like.
async fn cable_to(port: u16) -> Multiaddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let own = listener.local_addr().expect("bound").port();
    runtime::spawn(async move {
        let (near, _) = listener.accept().await.expect("b dials");
        let far = TcpStream::connect(("127.0.0.1", port)).await.expect("a listens");
        let (mut near_read, mut near_write) = near.into_split();
        let (mut far_read, mut far_write) = far.into_split();
        runtime::spawn(async move {
            let _ = tokio::io::copy(&mut near_read, &mut far_write).await;
            std::future::pending::<()>().await;
        });
        let _ = tokio::io::copy(&mut far_read, &mut near_write).await;
        let _ = near_write.flush().await;
        // Neither half is dropped, so the near side never learns of the end.
        std::future::pending::<()>().await;
    });
    format!("/ip4/127.0.0.1/tcp/{own}").parse().expect("an address")
}

fn port(address: &Multiaddr) -> u16 {
    let tcp = address.iter().find_map(|part| match part {
        libp2p::multiaddr::Protocol::Tcp(port) => Some(port),
        _ => None,
    });
    tcp.expect("a tcp address")
}

#[test]
fn a_node_that_restarts_with_its_key_is_heard_before_its_old_connection_is_reaped() {
    run(async {
        let alpha = domain(1);
        let ours = trust(&[(&alpha, Relation::Own)]);
        let settings = |seed: u8| {
            let mut config = config(&key(seed), alpha.identity(&key(seed)), ours.clone());
            // Only gossip may carry what this test looks at.
            config.repair_every = (Duration::from_secs(3600), Duration::from_secs(3600));
            config.advertise = vec!["/ip4/127.0.0.1/tcp/1".parse().expect("an address where nobody listens")];
            config
        };
        let old = start(settings(11)).await;
        let cable = cable_to(port(&old.listening()[0])).await;
        let b = start_at(settings(12), &[cable]).await;
        see_each_other(&old, &b).await;
        let agent = key(51);
        assert_eq!(old.publish_card(card_of(&agent, alpha.id, 1).seal(&agent)), Ok(()));
        until("the first card", SOON, || sequence_at(&b, &agent) == Some(1)).await;
        drop(old);
        runtime::sleep(Duration::from_millis(200)).await;
        assert_eq!(b.neighbours().len(), 1, "b has not noticed the end");
        let fresh = start_at(settings(11), &b.listening()).await;
        let started = runtime::now();
        until("the restart is seen", SOON, || count(&b, "neighbour_restarted") >= 1).await;
        see_each_other(&fresh, &b).await;
        // Announced again until gossip has its topics: what counts is that both directions work at all.
        let mut sequence = 2;
        while sequence_at(&b, &agent) < Some(2) {
            assert!(started.elapsed() < SOON, "a card of the restarted node never came");
            assert_eq!(fresh.publish_card(card_of(&agent, alpha.id, sequence).seal(&agent)), Ok(()));
            sequence += 1;
            runtime::sleep(Duration::from_millis(100)).await;
        }
        let other = key(52);
        let mut sequence = 1;
        while sequence_at(&fresh, &other).is_none() {
            assert!(started.elapsed() < SOON, "a card for the restarted node never came");
            assert_eq!(b.publish_card(card_of(&other, alpha.id, sequence).seal(&other)), Ok(()));
            sequence += 1;
            runtime::sleep(Duration::from_millis(100)).await;
        }
        println!("both directions after a restart with the same key: {:?}", started.elapsed());
    });
}

#[test]
fn a_lost_neighbour_is_dialled_again_when_it_comes_back() {
    run(async {
        let alpha = domain(1);
        let ours = trust(&[(&alpha, Relation::Own)]);
        let a = start(config(&key(11), alpha.identity(&key(11)), ours.clone())).await;
        let at = a.listening();
        let b = start_at(config(&key(12), alpha.identity(&key(12)), ours.clone()), &at).await;
        see_each_other(&a, &b).await;
        a.shutdown().await;
        drop(a);
        until("lost", SOON, || b.neighbours().is_empty()).await;
        let mut again = config(&key(11), alpha.identity(&key(11)), ours);
        again.listen = at;
        let a = start(again).await;
        let back = until("back", SOON, || standing(&b, &a) == "own").await;
        println!("a lost neighbour was back after {back:?}");
    });
}

#[test]
fn nodes_that_dial_each_other_at_once_become_neighbours() {
    run(async {
        let alpha = domain(1);
        let ours = trust(&[(&alpha, Relation::Own)]);
        let a = start(config(&key(11), alpha.identity(&key(11)), ours.clone())).await;
        let b = start(config(&key(12), alpha.identity(&key(12)), ours)).await;
        let (to_a, to_b) = (a.listening().remove(0), b.listening().remove(0));
        futures::join!(a.dial(to_b), b.dial(to_a));
        until("own", SOON, || standing(&a, &b) == "own" && standing(&b, &a) == "own").await;
        runtime::sleep(Duration::from_secs(2)).await;
        assert_eq!(standing(&a, &b), "own", "and stay so");
        assert_eq!(count(&a, "neighbour_restarted") + count(&b, "neighbour_restarted"), 0);
    });
}
