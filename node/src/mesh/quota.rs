//! How much a peer may ask of this node: the quotas of the licence that our domain grants it.
//!
//! Counted per peer and minute by each node for itself; a peer without a licence is not counted. What is refused changes
//! nothing and says by what name. What has begun is never counted: only what begins something.
//! Pure: the caller tells the time.

use std::collections::BTreeMap;

use comity_proto::ids::DomainId;
use comity_proto::licence::LicenceStatus;

const MINUTE_MS: u64 = 60_000;

/// What a licence lets in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Cards of its agents.
    pub agents: u32,
    /// Tasks, payments begun, relayed commands and cards in a minute.
    pub events: u32,
    /// Until then, ms since the Unix epoch.
    pub expires_at_ms: u64,
    /// Whether it lets anything in.
    pub status: LicenceStatus,
}

/// Why a peer's wish is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OverLicence {
    /// Its licence is suspended.
    Suspended,
    /// Its licence is revoked.
    Revoked,
    /// Its licence is over.
    Expired,
    /// This minute's events are used up.
    Events,
    /// It has as many agents as it may.
    Agents,
}

impl OverLicence {
    /// Every reason.
    pub const ALL: [OverLicence; 5] =
        [OverLicence::Suspended, OverLicence::Revoked, OverLicence::Expired, OverLicence::Events, OverLicence::Agents];

    /// Stable name, for counters and answers.
    pub const fn name(self) -> &'static str {
        match self {
            OverLicence::Suspended => "licence_suspended",
            OverLicence::Revoked => "licence_revoked",
            OverLicence::Expired => "licence_expired",
            OverLicence::Events => "licence_events",
            OverLicence::Agents => "licence_agents",
        }
    }
}

/// What a peer has used at this node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// When the minute began, by the monotonic clock, ms.
    began_ms: u64,
    /// Events of this minute.
    pub events: u32,
    /// Wishes refused since the node started.
    pub refused: u64,
    /// The same by reason, in the order of [`OverLicence::ALL`].
    pub refused_for: [u64; OverLicence::ALL.len()],
    /// Events let in since the node started.
    pub admitted: u64,
}

impl Used {
    fn refuse(&mut self, why: OverLicence) {
        self.refused += 1;
        let place = OverLicence::ALL.iter().zip(&mut self.refused_for).find(|(reason, _)| **reason == why);
        if let Some((_, count)) = place {
            *count += 1;
        }
    }
}

/// Quotas and what is used of them.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    quotas: BTreeMap<DomainId, Quota>,
    used: BTreeMap<DomainId, Used>,
}

impl Meter {
    /// Replaces all quotas; what was counted of peers that have one stays.
    pub(crate) fn set(&mut self, quotas: BTreeMap<DomainId, Quota>) {
        self.used.retain(|peer, _| quotas.contains_key(peer));
        self.quotas = quotas;
    }

    /// Counts so many events of a peer, all or none. `now_ms` is monotonic, `wall_ms` since the Unix epoch.
    pub(crate) fn admit(&mut self, peer: &DomainId, events: u32, now_ms: u64, wall_ms: u64) -> Result<(), OverLicence> {
        let Some(quota) = self.quotas.get(peer) else { return Ok(()) };
        let used = self.used.entry(*peer).or_default();
        if now_ms >= used.began_ms.saturating_add(MINUTE_MS) {
            *used = Used { began_ms: now_ms, events: 0, ..*used };
        }
        let verdict = match quota.status {
            LicenceStatus::Suspended => Err(OverLicence::Suspended),
            LicenceStatus::Revoked => Err(OverLicence::Revoked),
            LicenceStatus::Active if wall_ms >= quota.expires_at_ms => Err(OverLicence::Expired),
            LicenceStatus::Active if used.events.saturating_add(events) > quota.events => Err(OverLicence::Events),
            LicenceStatus::Active => Ok(()),
        };
        match verdict {
            Ok(()) => {
                used.events += events;
                used.admitted += u64::from(events);
            }
            Err(why) => used.refuse(why),
        }
        verdict
    }

    /// Whether one more agent of that home fits, if so many are known.
    pub(crate) fn admit_agent(&mut self, home: &DomainId, known: usize) -> Result<(), OverLicence> {
        let Some(quota) = self.quotas.get(home) else { return Ok(()) };
        if u32::try_from(known).is_ok_and(|known| known < quota.agents) {
            return Ok(());
        }
        self.used.entry(*home).or_default().refuse(OverLicence::Agents);
        Err(OverLicence::Agents)
    }

    /// Whether a peer is counted at all.
    pub(crate) fn counts(&self, peer: &DomainId) -> bool {
        self.quotas.contains_key(peer)
    }

    /// What a peer has used in the minute that runs.
    pub(crate) fn used(&self, peer: &DomainId, now_ms: u64) -> Used {
        let used = self.used.get(peer).copied().unwrap_or_default();
        let over = now_ms >= used.began_ms.saturating_add(MINUTE_MS);
        Used { events: if over { 0 } else { used.events }, ..used }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: DomainId = DomainId([1; 32]);
    const ACTIVE: Quota = Quota { agents: 2, events: 10, expires_at_ms: 5_000, status: LicenceStatus::Active };

    fn meter(quota: Quota) -> Meter {
        let mut meter = Meter::default();
        meter.set(BTreeMap::from([(PEER, quota)]));
        meter
    }

    #[test]
    fn events_of_a_minute_are_used_up_and_begin_again_with_the_next() {
        let mut meter = meter(ACTIVE);
        assert_eq!(meter.admit(&PEER, 9, 100, 0), Ok(()));
        assert_eq!(meter.admit(&PEER, 2, 200, 0), Err(OverLicence::Events), "all or none");
        assert_eq!(meter.admit(&PEER, 1, 300, 0), Ok(()));
        assert_eq!(meter.admit(&PEER, 1, 59_999, 0), Err(OverLicence::Events));
        assert_eq!((meter.used(&PEER, 59_999).events, meter.used(&PEER, 59_999).refused), (10, 2));
        assert_eq!((meter.used(&PEER, 59_999).admitted, meter.used(&PEER, 59_999).refused_for), (10, [0, 0, 0, 2, 0]));
        assert_eq!(meter.admit(&PEER, 10, 60_000, 0), Ok(()));
        assert_eq!(meter.used(&PEER, 180_000).events, 0, "nobody asked in this minute");
    }

    #[test]
    fn a_licence_that_is_not_active_or_over_lets_nothing_in() {
        let refusal = |status, wall_ms| meter(Quota { status, ..ACTIVE }).admit(&PEER, 1, 0, wall_ms);
        assert_eq!(refusal(LicenceStatus::Active, 4_999), Ok(()));
        assert_eq!(refusal(LicenceStatus::Active, 5_000), Err(OverLicence::Expired));
        assert_eq!(refusal(LicenceStatus::Suspended, 0), Err(OverLicence::Suspended));
        assert_eq!(refusal(LicenceStatus::Revoked, 0), Err(OverLicence::Revoked));
    }

    #[test]
    fn so_many_agents_and_no_more_and_without_a_licence_nobody_is_counted() {
        let mut meter = meter(ACTIVE);
        assert_eq!((meter.admit_agent(&PEER, 1), meter.admit_agent(&PEER, 2)), (Ok(()), Err(OverLicence::Agents)));
        let other = DomainId([2; 32]);
        assert!(meter.counts(&PEER) && !meter.counts(&other));
        assert_eq!((meter.admit(&other, 1_000_000, 0, 9_000), meter.admit_agent(&other, 5_000)), (Ok(()), Ok(())));
        meter.set(BTreeMap::new());
        assert_eq!(meter.used(&PEER, 0), Used::default());
    }
}
